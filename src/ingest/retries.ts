import type { RecordHeader } from '../domain/record.ts';
import type { RetryHeaders } from '../domain/retry-headers.ts';

/** A record of a delay topic that has to wait in another one; its source record is admitted, and held until the broker's ack. */
export interface Hop {
  readonly assignment: number;
  readonly sequence: number;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers: readonly RecordHeader[];
  readonly dueAtMs: number;
  readonly note: RetryHeaders;
}

/** How intake deals with records of delay topics. */
export interface Retries {
  /** Null for headers that are no retry's. */
  read(headers: readonly RecordHeader[]): RetryHeaders | null;
  /** Whether a record that its topic releases now waits in another one. */
  isHopNeeded(dueMs: number, nowMs: number): boolean;
  /**
   * Whether another record that says the same was read before, so that this one has nothing left to do.
   * @param isHop it has to wait in another topic; if not, it is tried.
   */
  isCopy(note: RetryHeaders, isHop: boolean, assignment: number, offset: number): boolean;
  hop(hop: Hop): void;
}
