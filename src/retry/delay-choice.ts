/**
 * A delay that ends so little after the due time is taken whole: due times hold
 * within 1 s or 10 %, and the milliseconds between the choice of a due time and
 * that of a topic would otherwise make ten short waits of one of 30 s.
 */
const MAX_OVERSHOOT_MS = 500;
const MAX_OVERSHOOT_SHARE = 0.05;

/**
 * Which delay topic a delivery waits in next: the largest delay that does not
 * take it noticeably beyond its due time, else the smallest. What is left after
 * that one waits in another.
 * @param delaysMs ascending, at least one.
 * @returns an index of `delaysMs`.
 */
export function delayFor(delaysMs: readonly number[], remainingMs: number): number {
  for (let i = delaysMs.length - 1; i > 0; i--) {
    const delayMs = delaysMs[i] as number;
    const overshootMs = Math.max(MAX_OVERSHOOT_MS, delayMs * MAX_OVERSHOOT_SHARE);
    if (delayMs - remainingMs <= overshootMs) return i;
  }
  return 0;
}

/**
 * Whether a record that its delay topic releases now has to wait in another one.
 * It does however little is left, so that no attempt ever comes too early; the
 * price is a due time missed by less than the smallest delay.
 */
export function isHopNeeded(dueMs: number, nowMs: number): boolean {
  return dueMs > nowMs;
}
