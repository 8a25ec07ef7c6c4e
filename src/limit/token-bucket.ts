/**
 * Sums of times are rounded, after a month of running to some nanoseconds. A wait
 * shorter than this is rounding: a timer set for it would find the token still missing.
 */
const ROUNDING_MS = 1e-4;

/**
 * A token bucket, exact by time-to-token: no ticks, no polling. In no window of
 * length t are more than rate · t + burst tokens spent.
 *
 * A token is reserved when a request is let through and spent when its bytes go
 * out, because a connection that takes a moment to open would otherwise push two
 * windows' worth of requests into one at the receiver. Its whole state is one
 * time, at which it would be full again (the virtual scheduling form of the
 * generic cell rate algorithm, ITU-T I.371), and the number of reservations, so
 * nothing drifts. Times are monotonic milliseconds.
 */
export class TokenBucket {
  readonly #msPerToken: number;
  readonly #capacityMs: number;
  /** When the bucket is full again if nothing more is spent. */
  #fullAtMs = 0;
  #reserved = 0;

  /** @param burst tokens when full, ≥ 1; the bucket starts full. */
  constructor(ratePerSecond: number, burst: number) {
    if (!(ratePerSecond > 0) || !(burst >= 1)) {
      throw new RangeError(`a bucket needs rate > 0 and burst ≥ 1, got ${ratePerSecond}/s and ${burst}`);
    }
    this.#msPerToken = 1000 / ratePerSecond;
    this.#capacityMs = burst * this.#msPerToken;
  }

  /** Milliseconds until a token can be reserved; 0 when one can. Spending a reservation late makes it longer. */
  waitMs(nowMs: number): number {
    const usedMs = Math.max(0, this.#fullAtMs - nowMs) + (this.#reserved + 1) * this.#msPerToken;
    const missingMs = usedMs - this.#capacityMs;
    return missingMs > ROUNDING_MS ? missingMs : 0;
  }

  /** Whether a fresh bucket would grant the same from here on. */
  isFull(nowMs: number): boolean {
    return this.#reserved === 0 && this.#fullAtMs <= nowMs;
  }

  /** Reserves a token if one is there. Each reservation must be spent once. */
  tryReserve(nowMs: number): boolean {
    if (this.waitMs(nowMs) > 0) return false;
    this.#reserved++;
    return true;
  }

  /** Spends a reserved token: the request went out, or failed on its way. */
  spend(nowMs: number): void {
    if (this.#reserved === 0) throw new RangeError('no token is reserved');
    this.#reserved--;
    this.#fullAtMs = Math.max(this.#fullAtMs, nowMs) + this.#msPerToken;
  }
}
