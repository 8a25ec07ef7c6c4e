/**
 * Proves that a breaker opens when it should and at no other time, that only single
 * probes pass while it is not closed, that throttling alone never opens it, and that
 * answers to requests of before a change of state change nothing.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CircuitBreaker } from '../../src/limit/breaker.ts';
import type { BreakerLimits } from '../../src/limit/breaker.ts';
import { variantOf } from '../domain/planted-bug.ts';

type BreakerClass = typeof CircuitBreaker;

const limits: fc.Arbitrary<BreakerLimits> = fc.record({
  consecutiveFailures: fc.integer({ min: 1, max: 12 }),
  failureRate: fc.constantFrom(0.1, 0.5, 0.8, 1),
  windowMs: fc.constantFrom(100, 1_000, 3_333),
  minimumVolume: fc.integer({ min: 1, max: 15 }),
  openMs: fc.integer({ min: 1, max: 500 }),
  maxOpenMs: fc.integer({ min: 500, max: 3_000 }),
});

type Step =
  | { readonly kind: 'pass'; readonly ms: number }
  | { readonly kind: 'send' }
  | { readonly kind: 'success' | 'failure' | 'ignored'; readonly which: number };

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('pass' as const), ms: fc.nat(400) }) },
    { weight: 8, arbitrary: fc.record({ kind: fc.constant('send' as const) }) },
    {
      weight: 8,
      arbitrary: fc.record({
        kind: fc.constantFrom('success' as const, 'failure' as const, 'failure' as const, 'ignored' as const),
        which: fc.nat(5),
      }),
    },
  ),
  { maxLength: 150, size: 'max' },
);

interface Ticket {
  readonly number: number;
  /** The period of the model in which it was granted. */
  readonly period: number;
}

/** What a breaker should do, told with a list of all answers instead of counters. */
class Model {
  state: 'closed' | 'open' | 'half_open' = 'closed';
  period = 0;
  probeIsOut = false;
  openUntilMs = 0;
  readonly #limits: BreakerLimits;
  readonly #jitter: number;
  #openings = 0;
  #answers: { slot: number; failed: boolean }[] = [];

  constructor(of: BreakerLimits, random: number) {
    this.#limits = of;
    this.#jitter = 1 + 0.2 * random;
  }

  mayGo(nowMs: number): boolean {
    if (this.state === 'open' && nowMs >= this.openUntilMs) this.#enter('half_open');
    if (this.state === 'open' || (this.state === 'half_open' && this.probeIsOut)) return false;
    if (this.state === 'half_open') {
      this.probeIsOut = true;
      this.period++;
    }
    return true;
  }

  answer(ticket: Ticket, kind: 'success' | 'failure' | 'ignored', nowMs: number): void {
    if (ticket.period !== this.period) return;
    if (kind === 'ignored') {
      if (this.state === 'half_open') this.#enter('half_open');
    } else if (this.state === 'half_open') {
      if (kind === 'success') this.#enter('closed');
      else this.#open(nowMs);
    } else {
      this.#answers.push({ slot: this.#slot(nowMs), failed: kind === 'failure' });
      if (kind === 'failure' && this.#isEnough(nowMs)) this.#open(nowMs);
    }
  }

  #slot(nowMs: number): number {
    return Math.floor(nowMs / (this.#limits.windowMs / 10));
  }

  #isEnough(nowMs: number): boolean {
    const lastGood = this.#answers.findLastIndex(({ failed }) => !failed);
    if (this.#answers.length - 1 - lastGood >= this.#limits.consecutiveFailures) return true;
    const recent = this.#answers.filter(({ slot }) => slot > this.#slot(nowMs) - 10);
    const failures = recent.filter(({ failed }) => failed).length;
    return (
      recent.length >= this.#limits.minimumVolume && failures / recent.length >= this.#limits.failureRate
    );
  }

  #open(nowMs: number): void {
    this.#enter('open');
    this.openUntilMs =
      nowMs + Math.min(this.#limits.maxOpenMs, this.#limits.openMs * 2 ** this.#openings) * this.#jitter;
    this.#openings++;
  }

  #enter(state: Model['state']): void {
    this.state = state;
    this.period++;
    this.probeIsOut = false;
    if (state !== 'closed') return;
    this.#openings = 0;
    this.#answers = [];
  }
}

function answer(breaker: CircuitBreaker, ticket: Ticket, kind: string, nowMs: number): void {
  if (kind === 'success') breaker.onSuccess(ticket.number, nowMs);
  else if (kind === 'failure') breaker.onFailure(ticket.number, nowMs);
  else breaker.onIgnored(ticket.number);
}

const random = fc.double({ min: 0, max: 0.999, noNaN: true });

const asModelled = (Tested: BreakerClass): fc.IRawProperty<unknown, false> =>
  fc.property(limits, steps, random, (of, schedule, chance) => {
    const breaker = new Tested(of, () => chance);
    const model = new Model(of, chance);
    const out: Ticket[] = [];
    let nowMs = 10_000;
    for (const step of schedule) {
      if (step.kind === 'pass') nowMs += step.ms;
      else if (step.kind === 'send') {
        const mayGo = model.mayGo(nowMs);
        const number = breaker.tryAcquire(nowMs);
        if (number > 0 !== mayGo) throw new Error(`ticket ${number} in ${model.state}`);
        if (mayGo) out.push({ number, period: model.period });
      } else if (out.length > 0) {
        const [ticket] = out.splice(step.which % out.length, 1);
        model.answer(ticket!, step.kind, nowMs);
        answer(breaker, ticket!, step.kind, nowMs);
      }
      const isDue = model.state === 'open' && nowMs >= model.openUntilMs;
      const state = isDue ? 'half_open' : model.state;
      if (breaker.state(nowMs) !== state) throw new Error(`${breaker.state(nowMs)}, not ${state}`);
      const retryAtMs = model.state === 'open' ? Math.max(nowMs, model.openUntilMs) : nowMs;
      if (!model.probeIsOut && Math.abs(breaker.retryAtMs(nowMs) - retryAtMs) > 1e-6)
        throw new Error(`retry at ${breaker.retryAtMs(nowMs)}, not ${retryAtMs}`);
    }
  });

describe('a breaker does as its model', () => {
  test('over any requests and answers, however late', () => {
    fc.assert(asModelled(CircuitBreaker), { numRuns: 500 });
  });

  test.each([
    ['two probes at once', 'if (this.#probeIsOut) return 0;', ''],
    ['an open one lets through', 'if (nowMs < this.#openUntilMs) return 0;', ''],
    [
      'a late success closes it, or counts',
      'onSuccess(ticket: number, nowMs: number): void {\n    if (ticket !== this.#ticket) return;',
      'onSuccess(ticket: number, nowMs: number): void {',
    ],
    [
      'a late failure opens it again',
      'onFailure(ticket: number, nowMs: number): void {\n    if (ticket !== this.#ticket) return;',
      'onFailure(ticket: number, nowMs: number): void {',
    ],
    [
      'a late throttling gives the probe of another back',
      "if (ticket !== this.#ticket || this.#state !== 'half_open')",
      "if (this.#state !== 'half_open')",
    ],
    ['a throttled probe is never given back', 'this.#probeIsOut = false;\n    this.#ticket++;\n  }', '}'],
    [
      'a success does not end a row of failures',
      'this.#consecutiveFailures = 0;\n    this.#successes++;',
      'this.#successes++;',
    ],
    ['the rate is judged without the minimum volume', 'volume >= this.#limits.minimumVolume &&', ''],
    ['the window never forgets', 'this.#failures -= this.#counts[SLOTS + index] as number;', ''],
    ['a slot of the last round is counted again', 'this.#counts[index] = 0;\n', ''],
    ['the window outlives a closing', 'this.#counts.fill(0);', ''],
    ['the jitter shortens', '(1 + JITTER *', '(1 - JITTER *'],
    [
      'an opening is no longer than the one before',
      'Math.min(this.#limits.maxOpenMs, 2 * this.#nextOpenMs)',
      'this.#nextOpenMs',
    ],
    [
      'an opening grows without bound',
      'Math.min(this.#limits.maxOpenMs, 2 * this.#nextOpenMs)',
      '2 * this.#nextOpenMs',
    ],
    [
      'closing does not start the back-off over',
      "} else if (state === 'closed') {\n      this.#nextOpenMs =",
      "} else if (state === 'closed') {\n      void",
    ],
  ])('a planted bug is caught: %s', async (_what, from, to) => {
    const { CircuitBreaker: Buggy } = await variantOf<{ CircuitBreaker: BreakerClass }>('limit/breaker.ts', [
      from,
      to,
    ]);
    expect(fc.check(asModelled(Buggy), { seed: 1, numRuns: 500 }).failed).toBe(true);
  });
});

const neverOpens = (Tested: BreakerClass): fc.IRawProperty<unknown, false> =>
  fc.property(
    limits,
    fc.array(fc.record({ ms: fc.nat(50), kind: fc.constantFrom('success' as const, 'ignored' as const) })),
    (of, answers) => {
      const breaker = new Tested(of, () => 0);
      let nowMs = 0;
      for (const { ms, kind } of answers) {
        const number = breaker.tryAcquire(nowMs);
        if (number === 0) throw new Error('refused');
        nowMs += ms;
        answer(breaker, { number, period: 0 }, kind, nowMs);
      }
    },
  );

describe('without a failure it never opens', () => {
  test('however much is throttled', () => {
    fc.assert(neverOpens(CircuitBreaker), { numRuns: 300 });
  });

  test('a planted bug is caught: what is throttled counts as a failure', async () => {
    const { CircuitBreaker: Buggy } = await variantOf<{ CircuitBreaker: BreakerClass }>('limit/breaker.ts', [
      "if (ticket !== this.#ticket || this.#state !== 'half_open') return;",
      'if (ticket === this.#ticket) this.onFailure(ticket, 0);',
    ]);
    expect(fc.check(neverOpens(Buggy), { seed: 1, numRuns: 300 }).failed).toBe(true);
  });
});

const defaults: BreakerLimits = {
  consecutiveFailures: 5,
  failureRate: 0.5,
  windowMs: 60_000,
  minimumVolume: 20,
  openMs: 30_000,
  maxOpenMs: 100_000,
};

function fail(breaker: CircuitBreaker, times: number, nowMs: number): void {
  for (let i = 0; i < times; i++) breaker.onFailure(breaker.tryAcquire(nowMs), nowMs);
}

describe('a destination that is doubted', () => {
  test('gets no fresh storm: one probe, and the shortest opening when that fails', () => {
    const breaker = new CircuitBreaker(defaults, () => 0);
    breaker.doubt(500);
    expect(breaker.state(500)).toBe('half_open');
    const probe = breaker.tryAcquire(500);
    expect(probe).toBeGreaterThan(0);
    expect(breaker.tryAcquire(500)).toBe(0);
    breaker.onFailure(probe, 500);
    expect(breaker.retryAtMs(500)).toBe(30_500);
  });

  test('is closed by a probe that succeeds, and nothing changes while it is open', () => {
    const breaker = new CircuitBreaker(defaults, () => 0);
    breaker.doubt(0);
    breaker.onSuccess(breaker.tryAcquire(0), 0);
    expect(breaker.state(0)).toBe('closed');
    fail(breaker, 5, 0);
    breaker.doubt(1);
    expect(breaker.state(1)).toBe('open');
  });
});

test('while a probe is out, those it holds back are told to come after the shortest opening', () => {
  const breaker = new CircuitBreaker(defaults, () => 0);
  fail(breaker, 5, 0);
  breaker.tryAcquire(30_000);
  expect(breaker.retryAtMs(30_000)).toBe(60_000);
});

test('is forgotten only when it has nothing in mind', () => {
  const breaker = new CircuitBreaker(defaults, () => 0);
  expect(breaker.isPristine(0)).toBe(true);
  breaker.onSuccess(breaker.tryAcquire(0), 0);
  expect(breaker.isPristine(53_999)).toBe(false);
  expect(breaker.isPristine(60_000)).toBe(true);
  fail(breaker, 1, 60_000);
  expect(breaker.isPristine(1e9)).toBe(false);
});
