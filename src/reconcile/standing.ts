/**
 * How one offset of a source partition stands, by what Kafka and the ledger say of it. Pure; it imports
 * nothing, so that its tests can plant bugs in it.
 */

/** A delivery that the ledger knows no end of. */
export interface UnfinishedDelivery {
  readonly deliveryId: string;
  readonly destinationId: string;
  /** How many rows tell of it. */
  readonly rows: number;
  /** A row says that it left for a delay topic: to be tried again, or redriven. */
  readonly hasLeft: boolean;
}

/** A delivery that ended more than once in one life; a redrive begins another life. */
export interface RepeatedDelivery {
  readonly deliveryId: string;
  readonly destinationId: string;
  /** Rows with the outcome `delivered`. */
  readonly delivered: number;
  readonly redrives: number;
  /** From how many records (source and delay topics) it was delivered. */
  readonly places: number;
  /** By how many processes it was delivered. */
  readonly processes: number;
}

/** Everything the ledger says of the record at one offset. */
export interface LedgerRecord {
  readonly offset: number;
  readonly tenant: string;
  readonly eventId: string;
  /** Deliveries of it; 1 for a record that has an outcome of its own, such as `filtered`. */
  readonly deliveries: number;
  /** Deliveries that the event was to have, by its row, and of which there is none. */
  readonly absent: number;
  readonly unfinished: readonly UnfinishedDelivery[];
  readonly repeated: readonly RepeatedDelivery[];
  /** Delivered ones with an attempt before of which nobody knows whether it arrived. */
  readonly maybeTwice: number;
}

/** One offset, seen from both sides. At least one of them has it. */
export interface Place {
  readonly offset: number;
  readonly isOnKafka: boolean;
  readonly ledger: LedgerRecord | null;
}

export interface PartitionFacts {
  /** What the group had committed before the ledger was asked; −1 for nothing. */
  readonly committed: number;
  /** Nothing was in the overflow topic, after the committed offset was asked for: the ledger has every row below it. */
  readonly isLedgerWhole: boolean;
}

/**
 * - `uncommitted`  the ledger has no row yet: not read, in a lane, or in a batch that is not inserted.
 * - `open`         the ledger has rows; others may follow, since the offset is not committed.
 * - `delay_topic`  committed, and its retry waits in a delay topic.
 * - `overflow`     committed, and what the ledger does not have of it may be in the overflow topic.
 */
export const PENDING_PLACES = ['uncommitted', 'open', 'delay_topic', 'overflow'] as const;
export type PendingPlace = (typeof PENDING_PLACES)[number];

/**
 * - `no_row`       committed, and the ledger has nothing about it.
 * - `no_delivery`  committed, and of a delivery that the event was to have there is no row.
 * - `no_end`       committed, and a delivery neither ended nor left for a delay topic.
 * - `retry_lost`   a delivery left for a delay topic, where it is no longer, and has no end.
 */
export const MISSING_REASONS = ['no_row', 'no_delivery', 'no_end', 'retry_lost'] as const;
export type MissingReason = (typeof MISSING_REASONS)[number];

export type Standing =
  | { readonly kind: 'complete' }
  | { readonly kind: 'pending'; readonly where: PendingPlace }
  | { readonly kind: 'missing'; readonly why: MissingReason }
  /** Its retries have to be looked for; complete, pending or missing by what is found. */
  | { readonly kind: 'retrying' };

/**
 * What is committed has all of its rows, so rows that are absent below the committed offset are missing;
 * from there on nothing is known to be missing yet.
 */
export function standingOf(
  { offset, ledger }: Place,
  { committed, isLedgerWhole }: PartitionFacts,
): Standing {
  const isCommitted = offset < committed;
  if (!isCommitted) return { kind: 'pending', where: ledger === null ? 'uncommitted' : 'open' };
  if (ledger !== null && ledger.absent === 0) {
    if (ledger.unfinished.length === 0) return { kind: 'complete' };
    if (ledger.unfinished.every(({ hasLeft }) => hasLeft)) return { kind: 'retrying' };
  }
  if (!isLedgerWhole) return { kind: 'pending', where: 'overflow' };
  if (ledger === null) return { kind: 'missing', why: 'no_row' };
  return { kind: 'missing', why: ledger.absent > 0 ? 'no_delivery' : 'no_end' };
}

/**
 * Which window of GUARANTEES.md a repeated delivery fell into, as far as rows tell it.
 *
 * - `redrive`       a redrive that was cut short, or two at a time, handed it over twice.
 * - `hand_over`     its record and a retry of it were both delivered: a crash between the broker's
 *                   acknowledgement of the retry and the ledger's of its row.
 * - `owner_change`  two processes delivered it: a crash, or a revocation whose deadline passed.
 * - `lane_restart`  one process delivered it twice: a lane thread was replaced.
 */
export const DUPLICATE_WINDOWS = ['redrive', 'hand_over', 'owner_change', 'lane_restart'] as const;
export type DuplicateWindow = (typeof DUPLICATE_WINDOWS)[number];

export function windowOf({ redrives, places, processes }: RepeatedDelivery): DuplicateWindow {
  if (redrives > 0) return 'redrive';
  if (places > 1) return 'hand_over';
  return processes > 1 ? 'owner_change' : 'lane_restart';
}
