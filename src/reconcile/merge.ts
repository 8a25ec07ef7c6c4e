import type { LedgerRecord, Place } from './standing.ts';

/** Offsets of one partition, `from` included, `end` not. */
export interface Span {
  readonly partition: number;
  readonly from: number;
  readonly end: number;
}

/**
 * - `retention`  below the first offset that the partition still holds.
 * - `no_record`  Kafka gave the offset to nothing that a consumer sees, or holds it no longer: compaction,
 *                a transaction marker, a transaction that was aborted or is still open.
 */
export const GAP_KINDS = ['retention', 'no_record'] as const;
export type GapKind = (typeof GAP_KINDS)[number];

/** Offsets that neither side has. */
export interface Gap {
  readonly from: number;
  /** Not in it. */
  readonly end: number;
  readonly kind: GapKind;
}

/** What is told of the offsets of a span, each of them once, in their order. */
export interface MergeVisitor {
  place(place: Place): void;
  gap(gap: Gap): void;
}

/**
 * Merges what Kafka and the ledger have of a span.
 *
 * @param onKafka the span's offsets that hold a record, ascending.
 * @param inLedger the span's records of which the ledger has rows, ascending by offset.
 * @param low the first offset that the partition still holds.
 */
export function mergeSpan(
  { from, end }: Pick<Span, 'from' | 'end'>,
  onKafka: readonly number[],
  inLedger: readonly LedgerRecord[],
  low: number,
  visitor: MergeVisitor,
): void {
  let next = from;
  let k = 0;
  let l = 0;
  while (next < end) {
    const kafkaOffset = onKafka[k] ?? end;
    const record = inLedger[l] ?? null;
    const ledgerOffset = record?.offset ?? end;
    const offset = Math.min(kafkaOffset, ledgerOffset, end);
    tellGap(next, offset, low, visitor);
    if (offset >= end) return;
    const isOnKafka = kafkaOffset === offset;
    const isInLedger = ledgerOffset === offset;
    visitor.place({ offset, isOnKafka, ledger: isInLedger ? record : null });
    if (isOnKafka) k++;
    if (isInLedger) l++;
    next = offset + 1;
  }
}

function tellGap(from: number, end: number, low: number, visitor: MergeVisitor): void {
  const border = Math.min(Math.max(low, from), end);
  if (from < border) visitor.gap({ from, end: border, kind: 'retention' });
  if (border < end) visitor.gap({ from: border, end, kind: 'no_record' });
}
