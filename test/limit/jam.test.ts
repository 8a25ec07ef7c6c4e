/**
 * Proves that what a slow destination sends away comes back spread over the time
 * that it needs for it: not all at once, not before a second, and not in days.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Jam } from '../../src/limit/jam.ts';
import { variantOf } from '../domain/planted-bug.ts';

const SOONEST_MS = 1_000;
const LATEST_MS = 3_600_000;

/**
 * A destination that ends one delivery each `everyMs` is sent deliveries; some of
 * them book a time to come back.
 */
function paced(Tested: typeof Jam): fc.IProperty<[number, number]> {
  return fc.property(
    fc.integer({ min: 5, max: 2_000 }),
    fc.integer({ min: 1, max: 4_000 }),
    (everyMs, count) => {
      const jam = new Tested();
      jam.begin(0);
      let nowMs = 0;
      for (let i = 0; i < 200; i++) jam.onEnd((nowMs += everyMs));
      const backMs = Array.from({ length: count }, () => nowMs + jam.book(nowMs));
      expect(Math.min(...backMs)).toBeGreaterThanOrEqual(nowMs + SOONEST_MS);
      expect(Math.max(...backMs)).toBeLessThanOrEqual(nowMs + LATEST_MS);
      for (let i = 1; i < backMs.length; i++) {
        const gapMs = (backMs[i] as number) - (backMs[i - 1] as number);
        if ((backMs[i] as number) < nowMs + LATEST_MS) expect(gapMs).toBeGreaterThan(0.9 * everyMs);
        expect(gapMs).toBeLessThan(1.1 * everyMs);
      }
    },
  );
}

test('what is sent away comes back at the pace of the destination', () => {
  fc.assert(paced(Jam), { numRuns: 50 });
});

describe('a planted bug is caught', () => {
  test.each([
    ['all at once', ' + intervalMs;', ';'],
    ['at once', 'nowMs + SOONEST_MS - intervalMs', 'nowMs'],
    ['never', 'Math.min(nextMs, nowMs + LATEST_MS)', 'nextMs'],
    ['the first guess for ever', 'this.#intervalMs += ', 'void '],
  ])('%s', async (_what, from, to) => {
    const { Jam: Buggy } = await variantOf<{ Jam: typeof Jam }>('limit/jam.ts', [from, to]);
    expect(fc.check(paced(Buggy), { numRuns: 50, endOnFailure: true }).failed).toBe(true);
  });
});

test('a destination that ends nothing is taken to be as slow as that', () => {
  const jam = new Jam();
  jam.begin(0);
  expect(jam.book(30_000)).toBe(SOONEST_MS);
  expect(jam.book(30_000)).toBe(SOONEST_MS + 30_000);
});

test('what ends between two jams tells nothing of the pace', () => {
  const jam = new Jam();
  for (let i = 1; i <= 100; i++) jam.onEnd(i * 60_000);
  jam.begin(6_000_000);
  expect(jam.book(6_000_000)).toBe(SOONEST_MS);
  expect(jam.book(6_000_000)).toBeLessThan(SOONEST_MS + 100);
});
