/**
 * Deliveries that wait for their turn, below which more records are decoded; those of slow destinations left out. What
 * is ahead stays packed, since a thousand decoded events that wait are a thousand
 * objects the garbage collector copies from generation to generation.
 */
const WAITING_DELIVERIES = 128;
/**
 * How many records a tick has decoded whatever waits, so that tenants whose
 * destinations are slow hold up the others of their lane for a moment only.
 */
const RECORDS_PER_TICK = 256;
/**
 * After so many the event loop goes round before the next. Records that make no request, those of open breakers above
 * all, leave nothing that waits, and hundreds of them in a row would keep answers and other tenants waiting.
 */
const RECORDS_PER_TURN = 64;

export interface Decoding {
  /** Deliveries that wait for their turn, those of slow destinations left out. */
  readonly waiting: () => number;
  /** Decodes the next record. @returns false when there is none that may be decoded now. */
  readonly takeNext: () => boolean;
}

/** When a lane decodes its records: as many as there is work for, in turns of the event loop. */
export class DecodingTurns {
  readonly #decoding: Decoding;
  /** How many may still be decoded whatever waits. */
  #unasked = 0;
  #isTurnDue = false;

  constructor(decoding: Decoding) {
    this.#decoding = decoding;
  }

  /** To be called every few milliseconds. */
  tick(): void {
    this.#unasked = RECORDS_PER_TICK;
    this.take();
  }

  /** To be called when records have come or deliveries have left. */
  take(): void {
    const { waiting, takeNext } = this.#decoding;
    for (let taken = 0; taken < RECORDS_PER_TURN; taken++) {
      if (waiting() >= WAITING_DELIVERIES) {
        if (this.#unasked === 0) return;
        this.#unasked--;
      }
      if (takeNext()) continue;
      this.#unasked = 0;
      return;
    }
    if (!this.#isTurnDue) setImmediate(this.#nextTurn);
    this.#isTurnDue = true;
  }

  readonly #nextTurn = (): void => {
    this.#isTurnDue = false;
    this.take();
  };
}
