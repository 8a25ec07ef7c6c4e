/**
 * Proves that the promise of a rate limit holds through what happens to a bucket: its
 * partition moves to another process, its share of a limit changes, its receiver asks
 * for a pause. What is told of a pause is kept to the millisecond.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type * as Module from '../../src/limit/token-bucket.ts';
import * as original from '../../src/limit/token-bucket.ts';
import { variantOf } from '../domain/planted-bug.ts';

/** Times are floats: what the bucket takes for rounding, and a little. */
const ROUNDING_MS = 1.1e-4;

type Action = 'reserve' | 'spend' | 'drain' | 'wait';
type Step = { readonly ms: number } | { readonly action: Action };

const pass = fc.record({ ms: fc.double({ min: 0, max: 3_000, noNaN: true }) });
const act = fc.record({ action: fc.constantFrom<Action[]>('reserve', 'spend', 'drain', 'wait') });
const step: fc.Arbitrary<Step> = fc.oneof(pass, act, act);
const rate = fc.oneof(fc.integer({ min: 1, max: 50 }), fc.double({ min: 1 / 60, max: 1e4, noNaN: true }));
const burst = fc.oneof(fc.integer({ min: 1, max: 5 }), fc.double({ min: 1, max: 100, noNaN: true }));

/** So that a schedule runs out of tokens, and a bug of a few of them shows. */
const slowRate = fc.integer({ min: 1, max: 20 });
const smallBurst = fc.integer({ min: 1, max: 8 });

/** A bucket under test with its reservations, on a clock that it moves itself. */
class Owner {
  readonly bucket: Module.TokenBucket;
  readonly spentAtMs: number[];
  reserved = 0;
  granted = 0;
  nowMs: number;

  constructor(bucket: Module.TokenBucket, nowMs: number, spentAtMs: number[]) {
    this.bucket = bucket;
    this.nowMs = nowMs;
    this.spentAtMs = spentAtMs;
  }

  take(one: Step): void {
    if ('ms' in one) this.nowMs += one.ms;
    else if (one.action === 'wait') this.nowMs += Math.min(this.bucket.waitMs(this.nowMs), 1e7);
    else if (one.action === 'reserve') this.reserve();
    else if (one.action === 'drain') this.drain(8);
    else if (this.reserved > 0) this.spend();
  }

  drain(most: number): void {
    for (let left = most; left > 0 && this.reserve(); left--) this.spend();
  }

  reserve(): boolean {
    if (!this.bucket.tryReserve(this.nowMs)) return false;
    this.reserved++;
    this.granted++;
    return true;
  }

  spend(): void {
    this.bucket.spend(this.nowMs);
    this.reserved--;
    this.spentAtMs.push(this.nowMs);
  }
}

/** In every window of the times, which ascend, no more than allowed(from, to). */
function expectBounded(atMs: readonly number[], allowed: (fromMs: number, toMs: number) => number): void {
  for (let first = 0; first < atMs.length; first++) {
    for (let last = first; last < atMs.length; last++) {
      const most = allowed(atMs[first]!, atMs[last]! + ROUNDING_MS);
      // Not an assertion of vitest: those take a microsecond each, and these are many.
      if (last - first + 1 > most)
        throw new Error(`${last - first + 1} > ${most} in ${atMs[first]} … ${atMs[last]}`);
    }
  }
}

type Bug = readonly [what: string, from: string, to: string];

function testBoth(
  name: string,
  property: (tested: typeof Module) => fc.IRawProperty<unknown, false>,
  bugs: readonly Bug[],
): void {
  describe(name, () => {
    test('holds', () => {
      fc.assert(property(original), { numRuns: 400 });
    });
    test.each(bugs)('a planted bug is caught: %s', async (_what, from, to) => {
      const buggy = await variantOf<typeof Module>('limit/token-bucket.ts', [from, to]);
      expect(fc.check(property(buggy), { seed: 1, numRuns: 400 }).failed).toBe(true);
    });
  });
}

testBoth(
  'a partition that moves gives no second burst: old and new owner together',
  ({ TokenBucket }) =>
    fc.property(
      rate,
      burst,
      fc.array(fc.array(step, { maxLength: 60 }), { minLength: 2, maxLength: 4 }),
      (perSecond, size, owners) => {
        const spentAtMs: number[] = [];
        let nowMs = 1_000;
        owners.forEach((steps, index) => {
          const owner = new Owner(new TokenBucket(perSecond, size), nowMs, spentAtMs);
          if (index > 0) owner.bucket.startEmpty(nowMs);
          for (const one of steps) owner.take(one);
          nowMs = owner.nowMs;
        });
        expectBounded(spentAtMs, (from, to) => (perSecond * (to - from)) / 1000 + size);
      },
    ),
  [
    ['the new owner starts full', 'sinceMs + this.#capacityMs', 'sinceMs'],
    ['the new owner starts half full', 'sinceMs + this.#capacityMs', 'sinceMs + this.#capacityMs / 2'],
  ],
);

test('what a move costs is over a burst’s time later', () => {
  const bucket = new original.TokenBucket(10, 2);
  bucket.startEmpty(1_000);
  expect(bucket.waitMs(1_000)).toBe(100);
  expect(bucket.tryReserve(1_099)).toBe(false);
  expect(bucket.isFull(1_199)).toBe(false);
  expect(bucket.isFull(1_200)).toBe(true);
});

testBoth(
  'a limit that changes is kept: the rate of each moment, the largest burst',
  ({ TokenBucket }) =>
    fc.property(
      slowRate,
      smallBurst,
      fc.array(
        fc.oneof(
          { weight: 9, arbitrary: step },
          { weight: 2, arbitrary: fc.record({ rate: slowRate, burst: smallBurst }) },
          { weight: 1, arbitrary: fc.record({ slowMs: fc.integer({ min: 0, max: 5_000 }) }) },
        ),
        { maxLength: 80, size: 'max' },
      ),
      (perSecond, size, steps) => {
        const owner = new Owner(new TokenBucket(perSecond, size), 1_000, []);
        const rates = [{ sinceMs: 1_000, rate: perSecond }];
        let largestBurst = size;
        for (const one of steps) {
          if ('slowMs' in one) owner.bucket.slowUntil(owner.nowMs + one.slowMs);
          else if ('rate' in one) {
            owner.bucket.setRate(one.rate, one.burst, owner.nowMs);
            rates.push({ sinceMs: owner.nowMs, rate: one.rate });
            largestBurst = Math.max(largestBurst, one.burst);
          } else owner.take(one);
        }
        expectBounded(owner.spentAtMs, (from, to) =>
          rates.reduce((tokens, { sinceMs, rate: atThatTime }, index) => {
            const untilMs = rates[index + 1]?.sinceMs ?? Infinity;
            const ms = Math.max(0, Math.min(to, untilMs) - Math.max(from, sinceMs));
            // The slack of rounding counts at the rate of the moment, which may have been higher just before.
            return tokens + (atThatTime * (ms + ROUNDING_MS)) / 1000;
          }, largestBurst),
        );
      },
    ),
  [
    [
      'a change fills the bucket',
      'this.#fullAtMs = nowMs + Math.max(0, burst - tokens) * this.#msPerToken;',
      'this.#fullAtMs = nowMs;',
    ],
    [
      'what is owed is forgotten in part',
      'Math.max(0, burst - tokens) * this.#msPerToken',
      'Math.max(0, Math.min(burst, 3) - tokens) * this.#msPerToken',
    ],
  ],
);

testBoth(
  'buckets that split one limit keep to it while shares move between them',
  ({ TokenBucket, shareOf }) =>
    fc.property(
      fc.integer({ min: 1, max: 200 }),
      fc.integer({ min: 16, max: 64 }),
      fc.array(
        fc.oneof(
          { weight: 1, arbitrary: fc.array(fc.nat(8), { minLength: 3, maxLength: 3 }) },
          { weight: 4, arbitrary: fc.record({ ms: fc.integer({ max: 2_000, min: 0 }) }) },
          { weight: 8, arbitrary: fc.record({ requestsOfEach: fc.nat(60) }) },
        ),
        { maxLength: 60, size: 'max' },
      ),
      (ratePerSecond, size, steps) => {
        const limit = { ratePerSecond, burst: size };
        const buckets: (Module.TokenBucket | undefined)[] = [new TokenBucket(ratePerSecond, size)];
        const spentAtMs: number[] = [];
        let shares = [16, 0, 0];
        let nowMs = 1_000;
        const setShare = (index: number, sixteenths: number): void => {
          const { ratePerSecond: share, burst: shareOfBurst } = shareOf(limit, sixteenths / 16);
          if (sixteenths === 0) buckets[index] = undefined;
          else if (buckets[index] === undefined) {
            buckets[index] = new TokenBucket(share, shareOfBurst);
            buckets[index].startEmpty(nowMs);
          } else buckets[index].setRate(share, shareOfBurst, nowMs);
        };
        for (const one of steps) {
          if (Array.isArray(one)) {
            const next = one.map((part) => Math.min(part, 5));
            // Partitions are revoked before they are assigned.
            next.forEach((share, index) => {
              if (share < shares[index]!) setShare(index, share);
            });
            next.forEach((share, index) => {
              if (share > shares[index]!) setShare(index, share);
            });
            shares = next;
          } else if ('ms' in one) nowMs += one.ms;
          else {
            for (const bucket of buckets) {
              if (bucket !== undefined) new Owner(bucket, nowMs, spentAtMs).drain(one.requestsOfEach);
            }
          }
        }
        expectBounded(spentAtMs, (from, to) => (ratePerSecond * (to - from)) / 1000 + size);
      },
    ),
  [
    ['a share is the whole', 'ratePerSecond: ratePerSecond * share', 'ratePerSecond'],
    ['a share has the whole burst', 'Math.max(1, burst * share)', 'burst'],
    ['one whose share grows is filled up', 'Math.max(0, burst - tokens) *', '0 *'],
  ],
);

test('a share too small for a token still lets one through at a time', () => {
  const { ratePerSecond, burst: one } = original.shareOf({ ratePerSecond: 10, burst: 2 }, 1 / 16);
  expect([ratePerSecond, one]).toEqual([0.625, 1]);
});

testBoth(
  'a pause is kept, and ends with one token, not a burst',
  ({ TokenBucket }) =>
    fc.property(
      rate,
      burst,
      fc.array(
        fc.oneof(
          { weight: 8, arbitrary: step },
          { weight: 1, arbitrary: fc.record({ slowMs: fc.integer({ min: 0, max: 5_000 }) }) },
          { weight: 1, arbitrary: fc.record({ rate }) },
        ),
        { maxLength: 80, size: 'max' },
      ),
      (perSecond, size, steps) => {
        const owner = new Owner(new TokenBucket(perSecond, size), 1_000, []);
        let untilMs = -Infinity;
        let highestRate = perSecond;
        let grantedSince = 0;
        for (const one of steps) {
          if ('slowMs' in one) {
            owner.bucket.slowUntil(owner.nowMs + one.slowMs);
            if (owner.nowMs + one.slowMs <= untilMs) continue;
            untilMs = owner.nowMs + one.slowMs;
            highestRate = perSecond;
            grantedSince = 0;
          } else if ('rate' in one) {
            owner.bucket.setRate(one.rate, size, owner.nowMs);
            perSecond = one.rate;
            highestRate = Math.max(highestRate, one.rate);
          } else {
            const before = owner.granted;
            const waitMs = owner.bucket.waitMs(owner.nowMs);
            owner.take(one);
            if (owner.granted === before) continue;
            grantedSince += owner.granted - before;
            expect(waitMs).toBe(0);
            expect(owner.nowMs).toBeGreaterThanOrEqual(untilMs - ROUNDING_MS);
            const sinceMs = owner.nowMs - untilMs + 2 * ROUNDING_MS;
            expect(grantedSince).toBeLessThanOrEqual(1 + (highestRate * sinceMs) / 1000);
          }
        }
      },
    ),
  [
    [
      'a later, shorter one ends it early',
      'this.#slowUntilMs = Math.max(this.#slowUntilMs, untilMs);',
      'this.#slowUntilMs = untilMs;',
    ],
    ['the burst comes all at once at its end', 'this.#fullAtMs = this.#slowedFullAtMs();', ''],
    ['a change of rate ends it', 'if (nowMs < this.#slowUntilMs - ROUNDING_MS) return;', ''],
    [
      'it ends a token’s time early',
      '+ this.#capacityMs - this.#msPerToken',
      '+ this.#capacityMs - 2 * this.#msPerToken',
    ],
  ],
);

test('after a pause the first token is there at once, the next a token’s time later', () => {
  const bucket = new original.TokenBucket(10, 5);
  bucket.slowUntil(30_000);
  expect(bucket.waitMs(0)).toBe(30_000);
  expect(bucket.isFull(29_999)).toBe(false);
  expect(bucket.tryReserve(30_000)).toBe(true);
  bucket.spend(30_000);
  expect(bucket.waitMs(30_000)).toBe(100);
});

test.each([
  [0, 1],
  [Number.NaN, 1],
  [1, 0.5],
])('a change to rate %d and burst %d is refused', (perSecond, size) => {
  const bucket = new original.TokenBucket(1, 1);
  expect(() => {
    bucket.setRate(perSecond, size, 0);
  }).toThrow(RangeError);
});
