import kafka from 'node-rdkafka';
import type { TopicPartition } from '../domain/record.ts';
import { RecordReader } from './record-reader.ts';

/**
 * Reads partitions that it is told to, over a connection and a prefetch queue of its own,
 * each from where the group of its properties has committed; from the oldest record where it
 * never has. It is no member of the group, and commits nothing.
 */
export class PartitionReader extends RecordReader {
  /** By topic and partition. librdkafka refuses to take on what it has, and to give up what it has not. */
  readonly #reading = new Set<string>();

  /**
   * @param properties of a consumer.
   * @throws UserError when no broker answers.
   */
  static async open(
    properties: Readonly<Record<string, string | number | boolean>>,
    onError: (message: string) => void,
  ): Promise<PartitionReader> {
    const { 'group.remote.assignor': _assignor, 'auto.offset.reset': _reset, ...rest } = properties;
    const consumer = new kafka.KafkaConsumer(
      { ...rest, 'group.protocol': 'classic' },
      { 'auto.offset.reset': 'earliest' },
    );
    consumer.on('event.error', (error) => {
      onError(error.message);
    });
    const opened = new PartitionReader(consumer);
    await opened.connect(String(properties['bootstrap.servers']));
    return opened;
  }

  /** What is read already goes on. */
  add(partitions: readonly TopicPartition[]): void {
    if (this.isClosing) return;
    const added = partitions.filter((place) => !this.#reading.has(nameOf(place)));
    if (added.length === 0) return;
    this.consumer.incrementalAssign(added);
    for (const place of added) this.#reading.add(nameOf(place));
  }

  /** What is not read stays so: the group may take back what was offered and never taken on. */
  remove(partitions: readonly TopicPartition[]): void {
    if (this.isClosing) return;
    const removed = partitions.filter((place) => this.#reading.delete(nameOf(place)));
    if (removed.length > 0) this.consumer.incrementalUnassign(removed);
  }
}

function nameOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}
