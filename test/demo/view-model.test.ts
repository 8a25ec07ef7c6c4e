/** What the live view shows is what was counted: rates over a window, quantiles of recent receipts only. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { viewOf, withSample, type DemoSample } from '../../src/demo/view-model.ts';
import { LATENCY_BUCKETS, latencyBucket } from '../../src/observability/latency-buckets.ts';

interface Counts {
  readonly polled?: number;
  readonly delivered?: readonly number[];
  readonly inFlight?: number;
  /** Receipts so far, by how long they took. */
  readonly receipts?: Readonly<Record<number, number>>;
}

function sample(
  atMs: number,
  { polled = 0, delivered = [0], inFlight = 0, receipts = {} }: Counts = {},
): DemoSample {
  const receiptBuckets = new Float64Array(LATENCY_BUCKETS);
  for (const [ms, count] of Object.entries(receipts))
    receiptBuckets[latencyBucket(Number(ms) / 1_000)]! += count;
  return {
    atMs,
    recordsPolled: polled,
    lagRecords: 7,
    waitingRetries: 3,
    breakersOpened: 1,
    ledgerRows: 11,
    rssBytes: 13,
    receiptBuckets,
    destinations: delivered.map((count, index) => ({
      id: `d${index}`,
      delivered: count,
      retried: 2,
      dead: 1,
      inFlight,
    })),
  };
}

describe('a view', () => {
  test('of nothing is refused', () => {
    expect(() => viewOf([])).toThrow(RangeError);
  });

  test('of the first sample has no rates and no quantiles', () => {
    const view = viewOf([sample(1_000, { polled: 50, delivered: [40] })]);
    expect(view).toMatchObject({ readPerSecond: 0, deliveredPerSecond: 0, p50Ms: null, p99Ms: null });
    expect(view).toMatchObject({
      lagRecords: 7,
      waitingRetries: 3,
      breakersOpened: 1,
      ledgerRows: 11,
      rssBytes: 13,
    });
  });

  test('tells rates of the last two seconds, not of the whole run', () => {
    const samples = [
      sample(0, { polled: 0 }),
      sample(8_000, { polled: 8_000, delivered: [8_000] }),
      sample(9_000, { polled: 8_500, delivered: [8_100] }),
      sample(10_000, { polled: 9_000, delivered: [8_200] }),
    ];
    expect(viewOf(samples)).toMatchObject({ readPerSecond: 500, deliveredPerSecond: 100 });
  });

  test('adds up the destinations', () => {
    const samples = [sample(0, { delivered: [0, 0] }), sample(2_000, { delivered: [200, 60], inFlight: 4 })];
    const view = viewOf(samples);
    expect(view).toMatchObject({ deliveredPerSecond: 130, inFlight: 8 });
    expect(view.destinations.map(({ id, deliveredPerSecond }) => [id, deliveredPerSecond])).toEqual([
      ['d0', 100],
      ['d1', 30],
    ]);
  });

  test('tells quantiles of the last five seconds: a slow start is forgotten', () => {
    const slowStart = { 4_000: 1_000 };
    const samples = [
      sample(0),
      sample(1_000, { receipts: slowStart }),
      sample(7_000, { receipts: { ...slowStart, 10: 100 } }),
    ];
    expect(viewOf(samples.slice(0, 2)).p50Ms).toBeGreaterThan(2_000);
    expect(viewOf(samples).p99Ms).toBeLessThan(20);
  });

  test('has the deliveries of each of the last ten seconds, the latest last', () => {
    const samples = Array.from({ length: 13 }, (_, second) =>
      sample(second * 1_000, { delivered: [second * (second + 1)] }),
    );
    expect(viewOf(samples).destinations[0]?.history).toEqual([6, 8, 10, 12, 14, 16, 18, 20, 22, 24]);
  });

  test('forgets samples that no window reaches, and keeps those that one does', () => {
    let samples: DemoSample[] = [];
    for (let second = 0; second < 60; second++) samples = withSample(samples, sample(second * 1_000));
    expect(samples.length).toBeLessThan(20);
    expect(samples[0]!.atMs).toBeLessThanOrEqual(59_000 - 10_000);
  });
});

test('whatever the counters do, the history adds up to what was delivered in its time', () => {
  const step = fc.record({ ms: fc.integer({ min: 1, max: 900 }), delivered: fc.nat({ max: 500 }) });
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 60 }), (steps) => {
      let samples: DemoSample[] = [sample(0)];
      let [atMs, delivered] = [0, 0];
      for (const next of steps) {
        atMs += next.ms;
        delivered += next.delivered;
        samples = withSample(samples, sample(atMs, { delivered: [delivered] }));
      }
      const oldest = samples.findLast((candidate) => candidate.atMs <= atMs - 10_000) ?? samples[0]!;
      const { history, deliveredPerSecond } = viewOf(samples).destinations[0]!;
      expect(history.reduce((sum, count) => sum + count, 0)).toBe(
        delivered - oldest.destinations[0]!.delivered,
      );
      expect(deliveredPerSecond).toBeGreaterThanOrEqual(0);
    }),
  );
});
