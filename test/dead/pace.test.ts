/** Proves the rate cap of a redrive: whatever its user's timers do, no window holds more than the rate allows. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import * as real from '../../src/dead/pace.ts';
import { ManualClock } from '../domain/manual-clock.ts';
import { variantOf } from '../domain/planted-bug.ts';

type PaceModule = typeof real;

/** Times at which something went, for a user that wakes late by so much. */
function times({ Pace }: PaceModule, ratePerSecond: number, lateMs: readonly number[]): number[] {
  const clock = new ManualClock();
  const pace = new Pace(ratePerSecond, clock);
  return lateMs.map((late) => {
    clock.nowMs += pace.waitMs() + late;
    pace.took();
    return clock.monotonicMs();
  });
}

function staysBelowTheRate(module: PaceModule): void {
  const lateness = fc.array(fc.oneof(fc.constant(0), fc.nat(5), fc.nat(5_000)), {
    minLength: 2,
    maxLength: 80,
  });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 500 }), lateness, (rate, lateMs) => {
      const went = times(module, rate, lateMs);
      for (let first = 0; first < went.length; first++) {
        for (let last = first; last < went.length; last++) {
          const seconds = (went[last]! - went[first]!) / 1_000;
          expect(last - first + 1).toBeLessThanOrEqual(rate * (seconds + 0.02) + 1.000_001);
        }
      }
    }),
  );
}

test('no window holds more than rate · (t + 0.02) + 1', () => {
  staysBelowTheRate(real);
});

test('a user that is never late gets the whole rate', () => {
  const went = times(
    real,
    50,
    Array.from({ length: 101 }, () => 0),
  );
  expect(went.at(-1)! - went[0]!).toBeCloseTo(1_980);
});

test('the property catches a pace that makes up for all that it missed', async () => {
  const planted = await variantOf<PaceModule>(
    'dead/pace.ts',
    ['= -Infinity', '= 0'],
    ['Math.max(this.#nextMs, nowMs - CATCH_UP_MS)', 'this.#nextMs + 0 * nowMs'],
  );
  expect(() => {
    staysBelowTheRate(planted);
  }).toThrow(/Property failed/);
});
