/** Stands for "no entry". */
export const NO_ENTRY = 0xffff_ffff;

/** Words of an entry. */
const WORD = { next: 0, batch: 1, recordIndex: 2, position: 3, bytes: 4 } as const;
const WORDS = 5;
const INITIAL_ENTRIES = 256;

/**
 * Entries, 20 bytes each in one flat array, and the batches they are in; a batch is
 * let go with the last of its entries. An entry is known by a number that is its own
 * until it is released, and has one link, for the list its owner keeps it in.
 * Nothing is allocated but for the array when it has to grow; it never shrinks.
 */
export class EntryStore<Batch> {
  #words = new Uint32Array(INITIAL_ENTRIES * WORDS);
  /** Entries from here on were never used. */
  #unused = 0;
  /** Released entries, by their links. */
  #free = NO_ENTRY;
  readonly #batches: (Batch | undefined)[] = [];
  readonly #entriesOfBatch: number[] = [];
  readonly #freeBatches: number[] = [];
  /** Index of the batch held last, −1 once it is let go: entries come batch by batch. */
  #lastBatch = -1;

  /** Batches held. */
  get batches(): number {
    return this.#batches.length - this.#freeBatches.length;
  }

  put(batch: Batch, recordIndex: number, position: number, bytes: number): number {
    const entry = this.#takeFree();
    const at = entry * WORDS;
    const words = this.#words;
    words[at + WORD.next] = NO_ENTRY;
    words[at + WORD.batch] = this.#hold(batch);
    words[at + WORD.recordIndex] = recordIndex;
    words[at + WORD.position] = position;
    words[at + WORD.bytes] = bytes;
    return entry;
  }

  /** Makes the entry one of another batch; its link and its size stay. */
  move(entry: number, batch: Batch, recordIndex: number, position: number): void {
    const former = this.#word(entry, WORD.batch);
    const at = entry * WORDS;
    this.#words[at + WORD.batch] = this.#hold(batch);
    this.#words[at + WORD.recordIndex] = recordIndex;
    this.#words[at + WORD.position] = position;
    this.#letGo(former);
  }

  release(entry: number): void {
    this.#letGo(this.#word(entry, WORD.batch));
    this.link(entry, this.#free);
    this.#free = entry;
  }

  next(entry: number): number {
    return this.#word(entry, WORD.next);
  }

  link(entry: number, next: number): void {
    this.#words[entry * WORDS + WORD.next] = next;
  }

  batch(entry: number): Batch {
    return this.#batches[this.#word(entry, WORD.batch)] as Batch;
  }

  recordIndex(entry: number): number {
    return this.#word(entry, WORD.recordIndex);
  }

  position(entry: number): number {
    return this.#word(entry, WORD.position);
  }

  bytes(entry: number): number {
    return this.#word(entry, WORD.bytes);
  }

  #word(entry: number, word: number): number {
    return this.#words[entry * WORDS + word] as number;
  }

  #takeFree(): number {
    const entry = this.#free;
    if (entry !== NO_ENTRY) {
      this.#free = this.next(entry);
      return entry;
    }
    if (this.#unused * WORDS === this.#words.length) {
      const grown = new Uint32Array(this.#words.length * 2);
      grown.set(this.#words);
      this.#words = grown;
    }
    return this.#unused++;
  }

  #hold(batch: Batch): number {
    if (this.#lastBatch < 0 || this.#batches[this.#lastBatch] !== batch) {
      this.#lastBatch = this.#freeBatches.pop() ?? this.#batches.length;
      this.#batches[this.#lastBatch] = batch;
      this.#entriesOfBatch[this.#lastBatch] = 0;
    }
    (this.#entriesOfBatch[this.#lastBatch] as number)++;
    return this.#lastBatch;
  }

  #letGo(index: number): void {
    const left = (this.#entriesOfBatch[index] as number) - 1;
    this.#entriesOfBatch[index] = left;
    if (left > 0) return;
    this.#batches[index] = undefined;
    this.#freeBatches.push(index);
    if (this.#lastBatch === index) this.#lastBatch = -1;
  }
}
