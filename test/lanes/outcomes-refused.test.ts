/**
 * Proves what follows when a delivery is refused, and what becomes of an ordered one, which is tried again in the lane:
 * its outcome, where it goes, when it is due, what it is charged.
 */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { systemClock } from '../../src/domain/clock.ts';
import type { Destination } from '../../src/domain/destination.ts';
import type { Delivery } from '../../src/lanes/delivery.ts';
import { laneSlots } from '../../src/observability/lane-slots.ts';
import { headersOf } from './lane-bench.ts';
import { breakerOf, retryOf } from './lane-parts.ts';
import { OutcomesBench, START, timeCell, wallMs } from './outcomes-bench.ts';

beforeEach(() => {
  vi.useFakeTimers();
  vi.setSystemTime(START);
});

afterEach(() => {
  vi.useRealTimers();
});

describe('refused', () => {
  const unsent = { status: '0', class: '', ambiguous: '0', response: '', duration_us: '0' };

  function refusing(change: Partial<Destination> = {}): OutcomesBench {
    return new OutcomesBench({ breaker: breakerOf({ openMs: 30_000, maxOpenMs: 30_000 }), ...change });
  }

  function openBreaker(bench: OutcomesBench): void {
    for (let i = 0; i < 3; i++) bench.queues.end(bench.delivery(), 'failed');
  }

  test.each([
    [0, 30_000],
    [0.5, 45_000],
    [1, 60_000],
  ])('by an open breaker (random %d): it comes back %d ms later, uncharged', (random, delayMs) => {
    const bench = refusing();
    openBreaker(bench);
    bench.random = random;
    const delivery = bench.add();
    delivery.attempts = 1;
    bench.outcomes.refused(delivery, 'breaker_open');
    const { own, handovers, handed } = bench.reported();
    const dueAtMs = wallMs() + delayMs;
    expect([own, handovers.map((one) => [one.to, one.dueAtMs])]).toEqual([[], [['retry', dueAtMs]]]);
    expect(handed).toMatchObject([
      {
        ...unsent,
        outcome: 'breaker_open',
        reason: 'breaker_open',
        is_final: '0',
        attempt: '1',
        hand_over: 'retry',
        next_attempt_at: timeCell(dueAtMs),
      },
    ]);
    expect(headersOf(handovers[0]!)).toMatchObject({
      'eventdispatch-attempts': '1',
      'eventdispatch-first-seen': String(wallMs()),
      'eventdispatch-due': String(dueAtMs),
    });
    expect([delivery.attempts, bench.ended]).toEqual([1, [delivery]]);
    expect(bench.queues.counters.get(laneSlots.deliveriesRefused)).toBe(1);
  });

  test('by a breaker that has been open for a while: it comes back when that is over', () => {
    const bench = refusing();
    openBreaker(bench);
    vi.advanceTimersByTime(20_000);
    bench.outcomes.refused(bench.add(), 'breaker_open');
    expect(bench.reported().handovers).toMatchObject([{ dueAtMs: wallMs() + 10_000 }]);
  });

  test('in a pause the receiver asked for: it comes back after it', () => {
    const bench = refusing();
    bench.queue.endpoint.tokens.slowUntil(systemClock.monotonicMs() + 8_000);
    const delivery = bench.add();
    bench.outcomes.refused(delivery, 'throttled');
    const { own, handovers, handed } = bench.reported();
    expect([own, handovers.map((one) => [one.to, one.dueAtMs])]).toEqual([[], [['retry', wallMs() + 8_000]]]);
    expect(handed).toMatchObject([
      { ...unsent, outcome: 'retrying', reason: 'paused_by_receiver', is_final: '0', attempt: '0' },
    ]);
    expect(delivery.attempts).toBe(0);
  });

  test('by an open breaker, but too old when it came back: it is dead now', () => {
    const bench = refusing({ retry: { ...retryOf(3, 1, 1), maxAgeMs: 29_999 } });
    openBreaker(bench);
    bench.outcomes.refused(bench.add(), 'breaker_open');
    const { handovers, handed } = bench.reported();
    expect(handovers.map(({ to }) => to)).toEqual(['dead_letter']);
    expect(handed).toMatchObject([{ ...unsent, outcome: 'dead', reason: 'too_old', attempt: '0' }]);
  });

  test.each([
    ['expired', 'expired', 'expired', laneSlots.deliveriesExpired],
    ['disabled', 'skipped_disabled', 'destination_disabled', laneSlots.deliveriesSkipped],
  ] as const)('as %s: it ends %s, unsent and with a row of its own', (why, outcome, reason, slot) => {
    const bench = refusing();
    const delivery = bench.add();
    delivery.attempts = 2;
    bench.outcomes.refused(delivery, why);
    const { own, handovers } = bench.reported();
    expect(handovers).toEqual([]);
    expect(own).toMatchObject([{ ...unsent, outcome, reason, is_final: '1', attempt: '2', hand_over: '' }]);
    expect([bench.ended, bench.queues.counters.get(slot)]).toEqual([[delivery], 1]);
  });

  test('as abandoned: nothing is said of it, for its next owner to say it all', () => {
    const bench = refusing();
    const delivery = bench.add();
    bench.outcomes.refused(delivery, 'abandoned');
    expect(bench.reported()).toEqual({ own: [], handovers: [], handed: [] });
    expect(bench.ended).toEqual([delivery]);
  });
});

describe('an ordered delivery', () => {
  function ordered(then: 'skip' | 'park', change: Partial<Destination> = {}): OutcomesBench {
    const retry = retryOf(1, 10_000, 1_000_000);
    return new OutcomesBench({ order: 'key', poison: { maxBlockMs: 45_000, then }, retry, ...change });
  }

  /** Fails whenever it is sent, until it has ended. */
  function failOn(bench: OutcomesBench, delivery: Delivery): void {
    for (let waits = 0; waits < 1_000 && bench.ended.length === 0; waits++) {
      if (bench.queue.inFlight > 0) bench.end(delivery, 'failed_after_send');
      else vi.advanceTimersByTime(100);
    }
  }

  test('is tried again in the lane, beyond its number of attempts, and charged', () => {
    const bench = ordered('park');
    const delivery = bench.delivery(0, { event: { key: 'k' } });
    bench.end(delivery, 'failed_after_send');
    const { own, handovers } = bench.reported();
    expect(handovers).toEqual([]);
    expect(own).toMatchObject([
      { outcome: 'retrying', attempt: '1', hand_over: '', next_attempt_at: timeCell(wallMs() + 10_000) },
    ]);
    vi.advanceTimersByTime(9_999);
    expect(bench.queue.inFlight).toBe(0);
    vi.advanceTimersByTime(2);
    expect([bench.queue.inFlight, delivery.attempts, bench.ended]).toEqual([1, 1, []]);
  });

  test('waits its whole back-off, however long', () => {
    const bench = ordered('park', { poison: { maxBlockMs: 3_600_000, then: 'park' } });
    bench.end(bench.delivery(6, { event: { key: 'k' } }), 'failed_after_send');
    expect(bench.reported().own[0]!.next_attempt_at).toBe(timeCell(wallMs() + 640_000));
  });

  test('that would block its key for longer than it may is parked: a dead letter', () => {
    const bench = ordered('park');
    const delivery = bench.delivery(0, { event: { key: 'k' } });
    failOn(bench, delivery);
    const { own, handovers, handed } = bench.reported();
    expect(own.map(({ outcome, attempt }) => [outcome, attempt])).toEqual([
      ['retrying', '1'],
      ['retrying', '2'],
    ]);
    expect(handovers.map(({ to }) => to)).toEqual(['dead_letter']);
    expect(handed).toMatchObject([
      { outcome: 'dead', reason: 'order_blocked', hand_over: 'dead_letter', class: 'failed_after_send' },
    ]);
    const blockedMs = wallMs() - START.getTime();
    expect(blockedMs, 'the third wait would end after 70 s').toBeGreaterThanOrEqual(30_000);
    expect(blockedMs).toBeLessThan(45_000);
    expect(bench.ended).toEqual([delivery]);
  });

  test('or skipped: only the ledger knows', () => {
    const bench = ordered('skip');
    failOn(bench, bench.delivery(0, { event: { key: 'k' } }));
    const { own, handovers } = bench.reported();
    expect(handovers).toEqual([]);
    expect(own.at(-1)).toMatchObject({
      outcome: 'dead',
      reason: 'order_skipped',
      is_final: '1',
      hand_over: '',
    });
    expect(bench.ended).toHaveLength(1);
  });

  test('that was refused for good ends at once: its key is free', () => {
    const bench = ordered('park');
    bench.end(bench.delivery(0, { event: { key: 'k' } }), 'rejected');
    expect(bench.reported().handed).toMatchObject([{ outcome: 'rejected' }]);
    expect(bench.ended).toHaveLength(1);
  });

  test('stays for a shortage of ours without using up its time', () => {
    const bench = ordered('park', { poison: { maxBlockMs: 0, then: 'park' } });
    bench.end(bench.delivery(0, { event: { key: 'k' } }), 'local');
    expect(bench.reported().own).toMatchObject([{ outcome: 'retrying', hand_over: '' }]);
    expect(bench.ended).toEqual([]);
  });
});
