import kafka from 'node-rdkafka';
import type { TopicPartition } from '../domain/record.ts';
import { RecordReader } from './record-reader.ts';

/**
 * Reads partitions that it is told to, over a connection and a prefetch queue of its own,
 * each from where the group of its properties has committed; from the oldest record where it
 * never has. It is no member of the group, and commits nothing.
 */
export class PartitionReader extends RecordReader {
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

  add(partitions: readonly TopicPartition[]): void {
    if (!this.isClosing && partitions.length > 0) this.consumer.incrementalAssign([...partitions]);
  }

  remove(partitions: readonly TopicPartition[]): void {
    if (!this.isClosing && partitions.length > 0) this.consumer.incrementalUnassign([...partitions]);
  }
}
