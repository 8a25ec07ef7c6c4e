/**
 * Proves that the adaptive cap stays within its bounds, grows only where it was used
 * and shrinks at most once per round trip, and that it finds what a destination can
 * take, by its 429 or by its latency, and gives it back when it can take more.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ConcurrencyLimit } from '../../src/limit/concurrency-limit.ts';
import { variantOf } from '../domain/planted-bug.ts';

type LimitClass = typeof ConcurrencyLimit;

const bounds = fc
  .tuple(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 0, max: 60 }))
  .map(([min, more]) => ({ min, max: min + more, adaptive: true }));

const steps = fc.array(
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        kind: fc.constant('success' as const),
        ms: fc.nat(100),
        durationMs: fc.constantFrom(1, 20, 500, 5_000),
        use: fc.constantFrom(0.1, 0.6, 1, 1.3),
        times: fc.integer({ min: 1, max: 40 }),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constantFrom('throttle' as const, 'failure' as const),
        ms: fc.nat(1_500),
      }),
    },
  ),
  { maxLength: 60, size: 'max' },
);

const honest = (Tested: LimitClass): fc.IRawProperty<unknown, false> =>
  fc.property(bounds, steps, (of, schedule) => {
    const limit = new Tested(of);
    let nowMs = 1_000;
    let decreasedAtMs = -Infinity;
    for (const step of schedule) {
      nowMs += step.ms;
      for (let left = step.kind === 'success' ? step.times : 1; left > 0; left--) {
        const before = limit.limit;
        let wasUsed = false;
        if (step.kind === 'success') {
          const inFlight = Math.max(1, Math.floor(before * step.use));
          wasUsed = inFlight >= before;
          limit.onSuccess(step.durationMs, inFlight, nowMs);
        } else if (step.kind === 'throttle') limit.onThrottle(nowMs);
        else limit.onFailure();
        const after = limit.limit;
        if (after < of.min || after > of.max || !Number.isInteger(after))
          throw new Error(`out of bounds: ${after}`);
        if (after > before && !(wasUsed && after === before + 1 && nowMs >= decreasedAtMs + 1_000))
          throw new Error(`${before} grew to ${after}`);
        if (after < before) {
          if (step.kind === 'failure') throw new Error('a failure shrank it');
          if (nowMs < decreasedAtMs + 1_000) throw new Error('shrank twice in a round trip');
          if (after < Math.floor(before * 0.7)) throw new Error(`${before} shrank to ${after}`);
          decreasedAtMs = nowMs;
        }
      }
    }
  });

describe('within [min, max], up by use, down once per round trip', () => {
  test('over any answers', () => {
    fc.assert(honest(ConcurrencyLimit), { numRuns: 400 });
  });

  test.each([
    ['it falls below min', 'Math.max(this.#min, this.#limit * DECREASE)', 'this.#limit * DECREASE'],
    [
      'it grows above max',
      'Math.min(this.#max, this.#limit + 1 / this.#limit)',
      'this.#limit + 1 / this.#limit',
    ],
    ['it grows where it is not used', 'inFlight >= this.limit && nowMs', 'nowMs'],
    ['it grows on the answers of before a decrease', '&& nowMs >= this.#settledAtMs', ''],
    ['it shrinks at each 429 of the same moment', 'if (nowMs < this.#settledAtMs) return;', ''],
    ['it grows faster than one a round trip', 'this.#limit + 1 / this.#limit', 'this.#limit + 2'],
  ])('a planted bug is caught: %s', async (_what, from, to) => {
    const { ConcurrencyLimit: Buggy } = await variantOf<{ ConcurrencyLimit: LimitClass }>(
      'limit/concurrency-limit.ts',
      [from, to],
    );
    expect(fc.check(honest(Buggy), { seed: 1, numRuns: 400 }).failed).toBe(true);
  });
});

interface Answer {
  readonly durationMs: number;
  readonly throttled?: boolean;
}

/**
 * A sender that always has more to send, against a destination that answers by how
 * many are in flight. One round trip after the other: all of one are sent at its start.
 * @returns the limit at the end of each round trip.
 */
function play(
  limit: ConcurrencyLimit,
  startMs: number,
  rounds: number,
  answerOf: (index: number, of: number) => Answer,
): number[] {
  const limits: number[] = [];
  let nowMs = startMs;
  for (let round = 0; round < rounds; round++) {
    const inFlight = limit.limit;
    let roundMs = 0;
    for (let index = 0; index < inFlight; index++) {
      const { durationMs, throttled = false } = answerOf(index, inFlight);
      roundMs = Math.max(roundMs, durationMs);
      if (throttled) limit.onThrottle(nowMs + durationMs);
      else limit.onSuccess(durationMs, inFlight, nowMs + durationMs);
    }
    nowMs += roundMs;
    limits.push(limit.limit);
  }
  return limits;
}

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

const findsCapacity = (Tested: LimitClass): fc.IRawProperty<unknown, false> =>
  fc.property(fc.integer({ min: 4, max: 50 }), (capacity) => {
    const limit = new Tested({ min: 1, max: 100, adaptive: true });
    const limits = play(limit, 0, 400, (index) => ({ durationMs: 500, throttled: index >= capacity }));
    const settled = limits.slice(100);
    expect(Math.max(...settled)).toBeLessThanOrEqual(capacity + 2);
    expect(mean(settled)).toBeGreaterThan(capacity * 0.6);
  });

const seesCongestion = (Tested: LimitClass): fc.IRawProperty<unknown, false> =>
  fc.property(fc.integer({ min: 4, max: 15 }), fc.integer({ min: 100, max: 400 }), (capacity, baseMs) => {
    const limit = new Tested({ min: 1, max: 60, adaptive: true });
    const healthy = play(limit, 0, 20, () => ({ durationMs: baseMs }));
    expect(Math.min(...healthy)).toBe(60);
    // From here on the destination works on `capacity` at a time; the others queue up there.
    const congested = play(limit, 20 * baseMs, 60, (_index, inFlight) => ({
      durationMs: baseMs * Math.max(1, inFlight / capacity),
    }));
    const latencyMs = (baseMs * congested.at(-1)!) / capacity;
    expect(latencyMs).toBeLessThanOrEqual(1.5 * (2 * baseMs + 100));
    expect(congested.at(-1)).toBeGreaterThanOrEqual(capacity);
    // Each round trip gives at least half a place back, after one more decrease for the
    // congested answers of the window that was open, whose second is ten round trips at most.
    const healed = play(limit, 1e6, 2 * 60 + 10, () => ({ durationMs: baseMs }));
    expect(healed.at(-1)).toBe(60);
  });

describe.each([
  ['429', findsCapacity, [['this.#adaptive) this.#decrease(nowMs);', 'this.#adaptive) return;']]],
  [
    'latency',
    seesCongestion,
    [
      ['const RISE = 2;', 'const RISE = 1000;'],
      ['Math.min(difference, mostUpMs)', 'difference'],
      ['else if (inFlight >= this.limit', 'else if (inFlight < this.limit'],
    ],
  ],
] as const)('it finds what a destination can take by its %s', (_signal, property, bugs) => {
  test('whatever that is', () => {
    fc.assert(property(ConcurrencyLimit), { numRuns: 100 });
  });

  test.each(bugs as readonly (readonly [string, string])[])(
    'a planted bug is caught: %s → %s',
    async (from, to) => {
      const { ConcurrencyLimit: Buggy } = await variantOf<{ ConcurrencyLimit: LimitClass }>(
        'limit/concurrency-limit.ts',
        [from, to],
      );
      expect(fc.check(property(Buggy), { seed: 1, numRuns: 100 }).failed).toBe(true);
    },
  );
});

test('a rise of a few milliseconds is no congestion, nor is one while little is in flight', () => {
  const fast = new ConcurrencyLimit({ min: 1, max: 40, adaptive: true });
  play(fast, 0, 1_000, () => ({ durationMs: 2 }));
  expect(play(fast, 2_000, 1_000, () => ({ durationMs: 80 })).every((limit) => limit === 40)).toBe(true);
  const quiet = new ConcurrencyLimit({ min: 1, max: 40, adaptive: true });
  for (let i = 0; i < 200; i++) quiet.onSuccess(i < 100 ? 50 : 5_000, 1, i * 200);
  expect(quiet.limit).toBe(40);
});

test('a destination that has become slower for good is not held down for ever', () => {
  const limit = new ConcurrencyLimit({ min: 1, max: 40, adaptive: true });
  play(limit, 0, 100, () => ({ durationMs: 100 }));
  const slower = play(limit, 10_000, 2_000, () => ({ durationMs: 1_000 }));
  expect(Math.min(...slower)).toBeLessThan(10);
  expect(slower.at(-1)).toBe(40);
});

test('a few failures in a hundred slow its growth, and no more', () => {
  const limit = new ConcurrencyLimit({ min: 1, max: 20, adaptive: true });
  for (let i = 0; i < 20; i++) limit.onThrottle(i * 2_000);
  expect(limit.limit).toBe(1);
  for (let i = 0; i < 600; i++) {
    if (i % 20 === 0) limit.onFailure();
    else limit.onSuccess(10, limit.limit, 50_000 + i * 10);
  }
  expect(limit.limit).toBe(20);
});

test('one that is not adaptive is always max', () => {
  const limit = new ConcurrencyLimit({ min: 1, max: 7, adaptive: false });
  for (let i = 0; i < 100; i++) {
    limit.onThrottle(i * 2_000);
    limit.onFailure();
    limit.onSuccess(i < 50 ? 1 : 60_000, 7, i * 2_000);
  }
  expect(limit.limit).toBe(7);
});

test.each([
  [0, 1],
  [2, 1],
  [Number.NaN, 1],
])('bounds of %d and %d are refused', (min, max) => {
  expect(() => new ConcurrencyLimit({ min, max, adaptive: true })).toThrow(RangeError);
});
