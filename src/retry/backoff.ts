import type { RetryPolicy } from '../domain/destination.ts';

/** Jitter only lengthens a delay, by up to this share, so the promised minimum always holds. */
const JITTER_SHARE = 0.25;

/**
 * The wait after a failed attempt: initial · 2^(attempt − 1), capped, plus jitter.
 * @param attempt number of the attempt that failed, from 1.
 * @param random in [0, 1).
 */
export function backoffMs(policy: RetryPolicy, attempt: number, random: number): number {
  const exponential = policy.initialDelayMs * 2 ** (attempt - 1);
  return Math.min(exponential, policy.maxDelayMs) * (1 + JITTER_SHARE * random);
}
