import type { Clock } from '../domain/clock.ts';

/** A timer that woke late is made up for to this much of the rate; more would be a burst. */
const CATCH_UP_MS = 20;

/**
 * Spaces things evenly: in no window of t seconds there are more than
 * rate · (t + 0.02) + 1 of them, however late its user wakes.
 */
export class Pace {
  readonly #intervalMs: number;
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  #nextMs = -Infinity;

  /** @param ratePerSecond > 0; Infinity never waits. */
  constructor(ratePerSecond: number, clock: Pick<Clock, 'monotonicMs'>) {
    this.#intervalMs = 1_000 / ratePerSecond;
    this.#clock = clock;
  }

  /** How long until the next one may go; 0 is now. */
  waitMs(): number {
    return Math.max(0, this.#nextMs - this.#clock.monotonicMs());
  }

  /** One went. */
  took(): void {
    const nowMs = this.#clock.monotonicMs();
    this.#nextMs = Math.max(this.#nextMs, nowMs - CATCH_UP_MS) + this.#intervalMs;
  }
}
