import type { Span } from './merge.ts';
import type { ReconcileReport, RecordPlace } from './report.ts';
import type { LedgerRecord, PartitionFacts, UnfinishedDelivery } from './standing.ts';

/** A delivery that waits in a delay topic. */
export interface WaitingRetry {
  readonly deliveryId: string;
  readonly sourceOffset: number;
}

/** What the search needs of Kafka and the ledger. */
export interface WaitingParts {
  readonly delayTopics: {
    /** Every retry of a source partition that the delay topics hold and the group has not committed. */
    scan(partition: number, onRetry: (retry: WaitingRetry) => void): Promise<void>;
  };
  readonly ledger: {
    /** What the ledger has of a span now, ascending by offset. */
    records(span: Span): Promise<readonly LedgerRecord[]>;
  };
}

/** A record whose deliveries left, all that are not finished. */
interface Candidate extends RecordPlace {
  readonly isOnKafka: boolean;
  /** Deliveries of which nothing is known yet, with the rows that the ledger had of each. */
  readonly left: Map<string, UnfinishedDelivery>;
  isWaiting: boolean;
}

/** A retry that moves on while it is looked for is found at the next look, or the ledger knows more of it by then. */
const LOOKS = 3;
/** Candidates that are near one another are asked for together. */
const LEDGER_SPAN_OFFSETS = 10_000;

/**
 * Finds out what became of deliveries that left for a delay topic: they wait there, or the ledger has heard
 * of them meanwhile, or they are lost. A retry may be handed on to another delay topic, or end, while
 * this looks: lost is only what several looks, each at Kafka and then at the ledger, did not find.
 */
export class RetrySearch {
  readonly #partition: number;
  readonly #isLedgerWhole: boolean;
  readonly #parts: WaitingParts;
  readonly #report: ReconcileReport;
  readonly #candidates = new Map<number, Candidate>();
  #deliveries = 0;

  constructor(
    { partition, isLedgerWhole }: { readonly partition: number } & PartitionFacts,
    parts: WaitingParts,
    report: ReconcileReport,
  ) {
    this.#partition = partition;
    this.#isLedgerWhole = isLedgerWhole;
    this.#parts = parts;
    this.#report = report;
  }

  /** Deliveries to look for. */
  get size(): number {
    return this.#deliveries;
  }

  add(record: LedgerRecord, isOnKafka: boolean): void {
    const { offset, tenant, eventId, unfinished } = record;
    this.#candidates.set(offset, {
      partition: this.#partition,
      offset,
      ledger: { tenant, eventId },
      isOnKafka,
      left: new Map(unfinished.map((delivery) => [delivery.deliveryId, delivery])),
      isWaiting: false,
    });
    this.#deliveries += unfinished.length;
  }

  /** Looks for all that were added, tells the report, and forgets them. */
  async run(): Promise<void> {
    for (let look = 1; look <= LOOKS && this.#hasUnknown(); look++) {
      await this.#parts.delayTopics.scan(this.#partition, ({ deliveryId, sourceOffset }) => {
        const candidate = this.#candidates.get(sourceOffset);
        if (candidate?.left.delete(deliveryId) === true) candidate.isWaiting = true;
      });
      if (this.#hasUnknown()) await this.#askLedger();
    }
    for (const candidate of this.#candidates.values()) {
      const [lost] = candidate.left.values();
      if (lost !== undefined && this.#isLedgerWhole)
        this.#report.addMissing('retry_lost', candidate, lost.destinationId);
      else if (lost !== undefined) this.#report.addPending('overflow', candidate);
      else if (candidate.isWaiting) this.#report.addPending('delay_topic', candidate);
      else this.#report.addComplete(candidate.isOnKafka);
    }
    this.#candidates.clear();
    this.#deliveries = 0;
  }

  #hasUnknown(): boolean {
    for (const { left } of this.#candidates.values()) if (left.size > 0) return true;
    return false;
  }

  async #askLedger(): Promise<void> {
    const unknown = [...this.#candidates.values()].filter(({ left }) => left.size > 0);
    for (const { from, end } of spansOf(unknown.map(({ offset }) => offset))) {
      for (const record of await this.#parts.ledger.records({ partition: this.#partition, from, end })) {
        const candidate = this.#candidates.get(record.offset);
        if (candidate !== undefined) learn(candidate, record);
      }
    }
  }
}

/** A delivery that ended meanwhile is done; one with more rows has been tried, and left once more. */
function learn(candidate: Candidate, { unfinished }: LedgerRecord): void {
  const open = new Map(unfinished.map((delivery) => [delivery.deliveryId, delivery]));
  for (const [deliveryId, known] of candidate.left) {
    const now = open.get(deliveryId);
    if (now?.rows === known.rows) continue;
    candidate.left.delete(deliveryId);
    if (now !== undefined) candidate.isWaiting = true;
  }
}

function spansOf(offsets: readonly number[]): { from: number; end: number }[] {
  const spans: { from: number; end: number }[] = [];
  for (const offset of [...offsets].sort((a, b) => a - b)) {
    const last = spans.at(-1);
    if (last !== undefined && offset < last.from + LEDGER_SPAN_OFFSETS) last.end = offset + 1;
    else spans.push({ from: offset, end: offset + 1 });
  }
  return spans;
}
