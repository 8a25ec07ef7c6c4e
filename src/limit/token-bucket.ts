import type { RateLimit } from '../domain/destination.ts';

/**
 * Sums of times are rounded, after a month of running to some nanoseconds. A wait
 * shorter than this is rounding: a timer set for it would find the token still missing.
 */
export const ROUNDING_MS = 1e-4;

/** What those who spend the tokens of a bucket need of it. Times are monotonic milliseconds. */
export interface Tokens {
  /** Milliseconds until a token can be reserved; 0 when one can. */
  waitMs(nowMs: number): number;
  /** Whether a fresh bucket would grant the same from here on. */
  isFull(nowMs: number): boolean;
  /** Reserves a token if one is there. Each reservation must be spent once. */
  tryReserve(nowMs: number): boolean;
  /** Spends a reserved token. */
  spend(nowMs: number): void;
}

/**
 * A token bucket, exact by time-to-token: no ticks, no polling. In no window of
 * length t are more than rate · t + burst tokens spent.
 *
 * A token is reserved when a request is let through and spent when its bytes go
 * out, because a connection that takes a moment to open would otherwise push two
 * windows' worth of requests into one at the receiver. Its state is one time, at
 * which it would be full again (the virtual scheduling form of the generic cell
 * rate algorithm, ITU-T I.371), the number of reservations, and the end of a pause
 * that the receiver asked for, so nothing drifts. Times are monotonic milliseconds.
 */
export class TokenBucket implements Tokens {
  #msPerToken: number;
  #capacityMs: number;
  /** When the bucket is full again if nothing more is spent. */
  #fullAtMs = 0;
  #slowUntilMs = -Infinity;
  #reserved = 0;

  /** @param burst tokens when full, ≥ 1; the bucket starts full. */
  constructor(ratePerSecond: number, burst: number) {
    requireLimit(ratePerSecond, burst);
    this.#msPerToken = 1000 / ratePerSecond;
    this.#capacityMs = burst * this.#msPerToken;
  }

  /** Milliseconds until a token can be reserved; 0 when one can. Spending a reservation late makes it longer. */
  waitMs(nowMs: number): number {
    const usedMs = Math.max(0, this.#slowedFullAtMs() - nowMs) + (this.#reserved + 1) * this.#msPerToken;
    const missingMs = usedMs - this.#capacityMs;
    return missingMs > ROUNDING_MS ? missingMs : 0;
  }

  /** Whether a fresh bucket would grant the same from here on. */
  isFull(nowMs: number): boolean {
    return this.#reserved === 0 && this.#slowedFullAtMs() <= nowMs;
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
    this.#endPause(nowMs);
    this.#fullAtMs = Math.max(this.#fullAtMs, nowMs) + this.#msPerToken;
  }

  /**
   * The bucket of a partition that has just moved here: empty as of `sinceMs`, when
   * the partition was assigned. Then old and new owner together keep to rate · t + burst
   * in every window: the new owner cannot know what the old one spent, but however
   * much it was, one bucket for both would hold no less than nothing at `sinceMs`, so
   * whatever an empty one grants from there on, that one would have granted. It takes
   * that the old owner sends nothing after `sinceMs`. As nobody knows whether there
   * was an old owner, a process that starts begins this way, too.
   *
   * The cost: after a move, the first token comes 1/rate later and the burst is
   * whole again burst/rate later, even where the old owner had spent nothing. A bucket
   * made that long after `sinceMs` is full, so tenants that come later pay nothing.
   */
  startEmpty(sinceMs: number): void {
    this.#fullAtMs = Math.max(this.#fullAtMs, sinceMs + this.#capacityMs);
  }

  /**
   * The receiver asked for a pause (Retry-After): no token is granted before
   * `untilMs`, and there is one then, not a burst. What is already reserved may
   * still go out. An earlier time than one given before changes nothing.
   */
  slowUntil(untilMs: number): void {
    this.#slowUntilMs = Math.max(this.#slowUntilMs, untilMs);
  }

  /**
   * Changes the limit, for instance as the share of a channel's limit changes with
   * the partitions this process has. The tokens that are there stay, as far as the new
   * burst has room for them; none comes of the change itself. So buckets that share one
   * limit keep to it while their shares change, if shares shrink before others grow,
   * and those that are new start empty.
   */
  setRate(ratePerSecond: number, burst: number, nowMs: number): void {
    requireLimit(ratePerSecond, burst);
    this.#endPause(nowMs);
    const tokens = (this.#capacityMs - Math.max(0, this.#fullAtMs - nowMs)) / this.#msPerToken;
    this.#msPerToken = 1000 / ratePerSecond;
    this.#capacityMs = burst * this.#msPerToken;
    this.#fullAtMs = nowMs + Math.max(0, burst - tokens) * this.#msPerToken;
  }

  /** As `#fullAtMs`, after a pause that leaves one token. */
  #slowedFullAtMs(): number {
    return Math.max(this.#fullAtMs, this.#slowUntilMs + this.#capacityMs - this.#msPerToken);
  }

  /** A pause that is over goes into the bucket's time, after which only what is spent counts. */
  #endPause(nowMs: number): void {
    if (nowMs < this.#slowUntilMs - ROUNDING_MS) return;
    this.#fullAtMs = this.#slowedFullAtMs();
    this.#slowUntilMs = -Infinity;
  }
}

/**
 * A part of a limit, for one of several buckets that split it.
 *
 * @param share in (0, 1]. Where it leaves less than one token of burst, one is given,
 *   as a bucket that cannot hold a token never grants: n buckets then let through
 *   up to n at once, at the limit's rate all the same.
 */
export function shareOf({ ratePerSecond, burst }: RateLimit, share: number): RateLimit {
  return { ratePerSecond: ratePerSecond * share, burst: Math.max(1, burst * share) };
}

/** @throws RangeError */
export function requireLimit(ratePerSecond: number, burst: number): void {
  if (!(ratePerSecond > 0) || !(burst >= 1)) {
    throw new RangeError(`a bucket needs rate > 0 and burst ≥ 1, got ${ratePerSecond}/s and ${burst}`);
  }
}
