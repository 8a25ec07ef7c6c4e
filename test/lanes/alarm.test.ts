/** Proves that what waits in a lane is woken once, in order, never early, by one timer. */
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { systemClock } from '../../src/domain/clock.ts';
import { Alarm } from '../../src/lanes/alarm.ts';

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

/** Sets something that notes its name when its time has come. */
function sleepers(alarm: Alarm): { woken: [string, number][]; sleep: (name: string, dueMs: number) => void } {
  const woken: [string, number][] = [];
  const sleep = (name: string, dueMs: number): void => {
    alarm.set({ onDue: () => woken.push([name, systemClock.monotonicMs()]) }, dueMs);
  };
  return { woken, sleep };
}

test('an earlier time set later is met first', () => {
  const { woken, sleep } = sleepers(new Alarm(systemClock));
  const nowMs = systemClock.monotonicMs();
  sleep('late', nowMs + 100);
  sleep('early', nowMs + 20);
  sleep('middle', nowMs + 50);
  expect(vi.getTimerCount()).toBe(1);
  vi.advanceTimersByTime(200);
  expect(woken).toEqual([
    ['early', nowMs + 20],
    ['middle', nowMs + 50],
    ['late', nowMs + 100],
  ]);
  expect(vi.getTimerCount()).toBe(0);
});

test('a time that has passed already is met at the next turn, not within the call', () => {
  const { woken, sleep } = sleepers(new Alarm(systemClock));
  sleep('past', systemClock.monotonicMs() - 50);
  expect(woken).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(woken).toHaveLength(1);
});

test('what is woken may set the alarm again', () => {
  const alarm = new Alarm(systemClock);
  const startMs = systemClock.monotonicMs();
  const atMs: number[] = [];
  const due = {
    onDue: (): void => {
      atMs.push(alarm.nowMs() - startMs);
      if (atMs.length < 3) alarm.set(due, alarm.nowMs() + 10);
    },
  };
  alarm.set(due, startMs + 10);
  vi.advanceTimersByTime(100);
  expect(atMs).toEqual([10, 20, 30]);
});

test('a wait of half a day is met: long waits are no short ones', () => {
  const { woken, sleep } = sleepers(new Alarm(systemClock));
  sleep('far', systemClock.monotonicMs() + 12 * 3_600_000);
  vi.advanceTimersByTime(12 * 3_600_000 - 1);
  expect(woken).toEqual([]);
  // Times of the clock have fractions of a millisecond, timers have none: it may be one late.
  vi.advanceTimersByTime(2);
  expect(woken).toHaveLength(1);
});

test('stopped, it wakes nothing', () => {
  const alarm = new Alarm(systemClock);
  const { woken, sleep } = sleepers(alarm);
  sleep('a', systemClock.monotonicMs() + 10);
  alarm.stop();
  vi.advanceTimersByTime(100);
  expect([woken, vi.getTimerCount()]).toEqual([[], 0]);
});

test('over any times, set at any moments: each woken once, never early, at most a millisecond late', () => {
  const plan = fc.array(fc.tuple(fc.nat(50), fc.double({ min: 0, max: 300, noNaN: true })), {
    maxLength: 40,
  });
  fc.assert(
    fc.property(plan, (sleeps) => {
      const alarm = new Alarm(systemClock);
      const woken = new Map<number, number>();
      const dueAtMs = sleeps.map(([passMs, inMs], index) => {
        vi.advanceTimersByTime(passMs);
        const dueMs = systemClock.monotonicMs() + inMs;
        alarm.set(
          {
            onDue: () => {
              expect(woken.has(index)).toBe(false);
              woken.set(index, systemClock.monotonicMs());
            },
          },
          dueMs,
        );
        return dueMs;
      });
      vi.advanceTimersByTime(1_000);
      expect(woken.size).toBe(sleeps.length);
      for (const [index, atMs] of woken) {
        expect(atMs).toBeGreaterThanOrEqual(dueAtMs[index]!);
        expect(atMs).toBeLessThanOrEqual(dueAtMs[index]! + 1);
      }
      expect(alarm.size).toBe(0);
    }),
  );
});
