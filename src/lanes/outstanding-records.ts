/** Records of one assignment that a ring has room for at first; a power of two. */
const FIRST_CAPACITY = 64;
/** A ring that would grow beyond this was given sequences that no window of a frontier holds. */
const MAX_CAPACITY = 2 ** 24;

/** The outstanding records of one assignment by sequence modulo the capacity; a batch of 0 marks a free place. */
interface Ring {
  sequences: Uint32Array;
  batches: Uint32Array;
}

/**
 * Which records lanes were given and have not reported, and in which batch each
 * one went: what is left when a thread dies. A record goes
 *
 *   absent ──add──► outstanding ──remove or forget──► absent
 *
 * and is told by (assignment, sequence), 32-bit words both. Sequences of one
 * assignment that are outstanding together lie within the window of its frontier,
 * so a ring that grows to that span holds them without a search; it costs two
 * writes a record and no garbage.
 */
export class OutstandingRecords {
  readonly #rings = new Map<number, Ring>();
  /** Records left by batch number; number 0 is never given. */
  readonly #left: number[] = [0];
  readonly #free: number[] = [];
  readonly #onBatchEnd: (batch: number) => void;
  /** The ring that was used last, since neighbours share one. */
  #lastAssignment = -1;
  #lastRing: Ring | undefined;

  /** @param onBatchEnd hears of a batch none of whose records is outstanding any more; its number may be given again. */
  constructor(onBatchEnd: (batch: number) => void) {
    this.#onBatchEnd = onBatchEnd;
  }

  /** @returns the number of a new batch, to which records are to be added at once. */
  openBatch(): number {
    const batch = this.#free.pop() ?? this.#left.length;
    this.#left[batch] = 0;
    return batch;
  }

  /** @throws RangeError when the record is outstanding already. */
  add(batch: number, assignment: number, sequence: number): void {
    const ring = this.#find(assignment) ?? this.#begin(assignment);
    let slot = sequence & (ring.batches.length - 1);
    while (ring.batches[slot] !== 0) {
      if (ring.sequences[slot] === sequence) {
        throw new RangeError(`record ${assignment}/${sequence} is outstanding already`);
      }
      grow(ring);
      slot = sequence & (ring.batches.length - 1);
    }
    ring.sequences[slot] = sequence;
    ring.batches[slot] = batch;
    this.#left[batch] = (this.#left[batch] as number) + 1;
  }

  /** The batch that holds it; 0 when it is not outstanding. */
  batchOf(assignment: number, sequence: number): number {
    const ring = this.#find(assignment);
    if (ring === undefined) return 0;
    const slot = sequence & (ring.batches.length - 1);
    return ring.sequences[slot] === sequence ? (ring.batches[slot] as number) : 0;
  }

  /** @returns false when it is not outstanding, as is a record of an assignment that was forgotten. */
  remove(assignment: number, sequence: number): boolean {
    const ring = this.#find(assignment);
    if (ring === undefined) return false;
    const slot = sequence & (ring.batches.length - 1);
    const batch = ring.batches[slot] as number;
    if (batch === 0 || ring.sequences[slot] !== sequence) return false;
    ring.batches[slot] = 0;
    this.#take(batch);
    return true;
  }

  /** Removes all records of an assignment. */
  forget(assignment: number): void {
    const ring = this.#find(assignment);
    if (ring === undefined) return;
    this.#rings.delete(assignment);
    this.#lastAssignment = -1;
    for (const batch of ring.batches) if (batch !== 0) this.#take(batch);
  }

  #take(batch: number): void {
    const left = (this.#left[batch] as number) - 1;
    this.#left[batch] = left;
    if (left > 0) return;
    this.#free.push(batch);
    this.#onBatchEnd(batch);
  }

  #find(assignment: number): Ring | undefined {
    if (assignment !== this.#lastAssignment) {
      this.#lastAssignment = assignment;
      this.#lastRing = this.#rings.get(assignment);
    }
    return this.#lastRing;
  }

  #begin(assignment: number): Ring {
    const ring = { sequences: new Uint32Array(FIRST_CAPACITY), batches: new Uint32Array(FIRST_CAPACITY) };
    this.#rings.set(assignment, ring);
    this.#lastAssignment = assignment;
    this.#lastRing = ring;
    return ring;
  }
}

/** Doubles a ring: places that differ modulo the capacity differ modulo twice the capacity. */
function grow(ring: Ring): void {
  const { sequences, batches } = ring;
  const capacity = batches.length * 2;
  if (capacity > MAX_CAPACITY) throw new RangeError('sequences of one assignment are too far apart');
  ring.sequences = new Uint32Array(capacity);
  ring.batches = new Uint32Array(capacity);
  batches.forEach((batch, from) => {
    if (batch === 0) return;
    const sequence = sequences[from] as number;
    const slot = sequence & (capacity - 1);
    ring.sequences[slot] = sequence;
    ring.batches[slot] = batch;
  });
}
