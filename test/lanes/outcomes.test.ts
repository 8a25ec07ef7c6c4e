/**
 * Proves what follows from each way an attempt can end and from each way a delivery can
 * be refused: its outcome, where it goes, when it is due, what it is charged, and what
 * its row says; and that a row about a hand-over goes with it and in no other way.
 */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { ATTEMPT_CLASSES, CLASS_RULES, isAmbiguous, type AttemptClass } from '../../src/deliver/classify.ts';
import { systemClock } from '../../src/domain/clock.ts';
import type { Destination } from '../../src/domain/destination.ts';
import type { Delivery } from '../../src/lanes/delivery.ts';
import type { DeliveryQueue } from '../../src/lanes/delivery-queue.ts';
import { LedgerEntries } from '../../src/lanes/ledger-entries.ts';
import { Outbox } from '../../src/lanes/outbox.ts';
import { Outcomes, type AttemptResult } from '../../src/lanes/outcomes.ts';
import type { Handover, Settled } from '../../src/lanes/protocol.ts';
import { laneSlots } from '../../src/observability/lane-slots.ts';
import { cellsOf, headersOf, rowsIn, type AttemptCells } from './lane-bench.ts';
import { breakerOf, retryOf } from './lane-parts.ts';
import { QueueBench, type Added } from './queue-bench.ts';

const START = new Date('2026-03-01T12:00:00.000Z');

beforeEach(() => {
  vi.useFakeTimers();
  vi.setSystemTime(START);
});

afterEach(() => {
  vi.useRealTimers();
});

const wallMs = (): number => systemClock.wallMs();

/** Outcomes of deliveries whose attempts the test ends. */
class Bench {
  readonly queues = new QueueBench();
  readonly queue: DeliveryQueue;
  readonly ended: Delivery[] = [];
  readonly outcomes: Outcomes;
  random = 0;
  readonly #messages: Settled[] = [];
  readonly #outbox = new Outbox((message) => this.#messages.push(message));
  readonly #entries = new LedgerEntries(this.#outbox, systemClock, { instance: 'bench', lane: 0 });

  constructor(change: Partial<Destination> = {}) {
    this.queue = this.queues.queue({ retry: retryOf(3, 10_000, 100_000), ...change });
    this.outcomes = new Outcomes({
      clock: systemClock,
      random: () => this.random,
      entries: this.#entries,
      outbox: this.#outbox,
      counters: this.queues.counters,
      onEnded: (delivery) => this.ended.push(delivery),
    });
  }

  add(added: Added = {}): Delivery {
    const delivery = this.queues.add(this.queue, 'dlv', added);
    this.#entries.again(delivery.event, delivery.record);
    return delivery;
  }

  /** A delivery in flight for the `attempts + 1`th time. */
  delivery(attempts = 0, added: Added = {}): Delivery {
    const delivery = this.add(added);
    delivery.attempts = attempts;
    delivery.attemptedAtMs = wallMs();
    if (delivery.firstSeenMs === 0) delivery.firstSeenMs = wallMs();
    return delivery;
  }

  end(delivery: Delivery, attemptClass: AttemptClass, change: Partial<AttemptResult> = {}): void {
    this.queue.onEnd(delivery);
    this.outcomes.ended(delivery, {
      verdict: { class: attemptClass, reason: `for_${attemptClass}` },
      isCharged: CLASS_RULES[attemptClass].charged,
      ambiguous: isAmbiguous(attemptClass, true),
      status: 299,
      durationMs: 12.5,
      retryAfterMs: null,
      response: 'answer',
      ...change,
    });
  }

  /** What was reported since the last time. */
  reported(): { own: AttemptCells[]; handovers: readonly Handover[]; handed: AttemptCells[] } {
    this.#outbox.post();
    const messages = this.#messages.splice(0);
    const handovers = messages.flatMap((message) => message.handovers);
    return {
      own: messages.flatMap(rowsIn),
      handovers,
      handed: handovers.flatMap(({ row }) => cellsOf(row!)),
    };
  }
}

interface Follows {
  readonly outcome: string;
  readonly to: '' | Handover['to'];
  readonly isFinal: boolean;
  readonly charged: 0 | 1;
  readonly hasEnded: boolean;
}

const delivered: Follows = { outcome: 'delivered', to: '', isFinal: true, charged: 1, hasEnded: true };
const rejected: Follows = {
  outcome: 'rejected',
  to: 'dead_letter',
  isFinal: true,
  charged: 1,
  hasEnded: true,
};
const dead: Follows = { outcome: 'dead', to: 'dead_letter', isFinal: true, charged: 1, hasEnded: true };
const retried: Follows = { outcome: 'retrying', to: 'retry', isFinal: false, charged: 1, hasEnded: true };
const stays: Follows = { outcome: 'retrying', to: '', isFinal: false, charged: 0, hasEnded: false };

/** By class: with attempts left, and with the last one used. */
const TABLE: Readonly<Record<AttemptClass, readonly [left: Follows, last: Follows]>> = {
  delivered: [delivered, delivered],
  rejected: [rejected, rejected],
  throttled: [retried, dead],
  failed_before_send: [retried, dead],
  failed_after_send: [retried, dead],
  blocked: [dead, dead],
  local: [stays, stays],
};

describe('an attempt', () => {
  const cases = ATTEMPT_CLASSES.flatMap((attemptClass) =>
    [0, 1, 2].map((before) => ({ attemptClass, before, follows: TABLE[attemptClass][before === 2 ? 1 : 0] })),
  );

  test.each(cases)(
    '$attemptClass after $before of 3: $follows.outcome',
    ({ attemptClass, before, follows }) => {
      const bench = new Bench();
      const delivery = bench.delivery(before);
      bench.end(delivery, attemptClass);
      const { own, handovers, handed } = bench.reported();
      const { outcome, to, isFinal, charged, hasEnded } = follows;
      expect(handovers.map((one) => one.to)).toEqual(to === '' ? [] : [to]);
      expect([own.length, handed.length], 'one row, with the hand-over if there is one').toEqual(
        to === '' ? [1, 0] : [0, 1],
      );
      expect([...own, ...handed][0]).toMatchObject({
        outcome,
        is_final: isFinal ? '1' : '0',
        hand_over: to,
        attempt: String(before + 1),
        class: attemptClass,
        reason: `for_${attemptClass}`,
        ambiguous: isAmbiguous(attemptClass, true) ? '1' : '0',
        status: '299',
        duration_us: '12500',
        response: 'answer',
        retry_topic: '',
        destination_id: 'd',
        delivery_id: 'dlv',
      });
      expect(delivery.attempts).toBe(before + charged);
      expect(bench.ended).toEqual(hasEnded ? [delivery] : []);
    },
  );

  test('that fails counts against the number of its event’s priority', () => {
    const retry = { ...retryOf(3, 1, 1), maxAttempts: { high: 3, normal: 2, low: 1 } };
    const followed = (['high', 'normal', 'low'] as const).map((priority) => {
      const bench = new Bench({ retry });
      bench.end(bench.delivery(1, { event: { priority } }), 'failed_after_send');
      return bench.reported().handovers[0]!.to;
    });
    expect(followed).toEqual(['retry', 'dead_letter', 'dead_letter']);
  });

  test('of an ended assignment ends nothing for good unless it was delivered: the next owner starts over', () => {
    for (const attemptClass of ATTEMPT_CLASSES) {
      const bench = new Bench();
      const delivery = bench.delivery(2);
      delivery.record.origin.assignment.ended = true;
      bench.end(delivery, attemptClass);
      const { own, handovers } = bench.reported();
      expect(handovers).toEqual([]);
      expect(own).toMatchObject([
        attemptClass === 'delivered' ? { outcome: 'delivered' } : { outcome: 'retrying', is_final: '0' },
      ]);
      expect(bench.ended).toEqual([delivery]);
    }
  });
});

/** As the ledger's codec writes a time. */
function timeCell(ms: number): string {
  return (ms / 1_000).toFixed(3);
}

describe('a retry', () => {
  test('is due after the back-off, which grows; jitter only lengthens it', () => {
    const bench = new Bench();
    for (const [before, random, delayMs] of [
      [0, 0, 10_000],
      [1, 0, 20_000],
      [0, 1, 12_500],
    ] as const) {
      bench.random = random;
      bench.end(bench.delivery(before), 'failed_before_send');
      const { handovers, handed } = bench.reported();
      const dueAtMs = wallMs() + delayMs;
      expect(handovers).toMatchObject([{ to: 'retry', dueAtMs }]);
      expect(handed[0]!.next_attempt_at).toBe(timeCell(dueAtMs));
      expect(headersOf(handovers[0]!)).toMatchObject({
        'eventdispatch-due': String(dueAtMs),
        'eventdispatch-attempts': String(before + 1),
        'eventdispatch-first-seen': String(wallMs()),
        'eventdispatch-reason': 'for_failed_before_send',
        'eventdispatch-status': '299',
      });
    }
  });

  test('waits as long as the receiver asks for when that is longer, and no less than the back-off', () => {
    for (const [retryAfterMs, delayMs] of [
      [60_000, 60_000],
      [1_000, 10_000],
    ] as const) {
      const bench = new Bench();
      bench.end(bench.delivery(), 'throttled', { retryAfterMs });
      expect(bench.reported().handovers).toMatchObject([{ to: 'retry', dueAtMs: wallMs() + delayMs }]);
    }
  });

  test('counts on from where it stood, through a second hop', () => {
    const bench = new Bench();
    const delivery = bench.delivery(0, { isRetry: true });
    delivery.attempts = 1;
    const { firstSeenMs } = delivery;
    vi.advanceTimersByTime(5_000);
    bench.end(delivery, 'failed_after_send');
    const { handovers, handed } = bench.reported();
    expect(firstSeenMs).toBe(950);
    expect(headersOf(handovers[0]!)).toMatchObject({
      'eventdispatch-attempts': '2',
      'eventdispatch-first-seen': '950',
      'eventdispatch-source-topic': 't',
      'eventdispatch-source-offset': '40',
    });
    expect(handed[0], 'the row tells both places').toMatchObject({
      topic: 't',
      attempt: '2',
      retry_topic: 'retry.1s',
      retry_partition: '1',
      retry_offset: '0',
    });
  });

  test('that would come too late is not made: the delivery is dead now', () => {
    const retry = { ...retryOf(9, 10_000, 10_000), maxAgeMs: 12_000 };
    const bench = new Bench({ retry });
    const delivery = bench.delivery();
    vi.advanceTimersByTime(2_000);
    bench.end(delivery, 'failed_after_send');
    expect(bench.reported().handovers[0]!.to).toBe('retry');
    const late = bench.delivery();
    vi.advanceTimersByTime(2_001);
    bench.end(late, 'failed_after_send');
    const { handovers, handed } = bench.reported();
    expect(handovers.map(({ to }) => to)).toEqual(['dead_letter']);
    expect(handed).toMatchObject([{ outcome: 'dead', reason: 'too_old', status: '299', is_final: '1' }]);
  });

  test('of our own making stays in the lane a second or so, however often, and is charged nothing', () => {
    const bench = new Bench({ retry: retryOf(1, 10, 10) });
    const delivery = bench.delivery();
    for (let times = 0; times < 10; times++) {
      bench.random = times / 10;
      bench.end(delivery, 'local');
      const delayMs = 1_000 * (1 + (0.25 * times) / 10);
      expect(bench.reported().own).toMatchObject([
        { outcome: 'retrying', attempt: '1', hand_over: '', next_attempt_at: timeCell(wallMs() + delayMs) },
      ]);
      vi.advanceTimersByTime(delayMs - 1);
      expect(bench.queue.inFlight).toBe(0);
      vi.advanceTimersByTime(2);
      expect(bench.queue.inFlight).toBe(1);
    }
    expect([delivery.attempts, bench.ended]).toEqual([0, []]);
  });
});

describe('a dead letter', () => {
  test('says how and why it ended', () => {
    const bench = new Bench();
    bench.end(bench.delivery(2), 'failed_after_send', { status: 503 });
    expect(headersOf(bench.reported().handovers[0]!)).toMatchObject({
      'eventdispatch-outcome': 'dead',
      'eventdispatch-reason': 'for_failed_after_send',
      'eventdispatch-status': '503',
      'eventdispatch-attempts': '3',
    });
  });
});

describe('refused', () => {
  const unsent = { status: '0', class: '', ambiguous: '0', response: '', duration_us: '0' };

  function refusing(change: Partial<Destination> = {}): Bench {
    return new Bench({ breaker: breakerOf({ openMs: 30_000, maxOpenMs: 30_000 }), ...change });
  }

  function openBreaker(bench: Bench): void {
    for (let i = 0; i < 3; i++) bench.queues.end(bench.delivery(), 'failed');
  }

  test.each([
    [0, 30_000],
    [0.5, 37_500],
    [1, 45_000],
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
  function ordered(then: 'skip' | 'park', change: Partial<Destination> = {}): Bench {
    const retry = retryOf(1, 10_000, 1_000_000);
    return new Bench({ order: 'key', poison: { maxBlockMs: 45_000, then }, retry, ...change });
  }

  /** Fails whenever it is sent, until it has ended. */
  function failOn(bench: Bench, delivery: Delivery): void {
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
