/** Bounds of a destination's concurrency. Whole numbers, 1 ≤ min ≤ max. */
export interface ConcurrencyBounds {
  readonly min: number;
  readonly max: number;
  /** False: the limit is always `max`. */
  readonly adaptive: boolean;
}

/** What a decrease leaves of the limit. */
const DECREASE = 0.7;

/** Latency is judged by the mean of a window that is at least so long and holds so many answers. */
const WINDOW_MS = 1_000;
const WINDOW_ANSWERS = 10;

/**
 * A mean above `baseline · RISE + SLACK_MS` tells that requests queue up over there.
 * The slack keeps a destination that answers in a few milliseconds from being slowed
 * down for the delays of this process.
 */
const RISE = 2;
const SLACK_MS = 100;

/**
 * How the baseline goes towards a window's mean: down fast, by a share of the
 * difference, since the best seen is what it can do; up by no more than a share of
 * itself (and the slack) per second, however bad the mean, so that a congestion of a
 * minute does not pass for normal. A destination that has become slower for good is
 * held back for some minutes. Where answers are rare, a window counts for ten seconds.
 */
const BASELINE_DOWN = 0.3;
const BASELINE_UP_PER_S = 0.002;
const MAX_WINDOW_MS = 10_000;

/**
 * How many requests a destination may have in flight: additive increase,
 * multiplicative decrease (Chiu and Jain 1989, as in TCP). One more per round trip in
 * which the limit was really used; 0.7 of it when the destination throttles (429) or
 * when its latency rises well above its own long-term baseline while at least half of
 * the limit was used. After a decrease nothing changes for a round trip, at least
 * 1 s: the answers until then belong to requests of before it.
 *
 * Starts at `max`: what the operator allows is taken for true until the destination
 * says otherwise. Times are monotonic milliseconds.
 */
export class ConcurrencyLimit {
  readonly #min: number;
  readonly #max: number;
  readonly #adaptive: boolean;
  /** Within [min, max], with a fraction. */
  #limit: number;
  /** Before, the last decrease has not shown its effect. */
  #settledAtMs = -Infinity;
  /** Failures that no success has made up for yet. */
  #failuresOwed = 0;
  #baselineMs = NaN;
  #lastMeanMs = 0;
  #windowStartMs = -Infinity;
  #windowSumMs = 0;
  #windowAnswers = 0;
  #windowMaxInFlight = 0;

  constructor({ min, max, adaptive }: ConcurrencyBounds) {
    if (!(min >= 1) || !(max >= min)) throw new RangeError(`not 1 ≤ min ≤ max: ${min}, ${max}`);
    this.#min = min;
    this.#max = max;
    this.#adaptive = adaptive;
    this.#limit = max;
  }

  /** Most requests in flight now; a whole number. */
  get limit(): number {
    return Math.floor(this.#limit);
  }

  /** @param inFlight requests when the answer came, this one included. */
  onSuccess(durationMs: number, inFlight: number, nowMs: number): void {
    if (!this.#adaptive) return;
    this.#observe(durationMs, inFlight, nowMs);
    if (this.#failuresOwed > 0) this.#failuresOwed--;
    else if (inFlight >= this.limit && nowMs >= this.#settledAtMs) {
      this.#limit = Math.min(this.#max, this.#limit + 1 / this.#limit);
    }
  }

  onThrottle(nowMs: number): void {
    if (this.#adaptive) this.#decrease(nowMs);
  }

  /**
   * Whether a failure comes of too many requests nobody knows, and the breaker judges
   * failures. It only takes away one success's increase, so that a few failures in a
   * hundred do not hold the limit down, and a destination that mostly fails gets no more.
   */
  onFailure(): void {
    if (this.#failuresOwed < this.#limit) this.#failuresOwed++;
  }

  #decrease(nowMs: number): void {
    if (nowMs < this.#settledAtMs) return;
    this.#limit = Math.max(this.#min, this.#limit * DECREASE);
    this.#settledAtMs = nowMs + Math.max(WINDOW_MS, this.#lastMeanMs);
  }

  #observe(durationMs: number, inFlight: number, nowMs: number): void {
    this.#windowSumMs += durationMs;
    this.#windowAnswers++;
    if (inFlight > this.#windowMaxInFlight) this.#windowMaxInFlight = inFlight;
    if (this.#windowAnswers < WINDOW_ANSWERS || nowMs - this.#windowStartMs < WINDOW_MS) return;
    const meanMs = this.#windowSumMs / this.#windowAnswers;
    const wasUsed = 2 * this.#windowMaxInFlight >= this.limit;
    const windowMs = Math.min(MAX_WINDOW_MS, nowMs - this.#windowStartMs);
    this.#windowStartMs = nowMs;
    this.#windowSumMs = 0;
    this.#windowAnswers = 0;
    this.#windowMaxInFlight = 0;
    this.#judge(meanMs, wasUsed, nowMs);
    this.#learn(meanMs, windowMs);
  }

  #judge(meanMs: number, wasUsed: boolean, nowMs: number): void {
    this.#lastMeanMs = meanMs;
    if (Number.isNaN(this.#baselineMs)) this.#baselineMs = meanMs;
    if (wasUsed && meanMs > RISE * this.#baselineMs + SLACK_MS) this.#decrease(nowMs);
  }

  #learn(meanMs: number, windowMs: number): void {
    const difference = meanMs - this.#baselineMs;
    const mostUpMs = ((this.#baselineMs + SLACK_MS) * BASELINE_UP_PER_S * windowMs) / 1000;
    this.#baselineMs += difference < 0 ? BASELINE_DOWN * difference : Math.min(difference, mostUpMs);
  }
}
