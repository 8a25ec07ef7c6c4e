import type { Priority, RetryPolicy } from '../domain/destination.ts';

/** Jitter only lengthens an exponential wait, by up to this share, so the promised minimum always holds. */
const JITTER_SHARE = 0.25;
/** The class of attempts that failed by a shortage of our own, as `deliver/classify.ts` names it. */
const UNCHARGED_CLASS = 'local';
/** A shortage of our own passes soon, and the receiver was promised nothing about it. */
const UNCHARGED_DELAY_MS = 1_000;
/** 2^52 times the shortest wait is beyond every cap; further on the power is no longer finite. */
const MOST_DOUBLINGS = 52;

/** What of a destination's policy decides about the next attempt. */
export type AttemptPolicy = Pick<
  RetryPolicy,
  'maxAttempts' | 'initialDelayMs' | 'maxDelayMs' | 'scheduleMs' | 'maxAgeMs' | 'maxRetryAfterMs'
>;

/** A delivery whose attempt has just failed in a way that may go better. */
export interface FailedAttempt {
  /** Charged so far; this one is among them unless its class is `local`. */
  readonly attempts: number;
  readonly priority: Priority;
  /** When its first attempt was considered, Unix epoch milliseconds. */
  readonly firstSeenMs: number;
  /** Wall clock, since a due time outlives this process. */
  readonly nowMs: number;
  readonly attemptClass: string;
  /** What the receiver asked for, from now on; null when it did not. */
  readonly retryAfterMs: number | null;
}

export type NextAttempt =
  | {
      readonly kind: 'retry';
      /** Not before this, Unix epoch milliseconds, a whole number. */
      readonly dueAtMs: number;
    }
  | { readonly kind: 'give_up'; readonly reason: 'attempts_used_up' | 'too_old' };

const ATTEMPTS_USED_UP: NextAttempt = { kind: 'give_up', reason: 'attempts_used_up' };
const TOO_OLD: NextAttempt = { kind: 'give_up', reason: 'too_old' };

/**
 * When a delivery is tried again, if at all.
 *
 * - The wait is the schedule's entry when there is one (the last repeats), else
 *   initial · 2^(attempts − 1), capped, plus jitter; never less than that.
 * - `Retry-After` moves the due time out, capped by the policy, never in.
 * - An attempt of class `local` uses nothing up and waits a second or so.
 * - A delivery that would be too old when it is due is given up now.
 *
 * @param random in [0, 1).
 */
export function nextAttempt(policy: AttemptPolicy, failed: FailedAttempt, random: () => number): NextAttempt {
  const isCharged = failed.attemptClass !== UNCHARGED_CLASS;
  if (isCharged && failed.attempts >= policy.maxAttempts[failed.priority]) return ATTEMPTS_USED_UP;
  const delayMs = isCharged
    ? backoffMs(policy, failed.attempts, random)
    : withJitter(UNCHARGED_DELAY_MS, random);
  const askedMs = Math.min(failed.retryAfterMs ?? 0, policy.maxRetryAfterMs);
  const dueAtMs = Math.ceil(failed.nowMs + Math.max(delayMs, askedMs));
  if (policy.maxAgeMs !== null && dueAtMs > failed.firstSeenMs + policy.maxAgeMs) return TOO_OLD;
  return { kind: 'retry', dueAtMs };
}

/** A schedule's waits are kept as they are written: who writes one wants those times. */
function backoffMs(policy: AttemptPolicy, attempts: number, random: () => number): number {
  const failures = Math.max(1, attempts);
  const { scheduleMs } = policy;
  const scheduledMs = scheduleMs?.[Math.min(failures, scheduleMs.length) - 1];
  if (scheduledMs !== undefined) return scheduledMs;
  const exponentialMs = policy.initialDelayMs * 2 ** Math.min(failures - 1, MOST_DOUBLINGS);
  return withJitter(Math.min(exponentialMs, policy.maxDelayMs), random);
}

function withJitter(delayMs: number, random: () => number): number {
  return delayMs * (1 + JITTER_SHARE * random());
}
