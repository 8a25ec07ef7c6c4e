import type { SourceRecord, TopicPartition, TopicPartitionOffset } from '../domain/record.ts';
import { limits } from '../domain/limits.ts';
import type { KafkaConsumer } from './consumer.ts';
import type { PartitionReader } from './partition-reader.ts';
import type { PollCallback, RecordReader } from './record-reader.ts';

/**
 * Reads what a member of the group owns: its source topics by the member itself, its delay
 * topics by a reader of their own.
 *
 * A delay topic is read a little at a time, for most of it is not due, and what librdkafka
 * has prefetched of it is thrown away again and again. In the member's one queue and on its
 * one connection to each broker that held first attempts up: in a storm of retries for
 * seconds. The member owns delay topics all the same, and commits them; it keeps them paused.
 */
export class PipelineReader {
  readonly #member: KafkaConsumer;
  readonly #delays: PartitionReader;
  readonly #isDelayTopic: (topic: string) => boolean;
  readonly #nowMs: () => number;
  #delaysPolledAtMs = -Infinity;
  #isClosing = false;

  /** @param nowMs monotonic. */
  constructor(
    member: KafkaConsumer,
    delays: PartitionReader,
    isDelayTopic: (topic: string) => boolean,
    nowMs: () => number,
  ) {
    this.#member = member;
    this.#delays = delays;
    this.#isDelayTopic = isDelayTopic;
    this.#nowMs = nowMs;
  }

  assign(partitions: readonly TopicPartition[]): void {
    if (this.#isClosing) return;
    this.#member.assign(partitions);
    const delays = partitions.filter(({ topic }) => this.#isDelayTopic(topic));
    if (delays.length === 0) return;
    this.#member.pause(delays);
    this.#delays.add(delays);
  }

  unassign(partitions: readonly TopicPartition[]): void {
    this.#delays.remove(partitions.filter(({ topic }) => this.#isDelayTopic(topic)));
    this.#member.unassign(partitions);
  }

  /** As of `RecordReader`; up to `max` of sources, and as many of delay topics behind them. */
  poll(max: number, callback: PollCallback): void {
    const nowMs = this.#nowMs();
    if (!this.#delays.mayHaveMore && nowMs - this.#delaysPolledAtMs < limits.pollPauseMs) {
      this.#member.poll(max, callback);
      return;
    }
    this.#delaysPolledAtMs = nowMs;
    let retries: readonly SourceRecord[] | null = null;
    let sources: readonly SourceRecord[] | null = null;
    let failure: string | null = null;
    const answer = (error: string | null): void => {
      failure ??= error;
      if (retries === null || sources === null) return;
      callback(failure, retries.length === 0 ? sources : [...sources, ...retries]);
    };
    this.#delays.pollAtOnce(max, (error, records) => {
      retries = records;
      answer(error);
    });
    this.#member.poll(max, (error, records) => {
      sources = records;
      answer(error);
    });
  }

  pause(partitions: readonly TopicPartition[]): void {
    this.#each(partitions, (reader, own) => {
      reader.pause(own);
    });
  }

  resume(partitions: readonly TopicPartition[]): void {
    this.#each(partitions, (reader, own) => {
      reader.resume(own);
    });
  }

  seek(place: TopicPartitionOffset, callback: (error: string | null) => void): void {
    this.#readerOf(place.topic).seek(place, callback);
  }

  highWatermark(topic: string, partition: number): number {
    return this.#readerOf(topic).highWatermark(topic, partition);
  }

  /** Leaves the group. */
  async close(timeoutMs: number): Promise<'closed' | 'timed_out'> {
    this.#isClosing = true;
    const [left] = await Promise.all([this.#member.close(timeoutMs), this.#delays.close(timeoutMs)]);
    return left;
  }

  #readerOf(topic: string): RecordReader {
    return this.#isDelayTopic(topic) ? this.#delays : this.#member;
  }

  #each(
    partitions: readonly TopicPartition[],
    act: (reader: RecordReader, own: readonly TopicPartition[]) => void,
  ): void {
    for (const reader of [this.#member, this.#delays]) {
      const own = partitions.filter(({ topic }) => this.#readerOf(topic) === reader);
      if (own.length > 0) act(reader, own);
    }
  }
}
