/**
 * Proves that a partition of a delay topic gives each record once and in order, none
 * before its time and none much after it, through seeks that fail and seeks that
 * land behind the head; and that waiting holds one offset in memory, under one timer.
 */
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { TopicPartition, TopicPartitionOffset } from '../../src/domain/record.ts';
import { Assignment } from '../../src/ingest/assignment.ts';
import { DueWait, type HoldableSource } from '../../src/ingest/due-wait.ts';
import { ManualClock } from '../domain/manual-clock.ts';
import { variantOf } from '../domain/planted-bug.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
});

afterEach(() => {
  vi.useRealTimers();
});

const TICK_MS = 5;

/** What a seek does: it works, it fails, it lands one record behind the one it was told. */
type Mood = 'right' | 'fails' | 'too_far';

interface Log {
  readonly assignment: Assignment;
  /** When each record is due, ascending; its index is its offset. */
  readonly due: readonly number[];
  next: number;
  held: boolean;
  readonly taken: { readonly offset: number; readonly atMs: number }[];
}

/** Reads as intake does: a head that is not due takes itself back and waits. */
class Bench implements HoldableSource {
  readonly clock = new ManualClock();
  readonly logs: Log[];
  readonly errors: string[] = [];
  moods: Mood[] = [];
  readonly wait: DueWait;

  constructor(due: readonly (readonly number[])[], Wait: typeof DueWait = DueWait, delayMs = 1_000) {
    this.logs = due.map((times, partition) => ({
      assignment: new Assignment(partition + 1, 'retry', partition, delayMs),
      due: times.map((time) => this.clock.nowMs + time).toSorted((a, b) => a - b),
      next: 0,
      held: false,
      taken: [],
    }));
    this.wait = new Wait({
      source: this,
      clock: this.clock,
      onError: (message) => this.errors.push(message),
    });
  }

  hold({ partition }: TopicPartition): void {
    const log = this.logs[partition]!;
    if (log.held) throw new Error('held already');
    log.held = true;
  }

  release({ partition }: TopicPartition): void {
    const log = this.logs[partition]!;
    if (!log.held) throw new Error('not held');
    log.held = false;
  }

  seek({ partition, offset }: TopicPartitionOffset, callback: (error: string | null) => void): void {
    const mood = this.moods.shift() ?? 'right';
    setTimeout(() => {
      const log = this.logs[partition]!;
      // Behind the last record there is nothing that would tell.
      const isTooFar = mood === 'too_far' && offset + 1 < log.due.length;
      if (mood !== 'fails') log.next = offset + (isTooFar ? 1 : 0);
      callback(mood === 'fails' ? 'Local: Timed out' : null);
    }, 1);
  }

  poll(): void {
    for (const log of this.logs) {
      for (; !log.held && log.next < log.due.length; log.next++) {
        const offset = log.next;
        if (offset <= log.assignment.lastRead || !this.wait.accepts(log.assignment, offset)) continue;
        log.assignment.lastRead = offset;
        const dueAtMs = log.due[offset]!;
        if (this.clock.nowMs >= dueAtMs) log.taken.push({ offset, atMs: this.clock.nowMs });
        else {
          log.assignment.rewindTo(offset);
          this.wait.wait(log.assignment, offset, dueAtMs, false);
        }
      }
    }
  }

  async pass(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += TICK_MS) {
      this.clock.nowMs += TICK_MS;
      await vi.advanceTimersByTimeAsync(TICK_MS);
      this.poll();
    }
  }
}

describe('a head that is not due', () => {
  test('is waited for, and the records behind it that fell due meanwhile follow at once', async () => {
    const bench = new Bench([[1_000, 1_010, 1_020, 5_000]]);
    bench.poll();
    expect([bench.logs[0]!.held, bench.wait.size]).toEqual([true, 1]);
    await bench.pass(995);
    expect(bench.logs[0]!.taken).toEqual([]);
    await bench.pass(300);
    expect(bench.logs[0]!.taken.map(({ offset }) => offset)).toEqual([0, 1, 2]);
    expect(bench.wait.size).toBe(1);
  });

  test.each([
    [1_000, 250],
    [120_000, 4_800],
    [86_400_000, 10_000],
  ])(
    'of a topic of %i ms is read again after %i ms at the soonest, not for every record',
    async (delayMs, ms) => {
      const bench = new Bench([[1, 2, 3]], DueWait, delayMs);
      bench.poll();
      await bench.pass(ms - 10);
      expect(bench.logs[0]!.taken).toEqual([]);
      await bench.pass(20);
      expect(bench.logs[0]!.taken).toHaveLength(3);
    },
  );

  test('an hour away is looked at again and again: the wall clock may be set', async () => {
    const bench = new Bench([[3_600_000]]);
    bench.poll();
    bench.clock.nowMs += 3_600_000;
    await vi.advanceTimersByTimeAsync(30_001);
    bench.poll();
    expect(bench.logs[0]!.taken).toHaveLength(1);
  });

  test('of many partitions takes one timer', () => {
    const bench = new Bench(Array.from({ length: 64 }, (_, i) => [10_000 - i]));
    bench.poll();
    expect([bench.wait.size, vi.getTimerCount()]).toEqual([64, 1]);
    bench.wait.stop();
    expect([bench.wait.size, vi.getTimerCount()]).toEqual([0, 0]);
  });
});

describe('a partition that is given up', () => {
  test('is not left held, and a seek that answers later changes nothing', async () => {
    const bench = new Bench([[200]]);
    const { assignment } = bench.logs[0]!;
    bench.poll();
    bench.clock.nowMs += 200;
    vi.advanceTimersByTime(200);
    bench.wait.forget(assignment);
    expect(bench.logs[0]!.held).toBe(false);
    await vi.advanceTimersByTimeAsync(10);
    expect([bench.logs[0]!.held, bench.errors]).toEqual([false, []]);
  });
});

test('a head that retention deleted is given up after a second seek, not waited for in vain', async () => {
  const bench = new Bench([[200, 210]]);
  bench.moods = ['too_far', 'too_far'];
  bench.poll();
  await bench.pass(1_000);
  expect(bench.logs[0]!.taken.map(({ offset }) => offset)).toEqual([1]);
});

const partitions = fc.array(fc.array(fc.nat(3_000), { maxLength: 8 }), { minLength: 1, maxLength: 3 });
const moods = fc.array(fc.constantFrom<Mood>('right', 'right', 'fails', 'too_far'), { maxLength: 6 });

/** Retention is no part of it, so no head is sought too far twice. */
function once(list: readonly Mood[]): Mood[] {
  return list.map((mood, i) => (mood === 'too_far' && list.indexOf('too_far') !== i ? 'fails' : mood));
}

async function everythingOnceAndInTime(
  due: readonly (readonly number[])[],
  faults: readonly Mood[],
  Wait?: typeof DueWait,
): Promise<void> {
  const bench = new Bench(due, Wait);
  bench.moods = once(faults);
  bench.poll();
  await bench.pass(3_000 + 300 + faults.length * 600);
  bench.wait.stop();
  for (const log of bench.logs) {
    expect(log.taken.map(({ offset }) => offset)).toEqual(log.due.map((_, offset) => offset));
    for (const { offset, atMs } of log.taken) {
      expect(atMs).toBeGreaterThanOrEqual(log.due[offset]!);
      expect(atMs - log.due[offset]!).toBeLessThanOrEqual(270 + faults.length * 520);
    }
  }
}

test('over any due times and faults: each record once, in order, not early, hardly late', async () => {
  await fc.assert(
    fc.asyncProperty(partitions, moods, (due, faults) => everythingOnceAndInTime(due, faults)),
    {
      numRuns: 60,
    },
  );
});

test.each([
  ['a head that is read past is not missed', 'offset === head.offset || head.isSecond', 'true'],
  ['a wait takes longer than it has to', 'Math.max(dueAtMs, soonestMs)', 'dueAtMs + 3_000'],
  ['the timer serves the latest', 'dueAtMs < nextMs', 'dueAtMs > nextMs'],
  ['a failed seek counts', 'if (error === null) {', 'if (error === null || error) {'],
])('catches it when %s', async (_what, from, to) => {
  const variant = await variantOf<{ DueWait: typeof DueWait }>('ingest/due-wait.ts', [from, to]);
  await expect(
    fc.assert(
      fc.asyncProperty(partitions, moods, async (due, faults) => {
        await everythingOnceAndInTime(due, faults, variant.DueWait);
      }),
      { numRuns: 60 },
    ),
  ).rejects.toThrow();
});
