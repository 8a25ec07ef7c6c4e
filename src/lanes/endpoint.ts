import { CLASS_RULES, type Verdict } from '../deliver/classify.ts';
import type { Destination } from '../domain/destination.ts';
import { CircuitBreaker } from '../limit/breaker.ts';
import type { BucketChain } from '../limit/bucket-chain.ts';
import { ConcurrencyLimit } from '../limit/concurrency-limit.ts';
import { DisableClock } from '../limit/disable-clock.ts';
import type { TokenTurns } from './token-turns.ts';

/** What an operator is told of a destination. */
export type EndpointNotice =
  'breaker_opened' | 'breaker_closed' | 'failing_50' | 'failing_70' | 'failing_90' | 'disabled';

/** Stands for the ticket of a destination without a breaker, which nothing checks. */
const NO_BREAKER = 1;

/**
 * What a lane knows of one destination of one tenant from how its requests went:
 * whether it may be sent to at all, and how fast. Times are monotonic milliseconds.
 */
export class Endpoint {
  readonly tokens: BucketChain;
  /** Of the buckets in `tokens` that are not its own alone. */
  readonly turns: readonly TokenTurns[];
  readonly #breaker: CircuitBreaker | null;
  readonly #disableClock: DisableClock;
  readonly #concurrency: ConcurrencyLimit;
  #hasBeenTried = false;
  /** The operator was told that the breaker is open, and not yet that it closed. */
  #isToldOpen = false;

  constructor(
    destination: Destination,
    tokens: BucketChain,
    random: () => number,
    turns: readonly TokenTurns[] = [],
  ) {
    this.tokens = tokens;
    this.turns = turns;
    this.#breaker = destination.breaker && new CircuitBreaker(destination.breaker, random);
    this.#disableClock = new DisableClock(destination.breaker?.disableAfterMs ?? null);
    this.#concurrency = new ConcurrencyLimit({
      min: destination.minInFlight,
      max: destination.maxInFlight,
      adaptive: destination.adaptive,
    });
  }

  /** Most requests in flight now. */
  get maxInFlight(): number {
    return this.#concurrency.limit;
  }

  get isDisabled(): boolean {
    return this.#disableClock.isDisabled;
  }

  isOpen(nowMs: number): boolean {
    return this.#breaker !== null && this.#breaker.state(nowMs) === 'open';
  }

  /** A ticket for one request, to be given back by `onEnd` or `giveBack`; 0: the breaker lets none through. */
  tryAcquire(nowMs: number): number {
    return this.#breaker === null ? NO_BREAKER : this.#breaker.tryAcquire(nowMs);
  }

  giveBack(ticket: number): void {
    this.#breaker?.onIgnored(ticket);
  }

  /** How long a delivery that the breaker refuses should stay away. */
  refusedForMs(nowMs: number): number {
    return this.#breaker === null ? 0 : this.#breaker.retryAtMs(nowMs) - nowMs;
  }

  /** How long nothing should be sent: the breaker's time, or the pause the destination asked for. */
  shutForMs(nowMs: number): number {
    return Math.max(this.refusedForMs(nowMs), this.tokens.pausedMs(nowMs));
  }

  /** How long the breaker's last opening lasts in all; 0 when there was none. */
  get openingMs(): number {
    return this.#breaker?.openingMs ?? 0;
  }

  /**
   * A delivery that failed before has come, perhaps from another process. Where it is
   * the first thing that is seen of the destination, what that process knew of it has
   * stayed there, so it is probed rather than stormed.
   */
  suspectFailing(nowMs: number): void {
    if (this.#hasBeenTried || this.#breaker === null) return;
    this.#hasBeenTried = true;
    this.#breaker.doubt(nowMs);
  }

  /**
   * @param inFlight requests when the answer came, this one included.
   * @param retryAfterMs what the receiver asked for, capped; null when it did not.
   * @returns what to tell the operator.
   */
  onEnd(
    ticket: number,
    verdict: Verdict,
    {
      durationMs,
      inFlight,
      retryAfterMs,
    }: { durationMs: number; inFlight: number; retryAfterMs: number | null },
    nowMs: number,
  ): EndpointNotice | null {
    this.#hasBeenTried = true;
    if (verdict.class === 'throttled') this.#concurrency.onThrottle(nowMs);
    if (retryAfterMs !== null) this.tokens.slowUntil(nowMs + retryAfterMs);
    if (verdict.disables === true) {
      this.#breaker?.onIgnored(ticket);
      return this.#disableClock.disable() ? 'disabled' : null;
    }
    switch (CLASS_RULES[verdict.class].breaker) {
      case 'success':
        this.#concurrency.onSuccess(durationMs, inFlight, nowMs);
        return this.#onSuccess(ticket, nowMs);
      case 'failure':
        this.#concurrency.onFailure();
        return this.#onFailure(ticket, nowMs);
      case 'ignored':
        this.#breaker?.onIgnored(ticket);
        return null;
    }
  }

  /** Whether a fresh one would do the same from here on. */
  isPristine(nowMs: number): boolean {
    return (
      this.tokens.isFull(nowMs) && this.#disableClock.isPristine && (this.#breaker?.isPristine(nowMs) ?? true)
    );
  }

  #onSuccess(ticket: number, nowMs: number): EndpointNotice | null {
    this.#disableClock.onSuccess();
    this.#breaker?.onSuccess(ticket, nowMs);
    if (!this.#isToldOpen || this.#breaker?.state(nowMs) !== 'closed') return null;
    this.#isToldOpen = false;
    return 'breaker_closed';
  }

  /** A probe that fails opens the breaker once more, which is no news. */
  #onFailure(ticket: number, nowMs: number): EndpointNotice | null {
    this.#breaker?.onFailure(ticket, nowMs);
    const notice = this.#disableClock.onFailure(nowMs);
    if (notice !== null) return notice === 100 ? 'disabled' : `failing_${notice}`;
    if (this.#isToldOpen || !this.isOpen(nowMs)) return null;
    this.#isToldOpen = true;
    return 'breaker_opened';
  }
}
