import type { TokenBucket, Tokens } from './token-bucket.ts';

/** A pause that ends sooner than this is over; the rest is rounding, as in `TokenBucket`. */
const ROUNDING_MS = 1e-4;

/**
 * The token buckets a destination's requests must pass: channel → tenant →
 * destination, each null where there is no limit. All must grant, or none is touched:
 * a request that waits for one of them costs the others nothing.
 *
 * The buckets of channel and tenant are shared with other chains of the same lane, and
 * that of a tenant may be with other lanes, so a wait that is over may find the token
 * gone to another; ask again then. A
 * chain has a pause of its own, since a Retry-After holds where no limit is
 * configured, too. Times are monotonic milliseconds.
 */
export class BucketChain {
  readonly #channel: TokenBucket | null;
  readonly #tenant: Tokens | null;
  readonly #destination: TokenBucket | null;
  #pausedUntilMs = -Infinity;

  constructor(channel: TokenBucket | null, tenant: Tokens | null, destination: TokenBucket | null) {
    this.#channel = channel;
    this.#tenant = tenant;
    this.#destination = destination;
  }

  /** Milliseconds until all have a token, if nobody else takes one; 0 when they have. */
  waitMs(nowMs: number): number {
    let waitMs = this.ownWaitMs(nowMs);
    if (this.#channel !== null) waitMs = Math.max(waitMs, this.#channel.waitMs(nowMs));
    if (this.#tenant !== null) waitMs = Math.max(waitMs, this.#tenant.waitMs(nowMs));
    return waitMs;
  }

  /** Milliseconds until nothing but a shared bucket is in the way: the destination's own bucket, and its pause. */
  ownWaitMs(nowMs: number): number {
    const pauseMs = this.#pausedUntilMs - nowMs;
    return Math.max(pauseMs > ROUNDING_MS ? pauseMs : 0, this.#destination?.waitMs(nowMs) ?? 0);
  }

  /** Reserves a token of each, or of none. Each reservation must be spent once. */
  tryReserve(nowMs: number): boolean {
    if (this.waitMs(nowMs) > 0) return false;
    // Another lane may have been quicker with a tenant's token; the others are this lane's alone.
    if (this.#tenant?.tryReserve(nowMs) === false) return false;
    this.#channel?.tryReserve(nowMs);
    this.#destination?.tryReserve(nowMs);
    return true;
  }

  /** Spends a reserved token of each: the request went out, or failed on its way. */
  spend(nowMs: number): void {
    this.#channel?.spend(nowMs);
    this.#tenant?.spend(nowMs);
    this.#destination?.spend(nowMs);
  }

  /** The destination asked for a pause; only its own requests wait. See `TokenBucket.slowUntil`. */
  slowUntil(untilMs: number): void {
    this.#pausedUntilMs = Math.max(this.#pausedUntilMs, untilMs);
    this.#destination?.slowUntil(untilMs);
  }

  /** Milliseconds that the pause the destination asked for still lasts; 0 when there is none. */
  pausedMs(nowMs: number): number {
    return Math.max(0, this.#pausedUntilMs - nowMs);
  }

  /** Whether a fresh chain over the same channel's and tenant's buckets would grant the same from here on. */
  isFull(nowMs: number): boolean {
    return this.#pausedUntilMs <= nowMs && (this.#destination === null || this.#destination.isFull(nowMs));
  }
}
