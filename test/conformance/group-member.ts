import { systemClock } from '../../src/domain/clock.ts';
import type { SourceRecord, TopicPartition } from '../../src/domain/record.ts';
import { KafkaConsumer } from '../../src/kafka/consumer.ts';
import { PartitionReader } from '../../src/kafka/partition-reader.ts';
import { PipelineReader } from '../../src/kafka/pipeline-reader.ts';
import type { KafkaError, KafkaProducer } from '../../src/kafka/producer.ts';
import { waitFor } from '../support/wait.ts';

const TIMEOUT_MS = 30_000;

type Reader = Pick<
  KafkaConsumer,
  'assign' | 'unassign' | 'poll' | 'pause' | 'resume' | 'seek' | 'highWatermark' | 'close'
>;

/** A group member that polls all the time and remembers what it saw. */
export class GroupMember {
  readonly records: SourceRecord[] = [];
  readonly committed: number[] = [];
  readonly owned = new Set<number>();
  readonly errors: string[] = [];
  polls = 0;
  onRecord: (record: SourceRecord) => void = () => undefined;
  #consumer: KafkaConsumer | null = null;
  #reader: Reader | null = null;
  #polling = true;
  #left: Promise<unknown> | null = null;

  /** @param delayTopics of the topics, those that are read by a reader of their own; null: there is none. */
  static async join(
    brokers: string,
    topics: readonly string[],
    group: string,
    delayTopics: readonly string[] | null = null,
  ): Promise<GroupMember> {
    const member = new GroupMember();
    const properties = {
      'bootstrap.servers': brokers,
      'group.id': group,
      'group.protocol': 'consumer',
      'group.remote.assignor': 'range',
      'enable.auto.commit': false,
      'enable.partition.eof': true,
      'auto.offset.reset': 'earliest',
      'fetch.wait.max.ms': 50,
      'fetch.queue.backoff.ms': 20,
      'topic.metadata.refresh.interval.ms': 500,
    };
    const delays =
      delayTopics === null
        ? null
        : await PartitionReader.open(properties, (error) => member.errors.push(error));
    member.#consumer = await KafkaConsumer.open(properties, topics, {
      onAssign: (partitions) => {
        member.reader.assign(partitions);
        for (const { partition } of partitions) member.owned.add(partition);
      },
      onRevoke: (partitions: readonly TopicPartition[]) => {
        for (const { partition } of partitions) member.owned.delete(partition);
        member.reader.unassign(partitions);
      },
      onCommit: (error, offsets) => {
        if (error === null) member.committed.push(...offsets.map(({ offset }) => offset));
      },
      onError: (error) => member.errors.push(error),
      onConnection: () => undefined,
    });
    if (delays !== null) {
      const isDelayTopic = (topic: string): boolean => delayTopics?.includes(topic) === true;
      member.#reader = new PipelineReader(member.#consumer, delays, isDelayTopic, systemClock.monotonicMs);
    }
    member.#poll();
    return member;
  }

  /** Of all its topics. */
  get reader(): Reader {
    return this.#reader ?? this.consumer;
  }

  get consumer(): KafkaConsumer {
    if (this.#consumer === null) throw new Error('not joined yet');
    return this.#consumer;
  }

  async read(count: number): Promise<readonly SourceRecord[]> {
    await waitFor(() => this.records.length >= count, {
      timeoutMs: TIMEOUT_MS,
      what: () => `${count} records, have ${this.records.length}`,
    });
    return this.records;
  }

  leave(): Promise<unknown> {
    this.#polling = false;
    this.#left ??= this.reader.close(TIMEOUT_MS);
    return this.#left;
  }

  #poll(): void {
    this.reader.poll(100, (_error, records) => {
      this.polls++;
      this.records.push(...records);
      records.forEach(this.onRecord);
      if (this.#polling)
        setImmediate(() => {
          this.#poll();
        });
    });
  }
}

export function produce(
  producer: KafkaProducer,
  topic: string,
  key: Buffer,
  value: Buffer | null,
  headers: readonly (readonly [string, Buffer])[],
  partition: number | null = null,
): Promise<{ partition: number; offset: number }> {
  return new Promise((resolve, reject) => {
    producer.produce(topic, partition, key, value, headers, (error: KafkaError | null, place, offset) => {
      if (error === null) resolve({ partition: place, offset });
      else reject(error);
    });
  });
}
