import { mergeSpan } from './merge.ts';
import type { Span } from './merge.ts';
import type { ReconcileReport } from './report.ts';
import { standingOf, windowOf } from './standing.ts';
import type { PartitionFacts, Place } from './standing.ts';
import { RetrySearch } from './waiting.ts';
import type { WaitingParts } from './waiting.ts';

/** One partition, as it was when the run began. */
export interface PartitionPlan extends Span, PartitionFacts {
  /** The first offset that the partition still held. */
  readonly low: number;
}

export interface ReconcileParts extends WaitingParts {
  readonly topic: {
    /** Tells the offsets of a span that hold a record, in their order, in pieces. */
    offsets(span: Span, onOffsets: (offsets: readonly number[]) => void): Promise<void>;
  };
  /** Ends it after the span in hand. */
  readonly stop: AbortSignal;
  /** Told how many offsets are done. */
  onProgress(done: number): void;
}

/** Offsets that are held of both sides at once, and deliveries that are looked for at once: the bounds of its memory. */
const SPAN_OFFSETS = 10_000;
const SEARCH_MAX_DELIVERIES = 100_000;

/**
 * Compares partitions of a source topic with the ledger, span after span. Its memory depends on neither side's
 * size, and nothing has to stand still meanwhile: the ledger is asked after the committed offset, below
 * which it has every row.
 *
 * @returns whether it came to the end, which `stop` may have prevented.
 * @throws Error when Kafka or the ledger does not answer.
 */
export async function reconcile(
  plans: readonly PartitionPlan[],
  parts: ReconcileParts,
  report: ReconcileReport,
): Promise<boolean> {
  let done = 0;
  for (const plan of plans) {
    const search = new RetrySearch(plan, parts, report);
    for (let from = plan.from; from < plan.end; from += SPAN_OFFSETS) {
      if (parts.stop.aborted) return false;
      const span = { partition: plan.partition, from, end: Math.min(from + SPAN_OFFSETS, plan.end) };
      await reconcileSpan(plan, span, parts, report, search);
      if (search.size >= SEARCH_MAX_DELIVERIES) await search.run();
      done += span.end - span.from;
      parts.onProgress(done);
    }
    await search.run();
  }
  return true;
}

async function reconcileSpan(
  plan: PartitionPlan,
  span: Span,
  parts: ReconcileParts,
  report: ReconcileReport,
  search: RetrySearch,
): Promise<void> {
  const onKafka: number[] = [];
  const [inLedger] = await Promise.all([
    parts.ledger.records(span),
    parts.topic.offsets(span, (offsets) => {
      for (const offset of offsets) onKafka.push(offset);
    }),
  ]);
  mergeSpan(span, onKafka, inLedger, plan.low, {
    gap: (gap) => {
      report.addGap({ partition: span.partition, ...gap });
    },
    place: (place) => {
      judge(place, plan, report, search);
    },
  });
}

function judge(place: Place, plan: PartitionPlan, report: ReconcileReport, search: RetrySearch): void {
  const { offset, isOnKafka, ledger } = place;
  const at = { partition: plan.partition, offset, ledger };
  if (ledger !== null) {
    report.totals.deliveries += ledger.deliveries;
    report.totals.maybeTwice += ledger.maybeTwice;
    for (const repeated of ledger.repeated)
      report.addDuplicate(windowOf(repeated), at, repeated.destinationId);
  }
  const standing = standingOf(place, plan);
  switch (standing.kind) {
    case 'complete':
      report.addComplete(isOnKafka);
      return;
    case 'pending':
      report.addPending(standing.where, at);
      return;
    case 'missing':
      report.addMissing(standing.why, at, ledger?.unfinished.find(({ hasLeft }) => !hasLeft)?.destinationId);
      return;
    case 'retrying':
      if (ledger !== null) search.add(ledger, isOnKafka);
  }
}
