/** A header as Kafka carries it; names may repeat. */
export type RecordHeader = readonly [name: string, value: Uint8Array];

/** One record as read from Kafka, before anything is known about it. */
export interface SourceRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  /** Broker or producer time, Unix epoch milliseconds; absent or negative when unknown. */
  readonly timestamp?: number | undefined;
  readonly key?: Buffer | null | undefined;
  readonly value: Buffer | null;
  readonly headers?: readonly Readonly<Record<string, Buffer | string | number>>[] | undefined;
}

export interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
}

export interface TopicPartitionOffset extends TopicPartition {
  readonly offset: number;
}

/** Events, four numbers each: the two words of `hashEvent`, the record's offset, and how long ago it was, in milliseconds. */
export type SeenBefore = Float64Array;

/** What the ledger holds of a partition beyond the committed offset. */
export interface Recovered {
  /** Ids of deliveries that have ended or were handed over, by offset; an empty one stands for a record without any. */
  readonly deliveryIds: ReadonlyMap<number, ReadonlySet<string>>;
  /** Events of it that the ledger saw lately, oldest first; absent where duplicates are not looked for. */
  readonly seen?: SeenBefore;
}

export const NOTHING_RECOVERED: Recovered = { deliveryIds: new Map() };
