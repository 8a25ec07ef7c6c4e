import type { RecordHeader } from './record.ts';

/** Told once of each record; an error carries Kafka's code. */
export type OnAck = (error: (Error & { readonly code: number }) | null) => void;

/** What the stages need of a producer; it never changes the order of what it took. */
export interface RecordProducer {
  /**
   * @param partition null leaves the choice to the key's hash.
   * @returns false when the queue is full.
   * @throws Error for what it can never send.
   */
  produce(
    topic: string,
    partition: number | null,
    key: Buffer | null,
    value: Buffer | null,
    headers: readonly RecordHeader[],
    onAck: OnAck,
  ): boolean;
}
