import type { BreakerPolicy } from '../domain/destination.ts';

export type BreakerLimits = Omit<BreakerPolicy, 'disableAfterMs'>;

export type BreakerState = 'closed' | 'open' | 'half_open';

/** The window moves on in so many steps: it covers between 9/10 of `windowMs` and all of it. */
const SLOTS = 10;

/** An opening lasts up to this share longer, so that breakers that opened together do not probe together. */
const JITTER = 0.2;

/**
 * Keeps the requests away from a destination that only fails.
 *
 * ```
 *              consecutiveFailures in a row, or a failure
 *              with failureRate reached in the window
 *    ┌────────┐ ──────────────────────────────► ┌──────┐
 *    │ closed │                                 │ open │ ◄─┐
 *    └────────┘                                 └──────┘   │ the probe failed:
 *         ▲       ┌───────────┐   its time is over, │      │ open for twice as long
 *         └────── │ half_open │ ◄ and one asks ─────┘      │
 *  the probe      └───────────┘                            │
 *  succeeded            └──────────────────────────────────┘
 * ```
 *
 * Who may send holds a ticket, and gives it back once, with how it went. In
 * `half_open` there is one ticket at most, the probe's. A ticket of before the last
 * change of state counts for nothing: an attempt that began before the breaker
 * opened can neither close it nor open it again.
 *
 * An opening lasts `openMs`, doubled with each failed probe up to `maxOpenMs`, then
 * lengthened by up to a fifth; closing starts over. Times are monotonic milliseconds.
 */
export class CircuitBreaker {
  readonly #limits: BreakerLimits;
  readonly #random: () => number;
  readonly #slotMs: number;
  /** Per slot the successes, then per slot the failures. */
  readonly #counts = new Uint32Array(2 * SLOTS);
  #slot = 0;
  #successes = 0;
  #failures = 0;
  #consecutiveFailures = 0;
  #state: BreakerState = 'closed';
  /** The ticket that counts; changes with each change of state and each probe. */
  #ticket = 1;
  #probeIsOut = false;
  #openUntilMs = 0;
  /** How long the last opening lasts, or lasted. */
  #openingMs = 0;
  #nextOpenMs: number;

  /** @param random uniform in [0, 1), as `Math.random`. */
  constructor(limits: BreakerLimits, random: () => number) {
    this.#limits = limits;
    this.#random = random;
    this.#slotMs = limits.windowMs / SLOTS;
    this.#nextOpenMs = Math.min(limits.openMs, limits.maxOpenMs);
  }

  /** An open breaker whose time is over is `half_open`, though nobody has asked for the probe yet. */
  state(nowMs: number): BreakerState {
    return this.#state === 'open' && nowMs >= this.#openUntilMs ? 'half_open' : this.#state;
  }

  /** A ticket to send one request, > 0, or 0: do not send. Each ticket must be given back once. */
  tryAcquire(nowMs: number): number {
    if (this.#state === 'closed') return this.#ticket;
    if (this.#state === 'open') {
      if (nowMs < this.#openUntilMs) return 0;
      this.#enter('half_open', nowMs);
    }
    if (this.#probeIsOut) return 0;
    this.#probeIsOut = true;
    return ++this.#ticket;
  }

  onSuccess(ticket: number, nowMs: number): void {
    if (ticket !== this.#ticket) return;
    if (this.#state === 'half_open') {
      this.#enter('closed', nowMs);
      return;
    }
    this.#consecutiveFailures = 0;
    this.#successes++;
    this.#count(this.#slotIndex(nowMs));
  }

  /** Only a failure opens it, never a success that fills the window up to its minimum volume. */
  onFailure(ticket: number, nowMs: number): void {
    if (ticket !== this.#ticket) return;
    if (this.#state === 'half_open') {
      this.#enter('open', nowMs);
      return;
    }
    this.#consecutiveFailures++;
    const index = this.#slotIndex(nowMs);
    this.#failures++;
    this.#count(SLOTS + index);
    if (this.#consecutiveFailures >= this.#limits.consecutiveFailures || this.#rateIsReached()) {
      this.#enter('open', nowMs);
    }
  }

  /** It was throttled, blocked, or failed for a reason of our own: that says nothing of the destination's health. */
  onIgnored(ticket: number): void {
    if (ticket !== this.#ticket || this.#state !== 'half_open') return;
    this.#probeIsOut = false;
    this.#ticket++;
  }

  /**
   * When asking again makes sense: now, if it lets through. While a probe is out
   * nobody knows; the shortest opening from now is told then, which is the soonest
   * if the probe fails.
   */
  retryAtMs(nowMs: number): number {
    if (this.#state === 'open') return Math.max(nowMs, this.#openUntilMs);
    return this.#probeIsOut ? nowMs + Math.min(this.#limits.openMs, this.#limits.maxOpenMs) : nowMs;
  }

  /** How long the last opening lasts in all; 0 before the first. */
  get openingMs(): number {
    return this.#openingMs;
  }

  /** Whether a fresh breaker would judge the same from here on. */
  isPristine(nowMs: number): boolean {
    if (this.#state !== 'closed' || this.#consecutiveFailures > 0) return false;
    this.#slotIndex(nowMs);
    return this.#successes + this.#failures === 0;
  }

  /**
   * There is reason to think that the destination fails, though this breaker has seen
   * none of it: one that is closed lets a single probe through first.
   */
  doubt(nowMs: number): void {
    if (this.#state === 'closed') this.#enter('half_open', nowMs);
  }

  /** The one place where the state changes. */
  #enter(state: BreakerState, nowMs: number): void {
    this.#state = state;
    this.#ticket++;
    this.#probeIsOut = false;
    if (state === 'open') {
      this.#openingMs = this.#nextOpenMs * (1 + JITTER * this.#random());
      this.#openUntilMs = nowMs + this.#openingMs;
      this.#nextOpenMs = Math.min(this.#limits.maxOpenMs, 2 * this.#nextOpenMs);
    } else if (state === 'closed') {
      this.#nextOpenMs = Math.min(this.#limits.openMs, this.#limits.maxOpenMs);
      this.#consecutiveFailures = 0;
      this.#successes = 0;
      this.#failures = 0;
      this.#counts.fill(0);
    }
  }

  #rateIsReached(): boolean {
    const volume = this.#successes + this.#failures;
    return volume >= this.#limits.minimumVolume && this.#failures / volume >= this.#limits.failureRate;
  }

  #count(index: number): void {
    this.#counts[index] = (this.#counts[index] as number) + 1;
  }

  /** Index of the slot of now, after those that have left the window were emptied. */
  #slotIndex(nowMs: number): number {
    const slot = Math.floor(nowMs / this.#slotMs);
    for (let passed = Math.min(slot - this.#slot, SLOTS); passed > 0; passed--) {
      const index = (slot - passed + 1) % SLOTS;
      this.#successes -= this.#counts[index] as number;
      this.#failures -= this.#counts[SLOTS + index] as number;
      this.#counts[index] = 0;
      this.#counts[SLOTS + index] = 0;
    }
    this.#slot = slot;
    return slot % SLOTS;
  }
}
