/**
 * Proves that a process which stood still sends nothing before the broker has confirmed that it still owns its
 * partitions, whatever polls and answers come in between; and that one which polls in time is never held up.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LEASE_MS, Lease } from '../../src/ingest/lease.ts';
import { variantOf } from '../domain/planted-bug.ts';

type LeaseClass = typeof Lease;

/** A lane's view of the lease, and the questions that reached the broker. */
class Bench {
  untilMs = 0;
  readonly questions: ((isOwner: boolean) => void)[] = [];
  readonly lapses: number[] = [];
  readonly lease: Lease;

  constructor(nowMs: number, Class: LeaseClass = Lease) {
    this.lease = new Class({
      nowMs,
      publish: (untilMs) => (this.untilMs = untilMs),
      affirm: (onAnswer) => this.questions.push(onAnswer),
      onLapse: (stoodStillMs) => this.lapses.push(stoodStillMs),
    });
  }

  maySend(nowMs: number): boolean {
    return nowMs <= this.untilMs;
  }
}

describe('a lease', () => {
  test('is renewed by every poll, and asks nobody', () => {
    const bench = new Bench(1_000);
    for (let nowMs = 1_000; nowMs < 60_000; nowMs += LEASE_MS) {
      bench.lease.onPoll(nowMs);
      expect(bench.maySend(nowMs + LEASE_MS)).toBe(true);
    }
    expect(bench.questions).toEqual([]);
    expect(bench.lapses).toEqual([]);
  });

  test('ends without any poll, and no poll after that brings it back', () => {
    const bench = new Bench(0);
    expect(bench.maySend(LEASE_MS + 1)).toBe(false);
    for (let nowMs = 10_000; nowMs < 20_000; nowMs += 20) {
      bench.lease.onPoll(nowMs);
      expect(bench.maySend(nowMs)).toBe(false);
    }
    expect(bench.lease.hasLapsed).toBe(true);
    expect(bench.lapses).toEqual([10_000]);
    expect(bench.questions).toHaveLength(1);
  });

  test('is back with the answer that the partitions are still its own', () => {
    const bench = new Bench(0);
    bench.lease.onPoll(10_000);
    bench.lease.onPoll(10_020);
    bench.questions[0]!(true);
    expect(bench.lease.hasLapsed).toBe(false);
    expect(bench.untilMs).toBe(10_020 + LEASE_MS);
  });

  test('stays away with the answer that they are not, and asks again', () => {
    const bench = new Bench(0);
    bench.lease.onPoll(10_000);
    bench.questions[0]!(false);
    bench.lease.onPoll(10_020);
    expect(bench.questions).toHaveLength(1);
    bench.lease.onPoll(10_600);
    expect(bench.questions).toHaveLength(2);
    expect(bench.maySend(10_600)).toBe(false);
  });

  test('ends at once when the broker does not know the process, and is back when it does again', () => {
    const bench = new Bench(1_000);
    bench.lease.onPoll(1_500);
    bench.lease.onEvicted();
    expect([bench.maySend(1_500), bench.lease.isHeld(1_500), bench.lease.hasLapsed]).toEqual([
      false,
      false,
      true,
    ]);
    expect(bench.lapses, 'it did not stand still').toEqual([]);
    bench.lease.onPoll(1_520);
    bench.lease.onEvicted();
    bench.questions[0]!(false);
    bench.lease.onPoll(2_100);
    expect([bench.maySend(2_100), bench.questions.length]).toEqual([false, 2]);
    bench.questions[1]!(true);
    expect([bench.maySend(2_100), bench.lease.hasLapsed]).toEqual([true, false]);
  });

  test('is not brought back by an answer from before it stood still once more', () => {
    const bench = new Bench(0);
    bench.lease.onPoll(10_000);
    bench.lease.onPoll(30_000);
    bench.questions[0]!(true);
    expect(bench.maySend(30_000)).toBe(false);
    expect(bench.questions).toHaveLength(2);
  });
});

test('a standstill that no poll has told of yet is known by the time', () => {
  const { lease } = new Bench(0);
  expect(lease.isHeld(LEASE_MS)).toBe(true);
  expect([lease.isHeld(LEASE_MS + 1), lease.hasLapsed]).toEqual([false, false]);
  lease.onPoll(LEASE_MS + 1);
  expect(lease.isHeld(LEASE_MS + 1)).toBe(false);
});

describe('whatever happens', () => {
  const steps = fc.array(
    fc.oneof(
      fc.record({ kind: fc.constant('poll' as const), afterMs: fc.integer({ min: 0, max: 2 * LEASE_MS }) }),
      fc.record({ kind: fc.constant('answer' as const), isOwner: fc.boolean() }),
    ),
    { maxLength: 40 },
  );

  /** What it must be, by the questions asked since the process last stood still. */
  function holds(Class: LeaseClass): (run: readonly Step[]) => boolean {
    return (run) => {
      let nowMs = 0;
      let lapsedAtQuestion: number | null = null;
      const bench = new Bench(nowMs, Class);
      const open: { question: number; answer: (isOwner: boolean) => void }[] = [];
      let taken = 0;
      for (const step of run) {
        if (step.kind === 'poll') {
          nowMs += step.afterMs;
          if (step.afterMs > LEASE_MS) lapsedAtQuestion = bench.questions.length;
          bench.lease.onPoll(nowMs);
          for (; taken < bench.questions.length; taken++)
            open.push({ question: taken, answer: bench.questions[taken]! });
        } else {
          const next = open.shift();
          if (next === undefined) continue;
          next.answer(step.isOwner);
          if (step.isOwner && lapsedAtQuestion !== null && next.question >= lapsedAtQuestion)
            lapsedAtQuestion = null;
        }
        if (bench.maySend(nowMs) !== (lapsedAtQuestion === null)) return false;
      }
      return true;
    };
  }

  test('it may send exactly while it polls in time, or the broker has said so since', () => {
    fc.assert(fc.property(steps, holds(Lease)));
  });

  test.each<[string, readonly [string, string]]>([
    [
      'takes the answer to an older question',
      ['if (lapse !== this.#lapses) return;', 'if (lapse > this.#lapses) return;'],
    ],
    ['takes any answer for a yes', ['if (!isOwner) return;', '']],
    [
      'is renewed by polls alone',
      ["if (this.#state === 'held') this.#renew();", 'if (stoodStillMs <= LEASE_MS) this.#renew();'],
    ],
  ])('a lease that %s is caught', async (_what, change) => {
    const { Lease: Planted } = await variantOf<{ Lease: LeaseClass }>('ingest/lease.ts', change);
    expect(() => {
      fc.assert(fc.property(steps, holds(Planted)), { seed: 1, numRuns: 2_000 });
    }).toThrow();
  });
});

type Step =
  | { readonly kind: 'poll'; readonly afterMs: number }
  | { readonly kind: 'answer'; readonly isOwner: boolean };
