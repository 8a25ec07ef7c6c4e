/** For at least this long a delivery that waits counts as fresh, and for twice as long at most. */
const FRESH_MS = 40;

/**
 * How many deliveries wait that have not waited for long. Where there are many, and some leave, the lane is on the move:
 * what waits goes soon, and more need not be decoded. What waits and is not fresh stands still, at whatever destination.
 *
 * They are counted in two generations by when they were queued; a third would be too old. Times are monotonic
 * milliseconds.
 */
export class FreshDeliveries {
  #youngSinceMs = -Infinity;
  #olderSinceMs = -Infinity;
  #young = 0;
  #older = 0;
  #left = 0;
  #leftLately = 0;

  get count(): number {
    return this.#young + this.#older;
  }

  /** How many left between the last two ticks. */
  get leftLately(): number {
    return this.#leftLately;
  }

  /** A delivery that was queued then waits from now on. */
  enter(queuedAtMs: number): void {
    this.#add(queuedAtMs, 1);
  }

  /** It does not wait any more. */
  leave(queuedAtMs: number): void {
    this.#left++;
    this.#add(queuedAtMs, -1);
  }

  /** To be called every few milliseconds. */
  tick(nowMs: number): void {
    this.#leftLately = this.#left;
    this.#left = 0;
    if (nowMs - this.#youngSinceMs < FRESH_MS) return;
    this.#olderSinceMs = this.#youngSinceMs;
    this.#older = this.#young;
    this.#youngSinceMs = nowMs;
    this.#young = 0;
  }

  #add(queuedAtMs: number, change: 1 | -1): void {
    if (queuedAtMs >= this.#youngSinceMs) this.#young += change;
    else if (queuedAtMs >= this.#olderSinceMs) this.#older += change;
  }
}
