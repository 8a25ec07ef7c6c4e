/** No time is booked sooner than this: what comes back at once has helped nobody. */
const SOONEST_MS = 1_000;
/** Nor later than this: an estimate that is off should not put anything off for days. */
const LATEST_MS = 3_600_000;
/** Of the estimate, what one more end changes. */
const ESTIMATE_SHARE = 1 / 16;
/** Between two ends, while nothing is known. */
const FIRST_INTERVAL_MS = 50;

/**
 * Whether a destination takes less than it gets, and when what is sent away for
 * that should come back. Each delivery books the next free time at the pace
 * that the destination is seen to have, so that what waits elsewhere comes back no
 * faster than it can be taken, however much it is. Times are monotonic milliseconds.
 */
export class Jam {
  #isOn = false;
  #intervalMs = FIRST_INTERVAL_MS;
  #lastEndMs = 0;
  #bookedUntilMs = -Infinity;

  get isOn(): boolean {
    return this.#isOn;
  }

  begin(nowMs: number): void {
    if (this.#isOn) return;
    this.#isOn = true;
    this.#lastEndMs = nowMs;
  }

  end(): void {
    this.#isOn = false;
  }

  /** One of its deliveries has ended, in whatever way. Between jams the pace is that of what comes, which tells nothing. */
  onEnd(nowMs: number): void {
    if (!this.#isOn) return;
    this.#intervalMs += (nowMs - this.#lastEndMs - this.#intervalMs) * ESTIMATE_SHARE;
    this.#lastEndMs = nowMs;
  }

  /** @returns in how many milliseconds one more delivery should come back. */
  book(nowMs: number): number {
    // A destination that hangs ends nothing that would tell how slow it is.
    const intervalMs = Math.max(this.#intervalMs, nowMs - this.#lastEndMs);
    const nextMs = Math.max(this.#bookedUntilMs, nowMs + SOONEST_MS - intervalMs) + intervalMs;
    this.#bookedUntilMs = Math.min(nextMs, nowMs + LATEST_MS);
    return Math.max(SOONEST_MS, this.#bookedUntilMs - nowMs);
  }
}
