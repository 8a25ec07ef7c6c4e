import type { SourceRecord, TopicPartitionOffset } from '../domain/record.ts';
import { HeldDeliveries } from './held-deliveries.ts';
import { overflowRowsOf } from './overflow-record.ts';

/** What it needs of a reader of the overflow topic. */
export interface UndrainedReader {
  partitions(topic: string): Promise<number>;
  /** By partition: what the drainers have committed, −1 where nothing. */
  committed(topic: string, partitions: number): Promise<readonly number[]>;
  bounds(
    topic: string,
    partition: number,
  ): Promise<{ readonly partition: number; readonly from: number; readonly end: number }>;
  read(
    topic: string,
    span: { readonly partition: number; readonly from: number; readonly end: number },
    onRecords: (records: readonly SourceRecord[]) => Promise<boolean>,
  ): Promise<void>;
}

export interface Undrained {
  readonly held: HeldDeliveries;
  /** Records that were read for it. */
  readonly records: number;
}

/**
 * What the overflow topic holds that is not drained, of deliveries from these offsets
 * on. To be asked before the ledger is: what is drained in between is then in both
 * answers, and nothing is in neither.
 *
 * @param maxOffsets kept of a partition, and one more.
 * @throws Error when the broker does not answer.
 */
export async function readUndrained(
  reader: UndrainedReader,
  topic: string,
  places: readonly TopicPartitionOffset[],
  maxOffsets: number,
): Promise<Undrained> {
  const held = new HeldDeliveries(places, maxOffsets);
  const partitions = await reader.partitions(topic);
  const drained = await reader.committed(topic, partitions);
  let read = 0;
  for (let partition = 0; partition < partitions; partition++) {
    const { from, end } = await reader.bounds(topic, partition);
    const span = { partition, from: Math.max(from, drained[partition] ?? 0), end };
    await reader.read(topic, span, (records) => {
      read += records.length;
      for (const record of records) index(held, record);
      return Promise.resolve(true);
    });
  }
  return { held, records: read };
}

function index(held: HeldDeliveries, record: SourceRecord): void {
  const rows = overflowRowsOf(record);
  if (rows?.table === 'attempts') held.add(rows.bytes, rows.columns);
}
