/**
 * How long after main has polled its lanes may send. Shorter than any time after which a
 * broker evicts a silent member (6 s at the least by its own default) by no less than the
 * time between two heartbeats (3 s).
 */
export const LEASE_MS = 3_000;
const ASK_AGAIN_MS = 500;
/** Earlier than any time. */
const NEVER_MS = -1;

export interface LeaseOptions {
  /** Monotonic milliseconds, here and below. */
  readonly nowMs: number;
  /** Tells the lanes until when they may send. */
  publish(untilMs: number): void;
  /** Asks the broker whether this process still owns its partitions, and answers once. */
  affirm(onAnswer: (isOwner: boolean) => void): void;
  onLapse(stoodStillMs: number): void;
}

/**
 * The right to send. A process that is stopped and continued has timers, sockets and
 * queues that go on at once, while its partitions may long be another's: so lanes send
 * only for so long after main has polled.
 *
 *   held ── a poll comes later than the lease lasts, or the broker does not know the process ──► lapsed
 *   lapsed ── the broker confirms the ownership ──► held
 *
 * `held`: every poll renews it. `lapsed`: polls renew nothing, since they return before
 * the client itself has heard that it was evicted; only the broker's answer to a
 * question asked after the lapse does.
 */
export class Lease {
  readonly #options: LeaseOptions;
  #state: 'held' | 'lapsed' = 'held';
  #polledMs: number;
  /** Which lapse is the newest: an answer to a question from before it says nothing. */
  #lapses = 0;
  #isAsking = false;
  #askAtMs = 0;

  constructor(options: LeaseOptions) {
    this.#options = options;
    this.#polledMs = options.nowMs;
    this.#renew();
  }

  get hasLapsed(): boolean {
    return this.#state === 'lapsed';
  }

  /**
   * Whether this process owns its partitions as far as it can know. False earlier than `hasLapsed` is true:
   * after a standstill timers and messages of other threads may be heard before the next poll.
   */
  isHeld(nowMs: number): boolean {
    return this.#state === 'held' && nowMs - this.#polledMs <= LEASE_MS;
  }

  /** A poll has come back. */
  onPoll(nowMs: number): void {
    const stoodStillMs = nowMs - this.#polledMs;
    this.#polledMs = nowMs;
    if (stoodStillMs > LEASE_MS) {
      this.#lapse();
      this.#options.onLapse(stoodStillMs);
    }
    if (this.#state === 'held') this.#renew();
    else if (!this.#isAsking && nowMs >= this.#askAtMs) this.#ask();
  }

  /**
   * The broker answers that it does not know this process, which hears of the loss of its partitions only
   * later: it was away for too long, though it has not stood still.
   */
  onEvicted(): void {
    if (this.#state === 'lapsed') return;
    this.#lapse();
    this.#options.publish(NEVER_MS);
  }

  #lapse(): void {
    this.#state = 'lapsed';
    this.#lapses++;
    this.#isAsking = false;
    this.#askAtMs = 0;
  }

  #ask(): void {
    const lapse = this.#lapses;
    this.#isAsking = true;
    this.#options.affirm((isOwner) => {
      if (lapse !== this.#lapses) return;
      this.#isAsking = false;
      this.#askAtMs = this.#polledMs + ASK_AGAIN_MS;
      if (!isOwner) return;
      this.#state = 'held';
      this.#renew();
    });
  }

  #renew(): void {
    this.#options.publish(this.#polledMs + LEASE_MS);
  }
}
