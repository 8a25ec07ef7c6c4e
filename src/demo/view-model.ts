import { quantile } from '../observability/latency-buckets.ts';

/** What is known at one moment. Counts only grow, but for those that say what is there now. */
export interface DemoSample {
  /** Monotonic. */
  readonly atMs: number;
  readonly recordsPolled: number;
  /** Now: produced and not durable in the ledger yet. */
  readonly lagRecords: number;
  /** Now: in the delay topics, as far as the consumer has looked into them. */
  readonly waitingRetries: number;
  readonly breakersOpened: number;
  readonly ledgerRows: number;
  readonly rssBytes: number;
  /** From produce to receipt: counts per bucket of `observability/latency-buckets.ts`. */
  readonly receiptBuckets: Float64Array;
  readonly destinations: readonly DestinationSample[];
}

export interface DestinationSample {
  readonly id: string;
  readonly delivered: number;
  readonly retried: number;
  readonly dead: number;
  /** Now. */
  readonly inFlight: number;
}

/** What a person is shown. Rates and quantiles are those of the last few seconds; null when there was nothing. */
export interface DemoView {
  readonly readPerSecond: number;
  readonly deliveredPerSecond: number;
  readonly inFlight: number;
  readonly lagRecords: number;
  readonly waitingRetries: number;
  readonly breakersOpened: number;
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  readonly ledgerRows: number;
  readonly rssBytes: number;
  readonly destinations: readonly DestinationView[];
}

export interface DestinationView extends DestinationSample {
  readonly deliveredPerSecond: number;
  /** Deliveries in each of the last seconds, the oldest first. */
  readonly history: readonly number[];
}

const RATE_WINDOW_MS = 2_000;
const QUANTILE_WINDOW_MS = 5_000;
const HISTORY_SECONDS = 10;
const SECOND_MS = 1_000;
/** A sample to compare the oldest second with is kept beyond it. */
const KEPT_MS = (HISTORY_SECONDS + 2) * SECOND_MS;

/** The samples with one more, without those that no view looks back to. */
export function withSample(samples: readonly DemoSample[], sample: DemoSample): DemoSample[] {
  return [...samples.filter(({ atMs }) => atMs >= sample.atMs - KEPT_MS), sample];
}

/**
 * @param samples oldest first, at least one.
 * @throws RangeError when there is none.
 */
export function viewOf(samples: readonly DemoSample[]): DemoView {
  const last = samples.at(-1);
  if (last === undefined) throw new RangeError('a view needs a sample');
  const before = sampleBefore(samples, last.atMs - RATE_WINDOW_MS);
  const { lagRecords, waitingRetries, breakersOpened, ledgerRows, rssBytes } = last;
  const destinations = last.destinations.map((_, index) => destinationView(samples, last, before, index));
  const receipts = receiptsSince(last, sampleBefore(samples, last.atMs - QUANTILE_WINDOW_MS));
  return {
    readPerSecond: rate(before, last, ({ recordsPolled }) => recordsPolled),
    deliveredPerSecond: sum(destinations, ({ deliveredPerSecond }) => deliveredPerSecond),
    inFlight: sum(destinations, ({ inFlight }) => inFlight),
    lagRecords,
    waitingRetries,
    breakersOpened,
    p50Ms: quantileMs(receipts, 0.5),
    p99Ms: quantileMs(receipts, 0.99),
    ledgerRows,
    rssBytes,
    destinations,
  };
}

/** The newest sample that is not younger, else the oldest there is. */
function sampleBefore(samples: readonly DemoSample[], atMs: number): DemoSample {
  return samples.findLast((sample) => sample.atMs <= atMs) ?? (samples[0] as DemoSample);
}

function destinationView(
  samples: readonly DemoSample[],
  last: DemoSample,
  before: DemoSample,
  index: number,
): DestinationView {
  const deliveredIn = ({ destinations }: DemoSample): number => destinations[index]?.delivered ?? 0;
  const history = Array.from({ length: HISTORY_SECONDS }, (_, second) => {
    const endMs = last.atMs - (HISTORY_SECONDS - 1 - second) * SECOND_MS;
    return deliveredIn(sampleBefore(samples, endMs)) - deliveredIn(sampleBefore(samples, endMs - SECOND_MS));
  });
  return {
    ...(last.destinations[index] as DestinationSample),
    deliveredPerSecond: rate(before, last, deliveredIn),
    history,
  };
}

function rate(before: DemoSample, last: DemoSample, count: (sample: DemoSample) => number): number {
  const elapsedMs = last.atMs - before.atMs;
  return elapsedMs <= 0 ? 0 : ((count(last) - count(before)) * SECOND_MS) / elapsedMs;
}

/** From the first sample on, when there is no other. */
function receiptsSince(last: DemoSample, before: DemoSample): Float64Array {
  if (before === last) return last.receiptBuckets;
  return last.receiptBuckets.map((count, bucket) => count - (before.receiptBuckets[bucket] ?? 0));
}

function quantileMs(buckets: Float64Array, q: number): number | null {
  const seconds = quantile(buckets, q);
  return Number.isNaN(seconds) ? null : seconds * SECOND_MS;
}

function sum<T>(items: readonly T[], value: (item: T) => number): number {
  return items.reduce((total, item) => total + value(item), 0);
}
