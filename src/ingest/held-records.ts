/** Records that the ring has room for at first; a power of two. */
const FIRST_CAPACITY = 64;
/** A ring that would grow beyond this was given sequences that no window of a frontier holds. */
const MAX_CAPACITY = 2 ** 24;

/**
 * What the lanes hold of one assignment: for each record, by its sequence in the
 * frontier, whose it is and how large. A record goes
 *
 *   absent ──add──► held ──take──► absent
 *
 * What is held lies within the window of the frontier, since a record is durable only
 * after its lane has reported it. So a ring that grows to that window finds each one
 * without a search, at three words a record and without garbage.
 */
export class HeldRecords {
  #sequences = new Uint32Array(FIRST_CAPACITY);
  /** Holder + 1; 0 marks a free place. */
  #holders = new Uint32Array(FIRST_CAPACITY);
  #bytes = new Uint32Array(FIRST_CAPACITY);

  /**
   * @param sequence 32 bit, wraps.
   * @param holder 0 … 2^32 − 2.
   */
  add(sequence: number, holder: number, bytes: number): void {
    let at = sequence & (this.#holders.length - 1);
    while (this.#holders[at] !== 0) {
      this.#grow();
      at = sequence & (this.#holders.length - 1);
    }
    this.#sequences[at] = sequence;
    this.#holders[at] = holder + 1;
    this.#bytes[at] = bytes;
  }

  /** Its holder; −1 when it is not held, as is one that never went to a lane. */
  holderOf(sequence: number): number {
    const at = sequence & (this.#holders.length - 1);
    return this.#sequences[at] === sequence ? (this.#holders[at] as number) - 1 : -1;
  }

  /**
   * Forgets a record that is held.
   * @returns its bytes.
   */
  take(sequence: number): number {
    const at = sequence & (this.#holders.length - 1);
    this.#holders[at] = 0;
    return this.#bytes[at] as number;
  }

  /** Takes all that are held. */
  takeAll(each: (holder: number, bytes: number) => void): void {
    this.#holders.forEach((holder, at) => {
      if (holder !== 0) each(holder - 1, this.#bytes[at] as number);
    });
    this.#holders.fill(0);
  }

  /** @throws RangeError when the sequences lie too far apart. */
  #grow(): void {
    const [sequences, holders, bytes] = [this.#sequences, this.#holders, this.#bytes];
    const capacity = holders.length * 2;
    if (capacity > MAX_CAPACITY) throw new RangeError('held records lie too far apart');
    this.#sequences = new Uint32Array(capacity);
    this.#holders = new Uint32Array(capacity);
    this.#bytes = new Uint32Array(capacity);
    for (let from = 0; from < holders.length; from++) {
      // Two that had places of their own have them in a ring that is twice as large.
      const to = (sequences[from] as number) & (capacity - 1);
      if (holders[from] === 0) continue;
      this.#sequences[to] = sequences[from] as number;
      this.#holders[to] = holders[from] as number;
      this.#bytes[to] = bytes[from] as number;
    }
  }
}
