/** Proves that durations land in the right bucket, and that quantiles read from buckets are as good as their bounds. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  LATENCY_BOUNDS,
  LATENCY_BUCKETS,
  latencyBucket,
  quantile,
} from '../../src/observability/latency-buckets.ts';

const plainBucket = (seconds: number): number => {
  const found = LATENCY_BOUNDS.findIndex((bound) => seconds <= bound);
  return found === -1 ? LATENCY_BOUNDS.length : found;
};

describe('bounds', () => {
  test('they ascend from 0.5 ms past 600 s, five a decade', () => {
    expect(LATENCY_BOUNDS[0]).toBe(0.0005);
    expect(LATENCY_BOUNDS.at(-1)).toBeGreaterThanOrEqual(600);
    expect(LATENCY_BUCKETS).toBe(LATENCY_BOUNDS.length + 1);
    const ratios = LATENCY_BOUNDS.slice(1).map((bound, i) => bound / LATENCY_BOUNDS[i]!);
    for (const ratio of ratios) {
      expect(ratio).toBeGreaterThan(1.5);
      expect(ratio).toBeLessThan(1.65);
    }
  });

  test('each is a short decimal, so that `le` labels are readable', () => {
    for (const bound of LATENCY_BOUNDS) expect(String(bound)).toMatch(/^\d+(\.\d{1,5})?$/);
  });
});

describe('latencyBucket', () => {
  const neighbours = (x: number): number[] => {
    const bits = new BigUint64Array(new Float64Array([x]).buffer);
    const value = (b: bigint): number => new Float64Array(new BigUint64Array([b]).buffer)[0]!;
    return [value(bits[0]! - 1n), x, value(bits[0]! + 1n)];
  };

  test('agrees with a plain search at every bound and at the doubles next to it', () => {
    for (const seconds of LATENCY_BOUNDS.flatMap(neighbours)) {
      expect([seconds, latencyBucket(seconds)]).toEqual([seconds, plainBucket(seconds)]);
    }
  });

  test('agrees with a plain search for any duration', () => {
    const spread = fc.double({ min: -12, max: 12, noNaN: true }).map(Math.exp);
    const any = fc.double({ min: 0, noNaN: true });
    fc.assert(
      fc.property(fc.oneof(spread, any), (seconds) => latencyBucket(seconds) === plainBucket(seconds)),
      { numRuns: 5_000 },
    );
  });
});

describe('quantile', () => {
  const counted = (durations: readonly number[]): Float64Array => {
    const buckets = new Float64Array(LATENCY_BUCKETS);
    for (const seconds of durations) buckets[latencyBucket(seconds)]! += 1;
    return buckets;
  };

  test('nothing counted is NaN', () => {
    expect(quantile(new Float64Array(LATENCY_BUCKETS), 0.5)).toBeNaN();
  });

  test('beyond the highest bound it answers that bound', () => {
    expect(quantile(counted([5_000]), 0.99)).toBe(LATENCY_BOUNDS.at(-1));
  });

  test('lies in the bucket of the true quantile', () => {
    const durations = fc.array(fc.double({ min: 0.000_01, max: 800, noNaN: true }), {
      minLength: 1,
      maxLength: 200,
    });
    fc.assert(
      fc.property(durations, fc.double({ min: 0.01, max: 1, noNaN: true }), (sample, q) => {
        const sorted = [...sample].sort((a, b) => a - b);
        const truth = plainBucket(sorted[Math.ceil(q * sorted.length) - 1]!);
        const estimate = quantile(counted(sample), q);
        const upper = LATENCY_BOUNDS[truth]!;
        const lower = truth === 0 ? 0 : LATENCY_BOUNDS[truth - 1]!;
        expect(estimate).toBeGreaterThanOrEqual(lower);
        expect(estimate).toBeLessThanOrEqual(upper);
      }),
    );
  });
});
