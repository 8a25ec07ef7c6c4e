/**
 * The offset frontier of one partition under one assignment: the first offset
 * that is not durable yet, which is what may be committed.
 *
 * Offsets have gaps (compaction, transactions), so this is a ring of sequence
 * numbers, not offset arithmetic. A slot counts what still holds its record
 * open: 1 from admission, +1 for each hand-over in progress. At 0 the record is
 * durable, and the frontier moves over every durable slot at its head.
 *
 *        head                        tail
 *         │  1   0   2   1   1   0    │
 *    ─────┴──┴───┴───┴───┴───┴───┴────┴─────►  sequence
 *         └ first open: its offset is the position to commit
 */
export class Frontier {
  readonly #capacity: number;
  readonly #mask: number;
  readonly #offsets: Float64Array;
  readonly #holds: Uint16Array;
  /** Sequence of the oldest record that is not durable (when head ≠ tail). */
  #head = 0;
  /** Slots that the frontier has passed. */
  #passed = 0;
  /** Sequence the next admitted record gets. */
  #tail = 0;
  #open = 0;
  #lastOffset = -1;

  /** @param capacity most records between frontier and newest admitted; a power of two ≤ 2^30. */
  constructor(capacity: number) {
    if (capacity < 1 || capacity > 2 ** 30 || (capacity & (capacity - 1)) !== 0) {
      throw new RangeError(`frontier capacity must be a power of two up to 2^30, got ${capacity}`);
    }
    this.#capacity = capacity;
    this.#mask = capacity - 1;
    this.#offsets = new Float64Array(capacity);
    this.#holds = new Uint16Array(capacity);
  }

  /** Records between the frontier and the newest admitted one, durable or not, each copy counted. */
  get span(): number {
    return (this.#tail - this.#head) >>> 0;
  }

  /** Records before `position`, each copy counted. */
  get passed(): number {
    return this.#passed;
  }

  /** Records that are not durable, each copy counted. */
  get open(): number {
    return this.#open;
  }

  get isFull(): boolean {
    return this.span === this.#capacity;
  }

  /** Whether so many more may be admitted now. */
  hasRoomFor(records: number): boolean {
    return this.span + records <= this.#capacity;
  }

  /** Offset of the newest admitted record, −1 when none was. */
  get lastOffset(): number {
    return this.#lastOffset;
  }

  /** The offset to commit: everything before it is durable. −1 when nothing was admitted. */
  get position(): number {
    if (this.#lastOffset < 0) return -1;
    if (this.#head === this.#tail) return this.#lastOffset + 1;
    return this.#offsets[this.#head & this.#mask] as number;
  }

  /**
   * Admits the next record and returns its sequence number (32 bit, wraps).
   * @throws RangeError when full, or when the offset does not grow.
   */
  admit(offset: number): number {
    if (offset <= this.#lastOffset) {
      throw new RangeError(`offset ${offset} does not follow ${this.#lastOffset}`);
    }
    return this.#append(offset);
  }

  /**
   * Admits a further copy of the newest record, under a sequence number of its own. The
   * position stays at their offset until all of them are durable.
   * @throws RangeError when full, or when the frontier has passed that record.
   */
  admitCopy(): number {
    if (this.#head === this.#tail) throw new RangeError('there is no open record to copy');
    return this.#append(this.#lastOffset);
  }

  #append(offset: number): number {
    if (this.isFull) throw new RangeError('frontier is full');
    const sequence = this.#tail;
    this.#offsets[sequence & this.#mask] = offset;
    this.#holds[sequence & this.#mask] = 1;
    this.#tail = (sequence + 1) >>> 0;
    this.#open++;
    this.#lastOffset = offset;
    return sequence;
  }

  /** One more thing must finish before this record is durable. */
  hold(sequence: number): void {
    const slot = this.#openSlot(sequence);
    this.#holds[slot] = (this.#holds[slot] as number) + 1;
  }

  /**
   * One thing that held the record open is finished.
   * @returns whether the frontier moved.
   */
  release(sequence: number): boolean {
    const slot = this.#openSlot(sequence);
    const holds = (this.#holds[slot] as number) - 1;
    this.#holds[slot] = holds;
    if (holds > 0) return false;
    this.#open--;
    if (sequence !== this.#head) return false;
    this.#advance();
    return true;
  }

  #advance(): void {
    while (this.#head !== this.#tail && this.#holds[this.#head & this.#mask] === 0) {
      this.#head = (this.#head + 1) >>> 0;
      this.#passed++;
    }
  }

  #openSlot(sequence: number): number {
    const slot = sequence & this.#mask;
    if ((sequence - this.#head) >>> 0 >= this.span || this.#holds[slot] === 0) {
      throw new RangeError(`record ${sequence} is not open`);
    }
    return slot;
  }
}
