/** Of the time that a delivery has waited in all, the least that it waits on: so it comes and goes a few times, however long it waits. */
const AGE_SHARE = 0.5;
/** Of that again, how much later it may come than it could. */
const LATENESS_SHARE = 0.5;

export interface RefusedDelivery {
  /** For so long nothing is let through. */
  readonly shutForMs: number;
  /** How long the breaker's opening lasts in all. */
  readonly openingMs: number;
  /** Since the delivery was considered first. */
  readonly ageMs: number;
  /** Longest wait between attempts of its destination. */
  readonly maxDelayMs: number;
}

/**
 * How long a delivery waits that a breaker refuses. It is promised nothing but to be tried
 * some time after the destination may be sent to again. What waits for a destination that is
 * down for long may be very much, and each return of it costs what a first attempt costs: all
 * at once, when the breaker lets a probe through, they would hold up everybody else's. So
 *
 * - it comes back up to an opening later than it could, after the delay of one topic if there
 *   is one that long: then what was refused over some time comes back over as much time, and
 *   does not go from one delay topic to the next;
 * - the longer it has waited already, the longer it waits on, as if it had been tried.
 *
 * @param delaysMs of the delay topics, ascending.
 * @param random in [0, 1).
 * @returns milliseconds, at least `shutForMs`.
 */
export function refusedWaitMs(
  delaysMs: readonly number[],
  { shutForMs, openingMs, ageMs, maxDelayMs }: RefusedDelivery,
  random: () => number,
): number {
  const leastMs = Math.max(shutForMs, Math.min(ageMs * AGE_SHARE, maxDelayMs));
  const latenessMs = Math.max(openingMs, leastMs * LATENESS_SHARE);
  const delayMs = delaysMs.find((ms) => ms >= leastMs) ?? Infinity;
  return delayMs <= leastMs + latenessMs ? delayMs : leastMs + latenessMs * random();
}
