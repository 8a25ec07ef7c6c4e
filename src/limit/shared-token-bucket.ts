import { requireLimit, ROUNDING_MS, type Tokens } from './token-bucket.ts';

/**
 * How much later than the next in turn a holder gets a token that both wait for: as late as
 * timers may be. Without turns the first to have got a token would wake first again, and
 * get every one.
 */
const TURN_MS = 1;
/** For how long after its wait a holder that was told to wait counts as one that waits. */
const PATIENCE_MS = 5;

/** The memory begins with a 64-bit float, then has 32-bit words: `LAST_TAKER`, then two for each holder. */
const FULL_AT = 0;
const LAST_TAKER = 2;
const FIRST_HOLDER = 3;
const RESERVED = 0;
const WAITS_UNTIL = 1;
const HOLDER_WORDS = 2;
const WORD_BYTES = 4;

/** What so many holders of one bucket share; it begins as a full one. */
export function sharedBucketMemory(holders: number): SharedArrayBuffer {
  const words = FIRST_HOLDER + holders * HOLDER_WORDS;
  return new SharedArrayBuffer(Math.ceil(words / 2) * 2 * WORD_BYTES);
}

/**
 * A token bucket whose tokens several threads spend, exact over all of them: in no window
 * of length t are more than rate · t + burst tokens spent. It grants as `TokenBucket`
 * does, of which it has the rule and the arithmetic; nobody locks or is waited for.
 *
 * The time at which it would be full moves by compare-and-swap. What is reserved is
 * counted by each holder for itself, in a word that nobody else writes:
 *
 * - A holder counts itself in first, then reads the counts of all, then the time. Of two
 *   that reserve at once the later one sees the other, so they may both be refused the last
 *   token, and never both get it.
 * - A holder that spends moves the time first, then counts itself out. Whoever finds it
 *   counted out finds the time moved, since it reads the counts before the time.
 *
 * So a thread that dies anywhere in between has left too much in the books, never too
 * little; `takeOver` is for its successor.
 *
 * Who has to wait is in line: whoever comes next after the last taker gets its token at
 * its time, and those behind as if their clocks were late by some milliseconds. Times are
 * milliseconds of a monotonic clock that all holders share.
 */
export class SharedTokenBucket implements Tokens {
  readonly #words: Int32Array;
  readonly #time: BigInt64Array;
  readonly #holders: number;
  readonly #holder: number;
  readonly #msPerToken: number;
  readonly #capacityMs: number;
  /** A float and its bits. */
  readonly #float = new Float64Array(1);
  readonly #bits = new BigInt64Array(this.#float.buffer);

  /**
   * @param memory of `sharedBucketMemory`.
   * @param holder 0 … holders − 1; no two at a time may be the same.
   */
  constructor(memory: SharedArrayBuffer, holder: number, ratePerSecond: number, burst: number) {
    requireLimit(ratePerSecond, burst);
    this.#words = new Int32Array(memory);
    this.#time = new BigInt64Array(memory, FULL_AT, 1);
    this.#holders = Math.floor((this.#words.length - FIRST_HOLDER) / HOLDER_WORDS);
    if (holder < 0 || holder >= this.#holders) throw new RangeError(`there is no holder ${holder}`);
    this.#holder = holder;
    this.#msPerToken = 1000 / ratePerSecond;
    this.#capacityMs = burst * this.#msPerToken;
  }

  /** As of `TokenBucket`; a holder that has to wait is in line from here on, until its wait is over. */
  waitMs(nowMs: number): number {
    const turnsMs = this.#turnsAhead(nowMs) * TURN_MS;
    const missingMs = this.#missingMs(this.#reservedByAll() + 1, nowMs - turnsMs);
    if (missingMs <= ROUNDING_MS) return 0;
    this.#setWord(WAITS_UNTIL, Math.ceil(nowMs + missingMs + PATIENCE_MS));
    return missingMs;
  }

  isFull(nowMs: number): boolean {
    return this.#reservedByAll() === 0 && this.#fullAtMs() <= nowMs;
  }

  tryReserve(nowMs: number): boolean {
    const turnsMs = this.#turnsAhead(nowMs) * TURN_MS;
    this.#count(1);
    const isGranted = this.#missingMs(this.#reservedByAll(), nowMs - turnsMs) <= ROUNDING_MS;
    if (!isGranted) {
      this.#count(-1);
      return false;
    }
    this.#setWord(WAITS_UNTIL, Math.floor(nowMs));
    Atomics.store(this.#words, LAST_TAKER, this.#holder);
    return true;
  }

  spend(nowMs: number): void {
    if (this.#word(this.#holder, RESERVED) === 0) throw new RangeError('no token is reserved');
    this.#fill(nowMs, this.#msPerToken);
    this.#count(-1);
  }

  /** As of `TokenBucket`; that it is called by each holder, at whatever time, makes no difference to its promise. */
  startEmpty(sinceMs: number): void {
    this.#fill(-Infinity, 0, sinceMs + this.#capacityMs);
  }

  /** To be called once before all else: spends what a thread has reserved that was this holder before, and has died. */
  takeOver(nowMs: number): void {
    const left = this.#word(this.#holder, RESERVED);
    if (left === 0) return;
    this.#fill(nowMs, left * this.#msPerToken);
    this.#setWord(RESERVED, 0);
  }

  /** Milliseconds until `tokens` have room beside what is spent; below 0 when they have. The counts must have been read before. */
  #missingMs(tokens: number, nowMs: number): number {
    return Math.max(0, this.#fullAtMs() - nowMs) + tokens * this.#msPerToken - this.#capacityMs;
  }

  /** Moves the time at which it is full: `takenMs` later than it is, or than `nowMs`; and to `leastMs` at least. */
  #fill(nowMs: number, takenMs: number, leastMs = -Infinity): void {
    for (;;) {
      const seen = Atomics.load(this.#time, 0);
      this.#bits[0] = seen;
      const fullAtMs = this.#float[0] as number;
      this.#float[0] = Math.max(Math.max(fullAtMs, nowMs) + takenMs, leastMs);
      if (Atomics.compareExchange(this.#time, 0, seen, this.#bits[0]) === seen) return;
    }
  }

  #fullAtMs(): number {
    this.#bits[0] = Atomics.load(this.#time, 0);
    return this.#float[0] as number;
  }

  #reservedByAll(): number {
    let reserved = 0;
    for (let holder = 0; holder < this.#holders; holder++) reserved += this.#word(holder, RESERVED);
    return reserved;
  }

  /** How many of those in line come between the last taker and this holder. */
  #turnsAhead(nowMs: number): number {
    const last = Atomics.load(this.#words, LAST_TAKER);
    const since = Math.floor(nowMs) | 0;
    let ahead = 0;
    for (let next = (last + 1) % this.#holders; next !== this.#holder; next = (next + 1) % this.#holders) {
      // Words wrap, so that times are compared by their difference.
      if (((this.#word(next, WAITS_UNTIL) - since) | 0) > 0) ahead++;
    }
    return ahead;
  }

  #word(holder: number, which: typeof RESERVED | typeof WAITS_UNTIL): number {
    return Atomics.load(this.#words, FIRST_HOLDER + holder * HOLDER_WORDS + which);
  }

  #setWord(which: typeof RESERVED | typeof WAITS_UNTIL, value: number): void {
    Atomics.store(this.#words, FIRST_HOLDER + this.#holder * HOLDER_WORDS + which, value | 0);
  }

  /** Counts tokens in or out of what this holder has reserved. */
  #count(change: 1 | -1): void {
    Atomics.add(this.#words, FIRST_HOLDER + this.#holder * HOLDER_WORDS + RESERVED, change);
  }
}
