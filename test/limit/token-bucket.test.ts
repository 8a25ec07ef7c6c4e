/**
 * Proves the promise of a rate limit: over any schedule of reservations and
 * spending, however late, no window of length t holds more than rate · t + burst
 * requests; and that the wait it tells is the time to the next token, no longer.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { TokenBucket } from '../../src/limit/token-bucket.ts';
import { variantOf } from '../domain/planted-bug.ts';
import { expectWithinRate } from './spent-windows.ts';

type BucketClass = typeof TokenBucket;

type Step = { readonly kind: 'pass'; readonly ms: number } | { readonly kind: 'reserve' | 'spend' | 'wait' };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('pass' as const),
      ms: fc.double({ min: 0, max: 3_000, noNaN: true }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constantFrom('reserve' as const, 'spend' as const, 'wait' as const) }),
  },
);
const rate = fc.oneof(fc.integer({ min: 1, max: 50 }), fc.double({ min: 1 / 3600, max: 1e6, noNaN: true }));
const burst = fc.oneof(fc.integer({ min: 1, max: 5 }), fc.double({ min: 1, max: 1_000, noNaN: true }));
const startMs = fc.constantFrom(0, 123.456, 1e9 + 0.1);

/** Plays a schedule, then spends what is still reserved. */
function play(
  bucket: TokenBucket,
  steps: readonly Step[],
  start: number,
): { spentAtMs: number[]; nowMs: number } {
  const spentAtMs: number[] = [];
  let nowMs = start;
  let reserved = 0;
  for (const one of steps) {
    if (one.kind === 'pass') nowMs += one.ms;
    else if (one.kind === 'wait') nowMs += bucket.waitMs(nowMs);
    else if (one.kind === 'reserve') reserved += bucket.tryReserve(nowMs) ? 1 : 0;
    else if (reserved > 0) {
      bucket.spend(nowMs);
      reserved--;
      spentAtMs.push(nowMs);
    }
  }
  for (; reserved > 0; reserved--) {
    bucket.spend(nowMs);
    spentAtMs.push(nowMs);
  }
  return { spentAtMs, nowMs };
}

function bound(Tested: BucketClass): fc.IProperty<[number, number, Step[], number]> {
  return fc.property(
    rate,
    burst,
    fc.array(step, { maxLength: 150 }),
    startMs,
    (perSecond, size, steps, start) => {
      const { spentAtMs } = play(new Tested(perSecond, size), steps, start);
      expectWithinRate(spentAtMs, perSecond, size);
    },
  );
}

describe('in every window spent ≤ rate · t + burst', () => {
  test('over any schedule', () => {
    fc.assert(bound(TokenBucket), { numRuns: 1_000 });
  });

  test.each([
    [
      'a reservation counts from when it was made, not from when its request went out',
      'Math.max(this.#fullAtMs, nowMs)',
      'this.#fullAtMs',
    ],
    ['what is reserved and not spent yet is forgotten', '(this.#reserved + 1) *', '1 *'],
    [
      'one token more than the burst',
      '/ ratePerSecond;\n    this.#capacityMs = burst * this.#msPerToken;\n  }',
      '/ ratePerSecond;\n    this.#capacityMs = (burst + 1) * this.#msPerToken;\n  }',
    ],
  ])('a planted bug is caught: %s', async (_what, from, to) => {
    const { TokenBucket: Buggy } = await variantOf<{ TokenBucket: BucketClass }>('limit/token-bucket.ts', [
      from,
      to,
    ]);
    expect(fc.check(bound(Buggy), { seed: 1, numRuns: 1_000 }).failed).toBe(true);
  });
});

describe('the wait', () => {
  test('is the time to the next token: at its end there is one, a thousandth of a millisecond before there is none', () => {
    fc.assert(
      fc.property(
        rate,
        burst,
        fc.array(step, { maxLength: 60 }),
        startMs,
        (perSecond, size, steps, start) => {
          const bucket = new TokenBucket(perSecond, size);
          let { nowMs } = play(bucket, steps, start);
          // From here on spent as fast as it lets.
          for (let spent = 0; spent < 40; spent++) {
            const waitMs = bucket.waitMs(nowMs);
            if (waitMs > 0.001) expect(bucket.tryReserve(nowMs + waitMs - 0.001)).toBe(false);
            nowMs += waitMs;
            const granted = bucket.tryReserve(nowMs);
            if (!granted)
              throw new Error(
                `refused after the ${waitMs} ms it asked for, asks for ${bucket.waitMs(nowMs)}`,
              );
            bucket.spend(nowMs);
          }
        },
      ),
      { numRuns: 1_000 },
    );
  });

  test('of a drained bucket is one token’s time', () => {
    const bucket = new TokenBucket(10, 2);
    for (let i = 0; i < 2; i++) {
      expect(bucket.tryReserve(0)).toBe(true);
      bucket.spend(0);
    }
    expect(bucket.waitMs(0)).toBe(100);
    expect(bucket.waitMs(40)).toBe(60);
    expect(bucket.tryReserve(99.999)).toBe(false);
    expect(bucket.tryReserve(100)).toBe(true);
  });

  test('grows when a reservation is spent late', () => {
    const bucket = new TokenBucket(10, 1);
    bucket.tryReserve(0);
    expect(bucket.waitMs(0)).toBe(100);
    bucket.spend(1_000);
    expect(bucket.waitMs(1_000)).toBe(100);
  });
});

describe('a bucket', () => {
  test('is full at the start, and again after burst tokens’ time, when nothing is reserved', () => {
    const bucket = new TokenBucket(10, 2);
    expect(bucket.isFull(0)).toBe(true);
    bucket.tryReserve(0);
    expect(bucket.isFull(1e9)).toBe(false);
    bucket.spend(0);
    expect(bucket.isFull(99)).toBe(false);
    expect(bucket.isFull(100)).toBe(true);
  });

  test('is not spent from without a reservation', () => {
    expect(() => {
      new TokenBucket(1, 1).spend(0);
    }).toThrow('no token is reserved');
  });

  test.each([
    [0, 1],
    [-1, 1],
    [Number.NaN, 1],
    [1, 0.5],
    [1, Number.NaN],
  ])('of rate %d and burst %d is refused', (perSecond, size) => {
    expect(() => new TokenBucket(perSecond, size)).toThrow(RangeError);
  });
});
