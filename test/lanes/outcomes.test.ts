/**
 * Proves what follows from each way an attempt can end and from each way a delivery can
 * be refused: its outcome, where it goes, when it is due, what it is charged, and what
 * its row says; and that a row about a hand-over goes with it and in no other way.
 */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { ATTEMPT_CLASSES, isAmbiguous, type AttemptClass } from '../../src/deliver/classify.ts';
import type { Handover } from '../../src/lanes/protocol.ts';
import { headersOf } from './lane-bench.ts';
import { retryOf } from './lane-parts.ts';
import { OutcomesBench, START, timeCell, wallMs } from './outcomes-bench.ts';

beforeEach(() => {
  vi.useFakeTimers();
  vi.setSystemTime(START);
});

afterEach(() => {
  vi.useRealTimers();
});

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
      const bench = new OutcomesBench();
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
      const bench = new OutcomesBench({ retry });
      bench.end(bench.delivery(1, { event: { priority } }), 'failed_after_send');
      return bench.reported().handovers[0]!.to;
    });
    expect(followed).toEqual(['retry', 'dead_letter', 'dead_letter']);
  });

  test('of an ended assignment ends nothing for good unless it was delivered: the next owner starts over', () => {
    for (const attemptClass of ATTEMPT_CLASSES) {
      const bench = new OutcomesBench();
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
describe('a retry', () => {
  test('is due after the back-off, which grows; jitter only lengthens it', () => {
    const bench = new OutcomesBench();
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
      const bench = new OutcomesBench();
      bench.end(bench.delivery(), 'throttled', { retryAfterMs });
      expect(bench.reported().handovers).toMatchObject([{ to: 'retry', dueAtMs: wallMs() + delayMs }]);
    }
  });

  test('counts on from where it stood, through a second hop', () => {
    const bench = new OutcomesBench();
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
    const bench = new OutcomesBench({ retry });
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
    const bench = new OutcomesBench({ retry: retryOf(1, 10, 10) });
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
    const bench = new OutcomesBench();
    bench.end(bench.delivery(2), 'failed_after_send', { status: 503 });
    expect(headersOf(bench.reported().handovers[0]!)).toMatchObject({
      'eventdispatch-outcome': 'dead',
      'eventdispatch-reason': 'for_failed_after_send',
      'eventdispatch-status': '503',
      'eventdispatch-attempts': '3',
    });
  });
});
