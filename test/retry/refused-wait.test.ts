/**
 * Proves that what a breaker refuses never comes back while nothing is let through, comes
 * back at most an opening later than it could or half as late again as it has to wait, after
 * one delay topic if one fits, and some times only, however long its destination is down.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { refusedWaitMs, type RefusedDelivery } from '../../src/retry/refused-wait.ts';
import { variantOf } from '../domain/planted-bug.ts';

interface Wait {
  readonly refusedWaitMs: typeof refusedWaitMs;
}

const SECOND = 1_000;
const HOUR = 3_600 * SECOND;
const DELAYS = [1, 5, 30, 120, 600].map((seconds) => seconds * SECOND);
const unit = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const refused: fc.Arbitrary<RefusedDelivery> = fc
  .record({
    openingMs: fc.integer({ min: 1, max: HOUR }),
    left: unit,
    ageMs: fc.nat(6 * HOUR),
    maxDelayMs: fc.integer({ min: SECOND, max: HOUR }),
  })
  .map(({ left, ...delivery }) => ({ ...delivery, shutForMs: delivery.openingMs * left }));

function bounds({ refusedWaitMs: waitOf }: Wait): fc.IProperty<[RefusedDelivery, number]> {
  return fc.property(refused, unit, (delivery, random) => {
    const { shutForMs, openingMs, ageMs, maxDelayMs } = delivery;
    const waitMs = waitOf(DELAYS, delivery, () => random);
    const leastMs = Math.max(shutForMs, Math.min(ageMs / 2, maxDelayMs));
    const mostMs = leastMs + Math.max(openingMs, leastMs / 2);
    expect(waitMs).toBeGreaterThanOrEqual(leastMs);
    expect(waitMs).toBeLessThanOrEqual(mostMs);
    const isOneTopicEnough = DELAYS.some((delayMs) => delayMs >= leastMs && delayMs <= mostMs);
    if (isOneTopicEnough) expect(DELAYS).toContain(waitMs);
  });
}

/** A destination that is down for hours: what each of its deliveries costs. */
function returns({ refusedWaitMs: waitOf }: Wait): fc.IProperty<[number, number]> {
  return fc.property(fc.integer({ min: 10 * SECOND, max: 5 * HOUR }), unit, (downForMs, random) => {
    let ageMs = 0;
    let times = 0;
    for (; ageMs < downForMs; times++) {
      ageMs += waitOf(
        DELAYS,
        { shutForMs: SECOND, openingMs: SECOND, ageMs, maxDelayMs: HOUR },
        () => random,
      );
    }
    expect(times).toBeLessThanOrEqual(4 + Math.log(downForMs / SECOND) / Math.log(1.5));
  });
}

test('a wait is long enough, not much too long, and of one topic if one fits', () => {
  fc.assert(bounds({ refusedWaitMs }), { numRuns: 5_000 });
});

test('a delivery comes back as often as the logarithm of the time its destination is down', () => {
  fc.assert(returns({ refusedWaitMs }), { numRuns: 500 });
});

test('what is refused over an opening comes back over as long a time', () => {
  const openingMs = 30 * SECOND;
  const backAtMs = Array.from({ length: 300 }, (_, i) => {
    const refusedAtMs = (i * openingMs) / 300;
    const random = (): number => (i * 0.618) % 1;
    const shutForMs = openingMs - refusedAtMs;
    return refusedAtMs + refusedWaitMs(DELAYS, { shutForMs, openingMs, ageMs: 0, maxDelayMs: HOUR }, random);
  });
  for (let fromMs = openingMs; fromMs < 2 * openingMs; fromMs += openingMs / 10) {
    const inTime = backAtMs.filter((atMs) => atMs >= fromMs && atMs < fromMs + openingMs / 10);
    expect(inTime.length).toBeLessThan(100);
  }
});

describe('a planted bug is caught', () => {
  test.each([
    ['comes before it is let through', 'Math.max(shutForMs,', 'Math.min(shutForMs,', bounds],
    ['a topic that is too short', 'ms >= leastMs', 'ms >= leastMs / 2', bounds],
    ['a topic however long', '<= leastMs + latenessMs', '<= Infinity', bounds],
    ['no topic at all', '<= leastMs + latenessMs', '<= 0', bounds],
    ['no matter how old', 'ageMs * AGE_SHARE', '0', returns],
  ])('%s', async (_what, from, to, property) => {
    const buggy = await variantOf<Wait>('retry/refused-wait.ts', [from, to]);
    expect(
      fc.check<unknown>(property(buggy) as fc.IProperty<unknown>, { seed: 1, numRuns: 5_000 }).failed,
    ).toBe(true);
  });
});
