/**
 * Proves the promise of a limit whose tokens several threads spend: whatever they do at
 * once, wherever one of them is interrupted or dies, no window of length t holds more than
 * rate · t + burst requests; that the tokens are used up; and that each gets its turn.
 */
import fc from 'fast-check';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { sharedBucketMemory, SharedTokenBucket } from '../../src/limit/shared-token-bucket.ts';
import { TokenBucket } from '../../src/limit/token-bucket.ts';
import { variantOf } from '../domain/planted-bug.ts';
import { expectWithinRate } from './spent-windows.ts';

type BucketClass = typeof SharedTokenBucket;

const HOLDERS = 2;

interface Step {
  readonly holder: number;
  readonly kind: 'pass' | 'wait' | 'reserve' | 'spend' | 'die';
  readonly ms: number;
  /** Before which of its looks at the shared memory the step is interrupted by the next ones; beyond the last: not at all. */
  readonly interruptedAt: number;
  /** By how many. */
  readonly interruptions: number;
  /** It never comes back from there: its thread dies. */
  readonly isCutShort: boolean;
}

class Death extends Error {}

const step: fc.Arbitrary<Step> = fc.record({
  holder: fc.nat({ max: HOLDERS - 1 }),
  kind: fc.oneof(
    { weight: 12, arbitrary: fc.constantFrom('reserve' as const, 'spend' as const) },
    { weight: 2, arbitrary: fc.constantFrom('pass' as const, 'wait' as const) },
    { weight: 1, arbitrary: fc.constantFrom('pass' as const, 'die' as const) },
  ),
  ms: fc.double({ min: 0, max: 100, noNaN: true }),
  interruptedAt: fc.oneof(fc.nat({ max: 3 }), fc.nat({ max: 10 })),
  interruptions: fc.integer({ min: 1, max: 3 }),
  isCutShort: fc.nat({ max: 29 }).map((n) => n === 0),
});
const rate = fc.oneof(fc.integer({ min: 1, max: 20 }), fc.double({ min: 0.1, max: 1e5, noNaN: true }));
const burst = fc.oneof(
  fc.integer({ min: 1, max: 3 }),
  fc.integer({ min: 2, max: 3 }),
  fc.double({ min: 1, max: 20, noNaN: true }),
);
const startMs = fc.constantFrom(0, 123.456, 2 ** 31 - 100.5, 1e9 + 0.1);

/** Has `onLook` called before each look at shared memory, those of `onLook` itself excepted: they interrupt nothing. */
function watchAtomics(onLook: () => void): void {
  for (const name of ['load', 'store', 'add', 'compareExchange'] as const) {
    const real = Atomics[name] as (...args: readonly unknown[]) => unknown;
    vi.spyOn(Atomics, name).mockImplementation(((...args: readonly unknown[]) => {
      onLook();
      return Reflect.apply(real, Atomics, args);
    }) as never);
  }
}

afterEach(() => {
  vi.restoreAllMocks();
});

/** Threads that share a bucket, each of whose steps others may interrupt anywhere. */
class Threads {
  nowMs: number;
  readonly spentAtMs: number[] = [];
  readonly #Bucket: BucketClass;
  readonly #memory = sharedBucketMemory(HOLDERS);
  readonly #limit: readonly [ratePerSecond: number, burst: number];
  readonly #buckets: SharedTokenBucket[];
  readonly #reserved = new Array<number>(HOLDERS).fill(0);
  /** Those in the midst of a step, which do no other. */
  readonly #busy = new Set<number>();
  #steps: readonly Step[] = [];
  #next = 0;
  #looksLeft = Infinity;
  #interruptions = 0;
  #isCutShort = false;

  constructor(Bucket: BucketClass, ratePerSecond: number, size: number, nowMs: number) {
    this.#Bucket = Bucket;
    this.#limit = [ratePerSecond, size];
    this.nowMs = nowMs;
    this.#buckets = Array.from({ length: HOLDERS }, (_, holder) => this.#open(holder));
  }

  play(steps: readonly Step[]): void {
    watchAtomics(() => {
      if (this.#looksLeft-- === 0) this.#interrupt();
    });
    this.#steps = steps;
    try {
      while (this.#next < steps.length) this.#do(steps[this.#next++]!);
      for (let holder = 0; holder < HOLDERS; holder++)
        while (this.#reserved[holder]! > 0) this.#spend(holder);
    } finally {
      vi.restoreAllMocks();
    }
  }

  #open(holder: number): SharedTokenBucket {
    return new this.#Bucket(this.#memory, holder, ...this.#limit);
  }

  #interrupt(): void {
    const isCutShort = this.#isCutShort;
    for (let left = this.#interruptions; left > 0 && this.#next < this.#steps.length; left--) {
      this.#do(this.#steps[this.#next++]!);
    }
    this.#looksLeft = Infinity;
    if (isCutShort) throw new Death();
  }

  #do(one: Step): void {
    const { holder } = one;
    if (one.kind === 'pass') this.nowMs += one.ms;
    if (one.kind === 'pass' || this.#busy.has(holder)) return;
    this.#busy.add(holder);
    this.#looksLeft = one.interruptedAt;
    this.#interruptions = one.interruptions;
    this.#isCutShort = one.isCutShort;
    try {
      this.#work(one.kind, holder);
    } catch (error) {
      if (!(error instanceof Death)) throw error;
      this.#looksLeft = Infinity;
      this.#replace(holder);
    }
    this.#busy.delete(holder);
    this.#looksLeft = Infinity;
  }

  #work(kind: Step['kind'], holder: number): void {
    const bucket = this.#buckets[holder]!;
    if (kind === 'wait') bucket.waitMs(this.nowMs);
    else if (kind === 'reserve') this.#reserved[holder]! += bucket.tryReserve(this.nowMs) ? 1 : 0;
    else if (kind === 'spend' && this.#reserved[holder]! > 0) this.#spend(holder);
    else if (kind === 'die') this.#replace(holder);
  }

  #spend(holder: number): void {
    this.#reserved[holder]!--;
    this.spentAtMs.push(this.nowMs);
    this.#buckets[holder]!.spend(this.nowMs);
  }

  /** Nobody knows whether the requests of a dead thread went out; here they have, when it died. */
  #replace(holder: number): void {
    for (; this.#reserved[holder]! > 0; this.#reserved[holder]!--) this.spentAtMs.push(this.nowMs);
    this.#buckets[holder] = this.#open(holder);
    this.#buckets[holder].takeOver(this.nowMs);
  }
}

function bound(Tested: BucketClass): fc.IProperty<[number, number, Step[], number]> {
  return fc.property(
    rate,
    burst,
    fc.array(step, { maxLength: 150 }),
    startMs,
    (perSecond, size, steps, start) => {
      const threads = new Threads(Tested, perSecond, size, start);
      threads.play(steps);
      expectWithinRate(threads.spentAtMs, perSecond, size);
    },
  );
}

describe('in every window spent ≤ rate · t + burst, over all threads', () => {
  test('whatever they do at once, and wherever they are interrupted', () => {
    fc.assert(bound(SharedTokenBucket), { numRuns: 1_000 });
  });

  test.each<[string, string, string]>([
    [
      'a thread does not see what others have reserved',
      'reserved += this.#word(holder, RESERVED);',
      'reserved += holder === this.#holder ? this.#word(holder, RESERVED) : 0;',
    ],
    [
      'a thread looks first and counts itself in then',
      'this.#count(1);\n    const isGranted = this.#missingMs(this.#reservedByAll(), nowMs - turnsMs) <= ROUNDING_MS;',
      'const isGranted = this.#missingMs(this.#reservedByAll() + 1, nowMs - turnsMs) <= ROUNDING_MS;\n    this.#count(1);',
    ],
    [
      'the time is read before the counts',
      'return Math.max(0, this.#fullAtMs() - nowMs) + tokens * this.#msPerToken - this.#capacityMs;',
      'return tokens * this.#msPerToken - this.#capacityMs + Math.max(0, this.#early - nowMs);',
    ],
    [
      'a token is counted out before it is spent',
      'this.#fill(nowMs, this.#msPerToken);\n    this.#count(-1);',
      'this.#count(-1);\n    this.#fill(nowMs, this.#msPerToken);',
    ],
    ['what a dead thread had reserved is forgotten', 'this.#fill(nowMs, left * this.#msPerToken);', ''],
    [
      'a token is spent when it is reserved, not when its request goes out',
      'Math.max(fullAtMs, nowMs) + takenMs',
      'fullAtMs + takenMs',
    ],
  ])('a planted bug is caught: %s', async (what, from, to) => {
    const early: (readonly [string, string])[] =
      what === 'the time is read before the counts'
        ? [
            ['readonly #bits =', '#early = 0;\n  readonly #bits ='],
            ['    let reserved = 0;', '    this.#early = this.#fullAtMs();\n    let reserved = 0;'],
          ]
        : [];
    const { SharedTokenBucket: Buggy } = await variantOf<{ SharedTokenBucket: BucketClass }>(
      'limit/shared-token-bucket.ts',
      [from, to],
      ...early,
    );
    const { errorInstance } = fc.check(bound(Buggy), { seed: 1, numRuns: 4_000, endOnFailure: true });
    expect(String(errorInstance)).toContain('to be less than or equal to');
  });
});

/** Two threads have reserved both tokens, and one spends its own in the midst of the other's spending. */
function waitAfterSpendingAtOnce(Tested: BucketClass): number {
  const memory = sharedBucketMemory(2);
  const [one, other] = [0, 1].map((holder) => new Tested(memory, holder, 10, 2)) as [
    SharedTokenBucket,
    SharedTokenBucket,
  ];
  for (const bucket of [one, other]) expect(bucket.tryReserve(0)).toBe(true);
  let looks = 0;
  watchAtomics(() => {
    // Its count, the time, and before it is moved.
    if (++looks === 3) other.spend(0);
  });
  one.spend(0);
  vi.restoreAllMocks();
  return one.waitMs(0);
}

test('two that spend at once are both counted', () => {
  expect(waitAfterSpendingAtOnce(SharedTokenBucket)).toBe(100);
});

test('a planted bug is caught: the time is moved although another thread has moved it meanwhile', async () => {
  const { SharedTokenBucket: Buggy } = await variantOf<{ SharedTokenBucket: BucketClass }>(
    'limit/shared-token-bucket.ts',
    [
      'if (Atomics.compareExchange(this.#time, 0, seen, this.#bits[0]) === seen) return;',
      'Atomics.store(this.#time, 0, this.#bits[0]); return;',
    ],
  );
  expect(waitAfterSpendingAtOnce(Buggy)).toBe(0);
});

describe('one thread alone', () => {
  test('is granted what a bucket of its own would grant, at the same times', () => {
    const plan = fc.array(
      fc.record({
        kind: fc.constantFrom('pass', 'wait', 'reserve', 'spend'),
        ms: fc.double({ min: 0, max: 3_000, noNaN: true }),
      }),
      { maxLength: 100 },
    );
    fc.assert(
      fc.property(rate, burst, plan, startMs, (perSecond, size, steps, start) => {
        const shared = new SharedTokenBucket(sharedBucketMemory(1), 0, perSecond, size);
        const own = new TokenBucket(perSecond, size);
        let nowMs = start;
        let reserved = 0;
        for (const { kind, ms } of steps) {
          if (kind === 'pass') nowMs += ms;
          if (kind === 'wait') nowMs += own.waitMs(nowMs);
          expect(shared.waitMs(nowMs)).toBe(own.waitMs(nowMs));
          expect(shared.isFull(nowMs)).toBe(own.isFull(nowMs));
          if (kind === 'reserve') {
            const isGranted = own.tryReserve(nowMs);
            expect(shared.tryReserve(nowMs)).toBe(isGranted);
            reserved += isGranted ? 1 : 0;
          } else if (kind === 'spend' && reserved > 0) {
            reserved--;
            own.spend(nowMs);
            shared.spend(nowMs);
          }
        }
      }),
    );
  });

  test('begins empty as of when its partition came, whoever says so and how often', () => {
    const memory = sharedBucketMemory(2);
    const buckets = [0, 1].map((holder) => new SharedTokenBucket(memory, holder, 10, 2));
    expect(buckets[0]!.isFull(0)).toBe(true);
    for (const bucket of [...buckets, ...buckets]) bucket.startEmpty(1_000);
    expect(buckets.map((bucket) => bucket.tryReserve(1_099))).toEqual([false, false]);
    expect(buckets[0]!.tryReserve(1_100)).toBe(true);
    expect(buckets[1]!.waitMs(1_100)).toBeGreaterThanOrEqual(100);
  });

  test.each([
    [0, 1],
    [1, 0.5],
    [1, Number.NaN],
  ])('of rate %d and burst %d is refused, and so is a holder that there is not', (perSecond, size) => {
    const memory = sharedBucketMemory(2);
    expect(() => new SharedTokenBucket(memory, 0, perSecond, size)).toThrow(RangeError);
    expect(() => new SharedTokenBucket(memory, 2, 1, 1)).toThrow('no holder 2');
  });

  test('does not spend without a reservation', () => {
    expect(() => {
      new SharedTokenBucket(sharedBucketMemory(1), 0, 1, 1).spend(0);
    }).toThrow('no token is reserved');
  });
});

/** Threads that always have something to send, each asking again when its wait is over, and then some. */
function rush(lateMs: readonly number[], perSecond: number, size: number, untilMs: number): number[] {
  const memory = sharedBucketMemory(lateMs.length);
  const threads = lateMs.map((late, holder) => {
    const bucket = new SharedTokenBucket(memory, holder, perSecond, size);
    bucket.startEmpty(0);
    return { bucket, late, dueMs: 0, got: 0 };
  });
  for (;;) {
    const next = threads.reduce((first, one) => (one.dueMs < first.dueMs ? one : first));
    const nowMs = next.dueMs;
    if (nowMs > untilMs) return threads.map(({ got }) => got);
    while (next.bucket.waitMs(nowMs) === 0 && next.bucket.tryReserve(nowMs)) {
      next.bucket.spend(nowMs);
      next.got++;
    }
    next.dueMs = nowMs + next.bucket.waitMs(nowMs) + next.late;
  }
}

describe('several threads that always have something to send', () => {
  test.each([1, 3, 50])('use up the tokens of a burst of %d', (size) => {
    for (const late of [
      [0, 0, 0, 0],
      [0.1, 0.4, 0.2, 0.3],
    ]) {
      const got = rush(late, 100, size, 60_000).reduce((sum, one) => sum + one, 0);
      expect(got).toBeLessThanOrEqual(6_000 + size);
      expect(got).toBeGreaterThanOrEqual(6_000 * (size === 1 ? 0.95 : 0.999) - 1);
    }
  });

  test('get as much as each other, however much sooner the timers of one fire', () => {
    const got = rush([0.1, 0.5, 0.9, 0.3], 100, 1, 60_000);
    expect(Math.min(...got)).toBeGreaterThanOrEqual(Math.max(...got) * 0.95);
  });
});
