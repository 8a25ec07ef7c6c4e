import type { TopicPartition, TopicPartitionOffset } from '../domain/record.ts';
import { RowCells } from './row-cells.ts';

/** Deliveries of one partition by the offset of their record. */
interface Held {
  readonly from: number;
  readonly deliveryIds: Map<number, Set<string>>;
}

/**
 * Which deliveries rows of `attempts` say to be done: ended, or handed over to
 * Kafka. The same that the ledger is asked for when a partition is taken over, of
 * rows that it does not have yet.
 *
 * A row that names a delay topic is about the record there, any other about its source record.
 */
export class HeldDeliveries {
  readonly #byTopic = new Map<string, Map<number, Held>>();
  readonly #maxOffsets: number;

  /**
   * @param places the partitions asked for, from these offsets on.
   * @param maxOffsets kept of one partition; one more than that tells the asker that there are too many.
   */
  constructor(places: readonly TopicPartitionOffset[], maxOffsets: number) {
    this.#maxOffsets = maxOffsets;
    for (const { topic, partition, offset } of places) {
      const partitions = this.#byTopic.get(topic) ?? new Map<number, Held>();
      partitions.set(partition, { from: offset, deliveryIds: new Map() });
      this.#byTopic.set(topic, partitions);
    }
  }

  /** @throws Error when the rows are not of these columns. */
  add(rows: Uint8Array, columns: readonly string[]): void {
    const cells = new RowCells(rows, columns);
    while (cells.next()) {
      const isRetry = !cells.isEmpty('retry_topic');
      const held = this.#byTopic
        .get(cells.text(isRetry ? 'retry_topic' : 'topic'))
        ?.get(cells.uint(isRetry ? 'retry_partition' : 'partition'));
      if (held === undefined) continue;
      const offset = cells.uint(isRetry ? 'retry_offset' : 'offset');
      if (offset < held.from || !isDone(cells)) continue;
      this.#keep(held, offset, cells.text('delivery_id'));
    }
  }

  /** By offset; none for a partition that was not asked for. */
  of({ topic, partition }: TopicPartition): ReadonlyMap<number, ReadonlySet<string>> {
    return this.#byTopic.get(topic)?.get(partition)?.deliveryIds ?? new Map<number, Set<string>>();
  }

  #keep({ deliveryIds }: Held, offset: number, deliveryId: string): void {
    const ids = deliveryIds.get(offset);
    if (ids !== undefined) ids.add(deliveryId);
    else if (deliveryIds.size <= this.#maxOffsets) deliveryIds.set(offset, new Set([deliveryId]));
  }
}

function isDone(cells: RowCells): boolean {
  return !cells.isEmpty('hand_over') || cells.text('is_final') === '1';
}
