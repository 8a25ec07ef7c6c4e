import type { Verdict } from '../deliver/classify.ts';
import { CLASS_RULES } from '../deliver/classify.ts';
import type { Clock } from '../domain/clock.ts';
import type { Outcome } from '../domain/outcome.ts';
import type { LaneCounters } from '../observability/lane-counters.ts';
import { destinationSlots, laneSlots } from '../observability/lane-slots.ts';
import { refusedWaitMs } from '../retry/refused-wait.ts';
import { nextAttempt } from '../retry/retry-policy.ts';
import type { Refusal } from './delivery-queue.ts';
import type { Delivery } from './delivery.ts';
import { deadLetter, retry } from './handovers.ts';
import type { AttemptEntry, LedgerEntries } from './ledger-entries.ts';
import type { Outbox } from './outbox.ts';

/** How an attempt went. */
export interface AttemptResult {
  readonly verdict: Verdict;
  /** Whether it uses up one of the delivery's attempts. */
  readonly isCharged: boolean;
  readonly ambiguous: boolean;
  /** HTTP status, 0 when there was no answer. */
  readonly status: number;
  readonly durationMs: number;
  /** What the receiver asked for, capped; null when it did not. */
  readonly retryAfterMs: number | null;
  readonly response: string;
}

export interface OutcomesOptions {
  readonly clock: Clock;
  readonly random: () => number;
  readonly entries: LedgerEntries;
  readonly outbox: Outbox;
  readonly counters: LaneCounters;
  /** Of the delay topics, ascending. */
  readonly delaysMs: readonly number[];
  /** The delivery has ended here, one way or the other. */
  onEnded(delivery: Delivery): void;
}

/** What is written down of a delivery that leaves unsent and comes back. */
const SENT_AWAY = {
  breaker_open: { outcome: 'breaker_open', reason: 'breaker_open' },
  throttled: { outcome: 'retrying', reason: 'paused_by_receiver' },
} as const satisfies Partial<Record<Refusal, { outcome: Outcome; reason: string }>>;
/** Deliveries that a receiver paused together come back spread over this share of their wait. */
const PAUSED_SPREAD = 0.5;

/**
 * Says what follows from an attempt, or from its refusal: delivered, tried again,
 * given up; writes it down, and hands over what leaves by Kafka. A row about a
 * hand-over goes with it, since it is not true before the broker has it.
 */
export class Outcomes {
  readonly #options: OutcomesOptions;

  constructor(options: OutcomesOptions) {
    this.#options = options;
  }

  /** An attempt has ended. */
  ended(delivery: Delivery, result: AttemptResult): void {
    const { verdict, isCharged } = result;
    if (isCharged) delivery.attempts++;
    if (verdict.class === 'delivered') {
      this.#options.entries.attempt(delivery, this.#entry(delivery, result, 'delivered'));
      this.#countDelivered(delivery, result.durationMs);
      this.#options.onEnded(delivery);
      return;
    }
    delivery.queue.counters.destination.add(destinationSlots.failed);
    if (delivery.record.origin.assignment.ended) this.#leaveToNextOwner(delivery, result);
    else if (!CLASS_RULES[verdict.class].retried) {
      this.#giveUp(delivery, result, verdict.class === 'rejected' ? 'rejected' : 'dead', verdict.reason);
    } else this.#tryAgain(delivery, result);
  }

  /** A delivery was not sent. */
  refused(delivery: Delivery, why: Refusal): void {
    const nowMs = this.#options.clock.wallMs();
    delivery.attemptedAtMs = nowMs;
    if (delivery.firstSeenMs === 0) delivery.firstSeenMs = nowMs;
    switch (why) {
      case 'abandoned':
        this.#options.onEnded(delivery);
        return;
      case 'disabled':
        this.#endUnsent(delivery, 'skipped_disabled', 'destination_disabled');
        return;
      case 'expired':
        this.#endUnsent(delivery, 'expired', 'expired');
        return;
      case 'breaker_open':
      case 'throttled':
        this.#sendAway(delivery, why, nowMs);
        return;
    }
  }

  /** Whoever owns the partition now starts this delivery over, so nothing here may end it for good. */
  #leaveToNextOwner(delivery: Delivery, result: AttemptResult): void {
    this.#options.entries.attempt(delivery, this.#entry(delivery, result, 'retrying'));
    this.#options.onEnded(delivery);
  }

  #tryAgain(delivery: Delivery, result: AttemptResult): void {
    const { clock, random } = this.#options;
    const { destination } = delivery.queue;
    const nowMs = clock.wallMs();
    const isOrdered = destination.order === 'key';
    const next = nextAttempt(
      isOrdered ? { ...destination.retry, maxAttempts: UNLIMITED } : destination.retry,
      {
        attempts: delivery.attempts,
        priority: delivery.event.priority,
        firstSeenMs: delivery.firstSeenMs,
        nowMs,
        attemptClass: result.verdict.class,
        retryAfterMs: result.retryAfterMs,
      },
      random,
    );
    if (next.kind === 'give_up') {
      const reason = next.reason === 'too_old' ? 'too_old' : result.verdict.reason;
      this.#giveUp(delivery, result, 'dead', reason);
      // A shortage of our own passes sooner than a delay topic brings anything back.
    } else if (!result.isCharged) this.#stay(delivery, result, next.dueAtMs - nowMs);
    else if (isOrdered) this.#tryAgainInOrder(delivery, result, next.dueAtMs, nowMs);
    else this.#handToRetry(delivery, result, next.dueAtMs);
  }

  /** It holds up those of its key that came after it, so its poison policy bounds for how long. */
  #tryAgainInOrder(delivery: Delivery, result: AttemptResult, dueAtMs: number, nowMs: number): void {
    const { poison } = delivery.queue.destination;
    const blockedUntilMs = delivery.firstSeenMs + poison.maxBlockMs;
    if (dueAtMs <= blockedUntilMs) this.#stay(delivery, result, dueAtMs - nowMs);
    else if (poison.then === 'park') this.#giveUp(delivery, result, 'dead', 'order_blocked');
    else {
      this.#options.entries.attempt(
        delivery,
        this.#entry(delivery, result, 'dead', { reason: 'order_skipped' }),
      );
      this.#countGivenUp(delivery, 'dead');
      this.#options.onEnded(delivery);
    }
  }

  /** Tries again in this lane; its record stays open. */
  #stay(delivery: Delivery, result: AttemptResult, delayMs: number): void {
    const { clock, counters, entries } = this.#options;
    const nextAttemptAtMs = clock.wallMs() + delayMs;
    entries.attempt(delivery, this.#entry(delivery, result, 'retrying', { nextAttemptAtMs }));
    counters.add(laneSlots.retriesScheduled);
    delivery.queue.addLater(delivery, clock.monotonicMs() + delayMs);
  }

  #handToRetry(delivery: Delivery, result: AttemptResult, dueAtMs: number): void {
    const entry = this.#entry(delivery, result, 'retrying', { nextAttemptAtMs: dueAtMs, handOver: 'retry' });
    this.#leaveByRetry(delivery, entry, dueAtMs);
  }

  #giveUp(delivery: Delivery, result: AttemptResult, outcome: 'dead' | 'rejected', reason: string): void {
    const { entries, outbox } = this.#options;
    const entry = this.#entry(delivery, result, outcome, { reason, handOver: 'dead_letter' });
    this.#countGivenUp(delivery, outcome);
    outbox.handover(deadLetter(delivery, entry, entries.attemptRow(delivery, entry)));
    this.#options.onEnded(delivery);
  }

  /** The destination cannot be sent to now: the delivery waits in a delay topic, and is charged nothing. */
  #sendAway(delivery: Delivery, why: keyof typeof SENT_AWAY, nowMs: number): void {
    const { clock, random, counters, delaysMs } = this.#options;
    const { endpoint, destination } = delivery.queue;
    const { maxAgeMs, maxDelayMs } = destination.retry;
    const shutForMs = endpoint.shutForMs(clock.monotonicMs());
    const ageMs = nowMs - delivery.firstSeenMs;
    const waitMs =
      why === 'breaker_open'
        ? refusedWaitMs(delaysMs, { shutForMs, openingMs: endpoint.openingMs, ageMs, maxDelayMs }, random)
        : shutForMs * (1 + PAUSED_SPREAD * random());
    const dueAtMs = Math.ceil(nowMs + waitMs);
    counters.add(laneSlots.deliveriesRefused);
    if (maxAgeMs !== null && dueAtMs > delivery.firstSeenMs + maxAgeMs) {
      this.#giveUp(delivery, UNSENT, 'dead', 'too_old');
      return;
    }
    const { outcome, reason } = SENT_AWAY[why];
    const entry = this.#entry(delivery, UNSENT, outcome, {
      reason,
      nextAttemptAtMs: dueAtMs,
      handOver: 'retry',
    });
    this.#leaveByRetry(delivery, entry, dueAtMs);
  }

  #leaveByRetry(delivery: Delivery, entry: AttemptEntry, dueAtMs: number): void {
    const { entries, outbox, counters } = this.#options;
    counters.add(laneSlots.retriesScheduled);
    outbox.handover(retry(delivery, entry, dueAtMs, entries.attemptRow(delivery, entry)));
    this.#options.onEnded(delivery);
  }

  #endUnsent(delivery: Delivery, outcome: 'skipped_disabled' | 'expired', reason: string): void {
    const { counters, entries } = this.#options;
    counters.add(outcome === 'expired' ? laneSlots.deliveriesExpired : laneSlots.deliveriesSkipped);
    entries.attempt(delivery, this.#entry(delivery, UNSENT, outcome, { reason }));
    this.#options.onEnded(delivery);
  }

  #entry(
    delivery: Delivery,
    result: AttemptResult,
    outcome: Outcome,
    change: Partial<Pick<AttemptEntry, 'reason' | 'nextAttemptAtMs' | 'handOver'>> = {},
  ): AttemptEntry {
    const isUnsent = result === UNSENT;
    return {
      attempt: delivery.attempts + (result.isCharged || isUnsent ? 0 : 1),
      outcome,
      reason: change.reason ?? result.verdict.reason,
      attemptClass: isUnsent ? '' : result.verdict.class,
      ambiguous: result.ambiguous,
      status: result.status,
      durationMs: result.durationMs,
      nextAttemptAtMs: change.nextAttemptAtMs ?? 0,
      handOver: change.handOver ?? '',
      response: result.response,
    };
  }

  #countDelivered({ queue, record, attemptedAtMs }: Delivery, durationMs: number): void {
    const { counters } = this.#options;
    counters.add(laneSlots.deliveriesDelivered);
    queue.counters.destination.add(destinationSlots.delivered);
    counters.observeReceipt((attemptedAtMs + durationMs - record.producedAtMs) / 1000);
  }

  #countGivenUp(delivery: Delivery, outcome: 'dead' | 'rejected'): void {
    const { counters } = this.#options;
    counters.add(outcome === 'dead' ? laneSlots.deliveriesDead : laneSlots.deliveriesRejected);
    delivery.queue.counters.destination.add(destinationSlots.dead);
  }
}

const UNLIMITED = { high: Infinity, normal: Infinity, low: Infinity };

/** Stands for the attempt of a delivery that was not sent. */
const UNSENT: AttemptResult = {
  verdict: { class: 'local', reason: '' },
  isCharged: false,
  ambiguous: false,
  status: 0,
  durationMs: 0,
  retryAfterMs: null,
  response: '',
};
