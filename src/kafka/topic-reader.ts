import kafka from 'node-rdkafka';
import { messageOf, UserError } from '../domain/errors.ts';
import { limits } from '../domain/limits.ts';
import type { SourceRecord } from '../domain/record.ts';

const CONNECT_TIMEOUT_MS = 30_000;
const REQUEST_TIMEOUT_MS = 10_000;
/** A read that nothing comes of for so long fails. */
const STALL_TIMEOUT_MS = 30_000;
const CLOSE_TIMEOUT_MS = 5_000;
const POLL_MAX_RECORDS = 200;

/** What a partition holds: the first offset still there, and the one that the next record will get. */
export interface PartitionBounds {
  readonly partition: number;
  readonly from: number;
  readonly end: number;
}

/**
 * Reads parts of topics as they are now, without joining a group or committing
 * anything. It holds no more than librdkafka's prefetch and one poll, and stops
 * fetching while its user works on one.
 */
export class TopicReader {
  readonly #consumer: kafka.KafkaConsumer;
  #lastError = 'no answer';
  /** The partition that is read, and whether its end was reached. */
  #reading = { partition: -1, isAtEnd: false };

  private constructor(consumer: kafka.KafkaConsumer) {
    this.#consumer = consumer;
    consumer.on('event.error', (error) => {
      this.#lastError = error.message;
    });
    consumer.on('partition.eof', ({ partition }: { readonly partition: number }) => {
      if (partition === this.#reading.partition) this.#reading.isAtEnd = true;
    });
    consumer.setDefaultConsumeTimeout(limits.pollTimeoutMs);
  }

  /**
   * @param properties of a consumer; librdkafka wants a group's name also of one that joins none.
   * @throws UserError when no broker answers.
   */
  static open(properties: Readonly<Record<string, string | number | boolean>>): Promise<TopicReader> {
    const { 'group.remote.assignor': _assignor, 'auto.offset.reset': _reset, ...rest } = properties;
    const consumer = new kafka.KafkaConsumer(
      { ...rest, 'group.protocol': 'classic', 'enable.auto.commit': false, 'enable.partition.eof': true },
      // A span whose records were deleted meanwhile goes on with what is left.
      { 'auto.offset.reset': 'earliest' },
    );
    const reader = new TopicReader(consumer);
    return new Promise((resolve, reject) => {
      consumer.connect({ timeout: CONNECT_TIMEOUT_MS }, (error: kafka.LibrdKafkaError | null | undefined) => {
        if (!error) resolve(reader);
        else
          reject(
            new UserError([
              `kafka.brokers: ${String(properties['bootstrap.servers'])} does not answer: ${error.message}`,
            ]),
          );
      });
    });
  }

  /**
   * How many partitions a topic has; 0 when it is not there, and asking does not make it.
   * @throws Error when the broker does not answer.
   */
  partitions(topic: string): Promise<number> {
    return new Promise((resolve, reject) => {
      // Asked for by its name, a topic may be made by the broker.
      this.#consumer.getMetadata(
        { timeout: REQUEST_TIMEOUT_MS },
        (error: kafka.LibrdKafkaError | null, metadata: kafka.Metadata) => {
          if (error) reject(new Error(error.message));
          else resolve(metadata.topics.find(({ name }) => name === topic)?.partitions.length ?? 0);
        },
      );
    });
  }

  /** @throws Error when the broker does not answer, or has no such partition. */
  bounds(topic: string, partition: number): Promise<PartitionBounds> {
    return new Promise((resolve, reject) => {
      this.#consumer.queryWatermarkOffsets(
        topic,
        partition,
        REQUEST_TIMEOUT_MS,
        (error: kafka.LibrdKafkaError | null, found: kafka.WatermarkOffsets) => {
          if (error) reject(new Error(`${topic}[${partition}]: ${error.message}`));
          else resolve({ partition, from: found.lowOffset, end: found.highOffset });
        },
      );
    });
  }

  /**
   * The offset of the first record of this time or later, the partition's end when there is none.
   * @throws Error when the broker does not answer.
   */
  offsetAt(topic: string, partition: number, timeMs: number): Promise<number> {
    const found = new Promise<number>((resolve, reject) => {
      this.#consumer.offsetsForTimes(
        // The client calls the time "offset" in what is asked, and so do its types.
        [{ topic, partition, offset: timeMs }],
        REQUEST_TIMEOUT_MS,
        (error: kafka.LibrdKafkaError | null, offsets: readonly { readonly offset?: number }[]) => {
          if (error) reject(new Error(`${topic}[${partition}]: ${error.message}`));
          else resolve(offsets[0]?.offset ?? -1);
        },
      );
    });
    return found.then(async (offset) => (offset >= 0 ? offset : (await this.bounds(topic, partition)).end));
  }

  /**
   * What the group of its properties has committed, by partition; −1 where nothing.
   * @throws Error when the broker does not answer.
   */
  committed(topic: string, partitions: number): Promise<readonly number[]> {
    const places = Array.from({ length: partitions }, (_, partition) => ({ topic, partition }));
    return new Promise((resolve, reject) => {
      this.#consumer.committed(
        places,
        REQUEST_TIMEOUT_MS,
        (error: kafka.LibrdKafkaError | null, found: readonly Partial<kafka.TopicPartitionOffset>[]) => {
          if (error) reject(new Error(`${topic}: ${error.message}`));
          else
            resolve(
              places.map(({ partition }) => found.find((one) => one.partition === partition)?.offset ?? -1),
            );
        },
      );
    });
  }

  /**
   * Reads the records of a span that are still there, in order, until its end or
   * the partition's. One read at a time.
   *
   * @param onRecords is waited for; its answer is whether to read on.
   * @throws Error when nothing comes for 30 s.
   */
  async read(
    topic: string,
    { partition, from, end }: PartitionBounds,
    onRecords: (records: readonly SourceRecord[]) => Promise<boolean>,
  ): Promise<void> {
    if (from >= end) return;
    this.#reading = { partition, isAtEnd: false };
    this.#consumer.assign([{ topic, partition, offset: from }]);
    try {
      let next = from;
      while (next < end) {
        const polled = await this.#pollSome(`${topic}[${partition}] from offset ${next}`);
        const records = polled.filter((record) => record.partition === partition && record.offset >= next);
        const last = records.at(-1);
        if (last === undefined) return;
        next = last.offset + 1;
        const wanted = last.offset < end ? records : records.filter(({ offset }) => offset < end);
        if (wanted.length > 0 && !(await onRecords(wanted))) return;
      }
    } finally {
      this.#consumer.unassign();
    }
  }

  /** Bounded: librdkafka's close can hang (confluentinc/librdkafka#1144). */
  close(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, CLOSE_TIMEOUT_MS);
      this.#consumer.disconnect(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  /** @returns at least one record, or none at the partition's end. @throws Error when nothing comes. */
  async #pollSome(place: string): Promise<readonly SourceRecord[]> {
    let isOver = false as boolean;
    const timer = setTimeout(() => {
      isOver = true;
    }, STALL_TIMEOUT_MS);
    try {
      while (!isOver) {
        const records = await this.#poll();
        if (records.length > 0 || this.#reading.isAtEnd) return records;
      }
    } finally {
      clearTimeout(timer);
    }
    throw new Error(`nothing came of ${place} for ${STALL_TIMEOUT_MS / 1_000} s: ${this.#lastError}`);
  }

  #poll(): Promise<readonly SourceRecord[]> {
    return new Promise((resolve, reject) => {
      this.#consumer.consume(POLL_MAX_RECORDS, (error: kafka.LibrdKafkaError | null, messages) => {
        if (error) reject(new Error(messageOf(error)));
        else resolve(messages as unknown as readonly SourceRecord[]);
      });
    });
  }
}
