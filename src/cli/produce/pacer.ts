import type { Clock } from '../../domain/clock.ts';

/** After a stall, at most this much of the rate is caught up with; a burst of more would be no steady rate. */
const CATCH_UP_MS = 1_000;

/** Says how many may go now, for a steady rate from its first call on; null is no limit. */
export class Pacer {
  readonly #perMs: number | null;
  readonly #clock: Clock;
  #earned = 0;
  #seenMs: number | null = null;

  constructor(ratePerSecond: number | null, clock: Clock) {
    this.#perMs = ratePerSecond === null ? null : ratePerSecond / 1_000;
    this.#clock = clock;
  }

  /** How many may go now; a whole number, or Infinity. */
  due(): number {
    if (this.#perMs === null) return Infinity;
    const nowMs = this.#clock.monotonicMs();
    const elapsedMs = nowMs - (this.#seenMs ?? nowMs);
    this.#seenMs = nowMs;
    // One more than that, so that the part of an event left over from before is not cut off each time.
    const most = this.#perMs * CATCH_UP_MS + 1;
    this.#earned = Math.min(this.#earned + elapsedMs * this.#perMs, most);
    return Math.floor(this.#earned);
  }

  took(count: number): void {
    if (this.#perMs !== null) this.#earned -= count;
  }
}
