/** What is reported of a destination that only fails: percent of the time to its end; at 100 it is disabled. */
export type DisableNotice = 50 | 70 | 90 | 100;

const NOTICES: readonly DisableNotice[] = [50, 70, 90, 100];

/**
 * Disables a destination that has done nothing but fail for `disableAfterMs`.
 *
 * ```
 *   ┌─────────┐  a failure  ┌─────────┐  failing for 100 %, warned ┌──────────┐
 *   │ healthy │ ──────────► │ failing │ ─────────────────────────► │ disabled │
 *   └─────────┘ ◄────────── └─────────┘       or disable()         └──────────┘
 *                a success    warned at 50, 70, 90 %
 * ```
 *
 * Nothing leaves `disabled`, not even the success of a request that was under way:
 * the operator has been told. A failure gives one notice at most, the first that is
 * due, so that nothing is disabled unwarned, however rarely it is sent to: it takes
 * four failures in the second half of the time or later. Throttling is no failure.
 * Times are monotonic milliseconds.
 */
export class DisableClock {
  readonly #disableAfterMs: number;
  /** Of the first failure since the last success; NaN when healthy. */
  #failingSinceMs = NaN;
  #noticesGiven = 0;

  /** @param disableAfterMs null: only `disable()` does it. */
  constructor(disableAfterMs: number | null) {
    this.#disableAfterMs = disableAfterMs ?? Infinity;
  }

  get isDisabled(): boolean {
    return this.#noticesGiven === NOTICES.length;
  }

  /** Whether it could be forgotten and lose nothing. */
  get isPristine(): boolean {
    return this.#noticesGiven === 0 && Number.isNaN(this.#failingSinceMs);
  }

  onSuccess(): void {
    if (!this.isDisabled) this.#set(NaN, 0);
  }

  /** @returns what to report now; after 100 the destination is disabled. */
  onFailure(nowMs: number): DisableNotice | null {
    if (Number.isNaN(this.#failingSinceMs)) this.#set(nowMs, this.#noticesGiven);
    const next = NOTICES[this.#noticesGiven];
    if (next === undefined) return null;
    if (nowMs - this.#failingSinceMs < (this.#disableAfterMs * next) / 100) return null;
    this.#set(this.#failingSinceMs, this.#noticesGiven + 1);
    return next;
  }

  /** The destination said that it is gone (410). @returns whether that is news, so to be reported. */
  disable(): boolean {
    if (this.isDisabled) return false;
    this.#set(this.#failingSinceMs, NOTICES.length);
    return true;
  }

  /** The one place where the state changes: healthy is NaN, disabled is every notice given. */
  #set(failingSinceMs: number, noticesGiven: number): void {
    this.#failingSinceMs = failingSinceMs;
    this.#noticesGiven = noticesGiven;
  }
}
