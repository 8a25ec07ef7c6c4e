/** A poll that came back full faster than this leaves room for more records in one go. */
const QUICK_POLL_MS = 5;
/** A poll that took longer than this keeps its first record waiting. */
const SLOW_POLL_MS = 20;

/**
 * How many records to ask for at once. librdkafka's timeout is per message, so a
 * steady trickle would keep a large poll open until it is full: asking for about
 * what arrives in a few milliseconds bounds that wait, and a backlog, which fills
 * any poll at once, doubles it up to the maximum.
 */
export class PollSize {
  readonly #min: number;
  readonly #max: number;
  #size: number;

  constructor(min: number, max: number) {
    this.#min = min;
    this.#max = max;
    this.#size = min;
  }

  get size(): number {
    return this.#size;
  }

  /** Takes in how the last poll went. */
  observe(received: number, durationMs: number): void {
    if (received >= this.#size && durationMs < QUICK_POLL_MS) {
      this.#size = Math.min(this.#max, this.#size * 2);
    } else if (durationMs > SLOW_POLL_MS && received > 0) {
      this.#size = Math.max(this.#min, this.#size >> 1);
    }
  }
}
