import type kafka from 'node-rdkafka';
import { UserError } from '../domain/errors.ts';
import { limits } from '../domain/limits.ts';
import type { SourceRecord, TopicPartition, TopicPartitionOffset } from '../domain/record.ts';

const CONNECT_TIMEOUT_MS = 30_000;
const SEEK_TIMEOUT_MS = 5_000;

export type PollCallback = (error: string | null, records: readonly SourceRecord[]) => void;

/** What a node-rdkafka consumer reads of its partitions, in non-flowing mode: nothing but by `poll`. */
export class RecordReader {
  protected readonly consumer: kafka.KafkaConsumer;
  protected isClosing = false;
  #mayHaveMore = false;

  protected constructor(consumer: kafka.KafkaConsumer) {
    this.consumer = consumer;
    // librdkafka's timeout is per message: with any other a trickle keeps a poll open until it is full.
    consumer.setDefaultConsumeTimeout(0);
  }

  /** The last poll came back full. */
  get mayHaveMore(): boolean {
    return this.#mayHaveMore;
  }

  /**
   * Reads up to `max` records; calls back with what there was, perhaps nothing. When the
   * poll before took all there was, it waits a moment first.
   */
  poll(max: number, callback: PollCallback): void {
    if (this.#mayHaveMore) {
      this.pollAtOnce(max, callback);
      return;
    }
    setTimeout(() => {
      this.pollAtOnce(max, callback);
    }, limits.pollPauseMs);
  }

  pollAtOnce(max: number, callback: PollCallback): void {
    if (this.isClosing) {
      callback(null, []);
      return;
    }
    this.consumer.consume(max, (error: kafka.LibrdKafkaError | null, messages) => {
      this.#mayHaveMore = !error && messages.length >= max;
      if (error) callback(error.message, []);
      else callback(null, messages as unknown as readonly SourceRecord[]);
    });
  }

  pause(partitions: readonly TopicPartition[]): void {
    this.consumer.pause([...partitions]);
  }

  resume(partitions: readonly TopicPartition[]): void {
    this.consumer.resume([...partitions]);
  }

  /**
   * Reads the partition from this offset on; best while it is paused. What was
   * fetched before the call is dropped, so no older record comes after the answer.
   */
  seek(place: TopicPartitionOffset, callback: (error: string | null) => void): void {
    this.consumer.seek(place, SEEK_TIMEOUT_MS, (error: kafka.LibrdKafkaError | undefined) => {
      callback(error === undefined ? null : error.message);
    });
  }

  /** The newest offset the last fetch told of, −1 when unknown. No I/O. */
  highWatermark(topic: string, partition: number): number {
    try {
      return this.consumer.getWatermarkOffsets(topic, partition).highOffset;
    } catch {
      return -1;
    }
  }

  /** Bounded: librdkafka's close can hang (confluentinc/librdkafka#1144). */
  close(timeoutMs: number): Promise<'closed' | 'timed_out'> {
    this.isClosing = true;
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        resolve('timed_out');
      }, timeoutMs);
      this.consumer.disconnect(() => {
        clearTimeout(timer);
        resolve('closed');
      });
    });
  }

  /** @throws UserError when no broker answers. */
  protected connect(brokers: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.consumer.connect(
        { timeout: CONNECT_TIMEOUT_MS },
        (error: kafka.LibrdKafkaError | null | undefined) => {
          if (error) reject(new UserError([`kafka.brokers: ${brokers} does not answer: ${error.message}`]));
          else resolve();
        },
      );
    });
  }
}
