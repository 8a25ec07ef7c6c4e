/** Proves that a retry never comes before the promised delay, never later than the cap and its jitter allow. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { backoffMs } from '../../src/retry/backoff.ts';
import { variantOf } from '../domain/planted-bug.ts';

type Backoff = typeof backoffMs;

const policy = fc
  .tuple(fc.nat(60_000), fc.nat(60_000), fc.integer({ min: 1, max: 10 }))
  .map(([initialDelayMs, maxDelayMs, maxAttempts]) => ({ initialDelayMs, maxDelayMs, maxAttempts }));
const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

function bounds(
  tested: Backoff,
): fc.IProperty<[{ initialDelayMs: number; maxDelayMs: number; maxAttempts: number }, number, number]> {
  return fc.property(policy, fc.integer({ min: 1, max: 10 }), random, (of, attempt, chance) => {
    // The naive form of the rule: double, one failed attempt after the other.
    let promisedMs = of.initialDelayMs;
    for (let i = 1; i < attempt; i++) promisedMs *= 2;
    promisedMs = Math.min(promisedMs, of.maxDelayMs);
    const delayMs = tested(of, attempt, chance);
    expect(delayMs).toBeGreaterThanOrEqual(promisedMs);
    expect(delayMs).toBeLessThanOrEqual(promisedMs * 1.25);
    expect(tested(of, attempt, 0)).toBe(promisedMs);
  });
}

test('between the doubled initial delay, capped, and a quarter more', () => {
  fc.assert(bounds(backoffMs), { numRuns: 1_000 });
});

test('the delays of a default-like policy', () => {
  const of = { initialDelayMs: 500, maxDelayMs: 5_000, maxAttempts: 10 };
  expect([1, 2, 3, 4, 5, 6].map((attempt) => backoffMs(of, attempt, 0))).toEqual([
    500, 1_000, 2_000, 4_000, 5_000, 5_000,
  ]);
  expect(backoffMs(of, 1, 0.5)).toBe(562.5);
});

describe('a planted bug is caught', () => {
  test.each([
    ['jitter that shortens', '(1 + JITTER_SHARE * random)', '(1 - JITTER_SHARE * random)'],
    ['no cap', 'Math.min(exponential, policy.maxDelayMs)', 'exponential'],
    ['counts from 0', '(attempt - 1)', 'attempt'],
  ])('%s', async (_what, from, to) => {
    const { backoffMs: buggy } = await variantOf<{ backoffMs: Backoff }>('retry/backoff.ts', [from, to]);
    expect(fc.check(bounds(buggy), { numRuns: 1_000 }).failed).toBe(true);
  });
});
