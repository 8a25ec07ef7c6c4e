import type { Gap, GapKind } from './merge.ts';
import { GAP_KINDS } from './merge.ts';
import { DUPLICATE_WINDOWS, MISSING_REASONS, PENDING_PLACES } from './standing.ts';
import type { DuplicateWindow, LedgerRecord, MissingReason, PendingPlace } from './standing.ts';

/** A record of the report's lists. Ids are empty where only its place is known. */
export interface ListedRecord {
  readonly partition: number;
  readonly offset: number;
  readonly tenant: string;
  readonly eventId: string;
  /** Where it is pending, why it is missing, which window repeated it. */
  readonly what: PendingPlace | MissingReason | DuplicateWindow;
  /** Of the delivery it is about; empty when it is about the whole record. */
  readonly destinationId: string;
}

export interface ListedGap extends Gap {
  readonly partition: number;
}

/** Counts are of records, those of `duplicated` and `maybeTwice` of deliveries, those of `gaps` of offsets. */
export interface ReconcileTotals {
  /** Complete, pending and missing together. */
  records: number;
  complete: number;
  /** Of the complete ones: Kafka has them no longer. */
  completeAndGone: number;
  /** Deliveries of all records, as far as the ledger knows them. */
  deliveries: number;
  readonly pending: Record<PendingPlace, number>;
  readonly missing: Record<MissingReason, number>;
  readonly duplicated: Record<DuplicateWindow, number>;
  maybeTwice: number;
  readonly gaps: Record<GapKind, number>;
}

type ListName = 'pending' | 'missing' | 'duplicated';

/** Totals of everything, and the first of each kind: its size does not depend on the topic's. */
export class ReconcileReport {
  readonly totals: ReconcileTotals = {
    records: 0,
    complete: 0,
    completeAndGone: 0,
    deliveries: 0,
    pending: zeros(PENDING_PLACES),
    missing: zeros(MISSING_REASONS),
    duplicated: zeros(DUPLICATE_WINDOWS),
    maybeTwice: 0,
    gaps: zeros(GAP_KINDS),
  };
  readonly lists: Record<ListName, ListedRecord[]> = { pending: [], missing: [], duplicated: [] };
  readonly gaps: ListedGap[] = [];
  readonly #limit: number;

  /** @param limit most entries of each list. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  get missing(): number {
    return sumOf(this.totals.missing);
  }

  get pending(): number {
    return sumOf(this.totals.pending);
  }

  get duplicated(): number {
    return sumOf(this.totals.duplicated);
  }

  addComplete(isOnKafka: boolean): void {
    this.totals.records++;
    this.totals.complete++;
    if (!isOnKafka) this.totals.completeAndGone++;
  }

  addPending(where: PendingPlace, at: RecordPlace): void {
    this.totals.records++;
    this.totals.pending[where]++;
    this.#list('pending', at, where, '');
  }

  addMissing(why: MissingReason, at: RecordPlace, destinationId = ''): void {
    this.totals.records++;
    this.totals.missing[why]++;
    this.#list('missing', at, why, destinationId);
  }

  addDuplicate(window: DuplicateWindow, at: RecordPlace, destinationId: string): void {
    this.totals.duplicated[window]++;
    this.#list('duplicated', at, window, destinationId);
  }

  addGap(gap: ListedGap): void {
    this.totals.gaps[gap.kind] += gap.end - gap.from;
    const last = this.gaps.at(-1);
    // Spans are read one after the other, so a gap may go on in the next one.
    if (last?.partition === gap.partition && last.end === gap.from && last.kind === gap.kind) {
      this.gaps[this.gaps.length - 1] = { ...last, end: gap.end };
    } else if (this.gaps.length < this.#limit) this.gaps.push(gap);
  }

  #list(name: ListName, at: RecordPlace, what: ListedRecord['what'], destinationId: string): void {
    const list = this.lists[name];
    if (list.length >= this.#limit) return;
    const { partition, offset, ledger } = at;
    const { tenant = '', eventId = '' } = ledger ?? {};
    list.push({ partition, offset, tenant, eventId, what, destinationId });
  }
}

/** Which record an entry is about, and what the ledger knows of it. */
export interface RecordPlace {
  readonly partition: number;
  readonly offset: number;
  readonly ledger: Pick<LedgerRecord, 'tenant' | 'eventId'> | null;
}

function zeros<Key extends string>(keys: readonly Key[]): Record<Key, number> {
  return Object.fromEntries(keys.map((key) => [key, 0])) as Record<Key, number>;
}

function sumOf(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}
