import { WORDS } from '../domain/batch-layout.ts';
import { limits } from '../domain/limits.ts';
import { BatchReader } from './batch-reader.ts';
import { BufferPool } from './buffer-pool.ts';
import { OutstandingRecords } from './outstanding-records.ts';

const WORD_BYTES = 4;
const RECORD_WORD_BYTES = WORDS * WORD_BYTES;
/** A batch is kept whole while one of its records is outstanding, until a lane's batches are this much larger than what it holds. */
const SPARSE_FACTOR = 4;
const SPARSE_SLACK_BYTES = 8 * 1024 * 1024;

/** A packed batch as it was sent. */
export interface RetainedBatch {
  readonly buffer: ArrayBuffer;
  readonly count: number;
}

/** What a lane holds, as admission counts it. */
export interface Holding {
  readonly records: number;
  readonly bytes: number;
}

interface Kept {
  readonly number: number;
  readonly lane: number;
  /** At least `bytes` long. */
  readonly buffer: ArrayBuffer;
  readonly bytes: number;
  readonly count: number;
}

interface LaneBatches {
  /** Oldest first. */
  readonly batches: Set<Kept>;
  /** Length of all these buffers. */
  keptBytes: number;
  /** Sent and not let go of by the lane, records of ended assignments included. */
  heldRecords: number;
  heldBytes: number;
}

/** Where one outstanding record stands in a kept batch. */
interface Place {
  readonly batch: Kept;
  readonly index: number;
  readonly start: number;
  readonly bytes: number;
  readonly assignment: number;
  readonly sequence: number;
}

/**
 * Main's copy of every batch with records a lane has not reported, so that a
 * thread can be replaced. A copy, since the buffer itself is transferred: memory
 * shared by both threads would save it, but V8 does not count shared memory when
 * it decides to collect garbage, and what is released stays for minutes (measured:
 * resident memory grew by 100 MB a second of full load).
 */
export class RetainedBatches {
  readonly #lanes: readonly LaneBatches[];
  readonly #byNumber: (Kept | undefined)[] = [];
  readonly #pool = new BufferPool();
  readonly #records = new OutstandingRecords((number) => {
    this.#drop(number);
  });

  constructor(lanes: number) {
    this.#lanes = Array.from({ length: lanes }, () => ({
      batches: new Set<Kept>(),
      keptBytes: 0,
      heldRecords: 0,
      heldBytes: 0,
    }));
  }

  /** Copies a batch that is about to be sent. */
  keep(lane: number, buffer: ArrayBuffer, count: number): void {
    const state = this.#lane(lane);
    state.heldRecords += count;
    state.heldBytes += buffer.byteLength - count * RECORD_WORD_BYTES;
    const batch = this.#open(lane, buffer.byteLength, count);
    new Uint8Array(batch.buffer).set(new Uint8Array(buffer));
    const words = new Uint32Array(buffer, 0, count * WORDS);
    for (let base = 0; base < words.length; base += WORDS) {
      this.#records.add(batch.number, words[base] as number, words[base + 1] as number);
    }
  }

  /**
   * What a lane has reported.
   * @param pairs (assignment, sequence) of each record that is done.
   * @param released what it let go of: these, and records of ended assignments.
   */
  release(lane: number, pairs: Uint32Array, released: Holding): void {
    for (let i = 0; i < pairs.length; i += 2) {
      this.#records.remove(pairs[i] as number, pairs[i + 1] as number);
    }
    const state = this.#lane(lane);
    state.heldRecords -= released.records;
    state.heldBytes -= released.bytes;
    const neededBytes = state.heldBytes + state.heldRecords * RECORD_WORD_BYTES;
    if (state.keptBytes > SPARSE_FACTOR * neededBytes + SPARSE_SLACK_BYTES) this.#repack(lane);
  }

  /** Their records need not be sent again. */
  forget(assignments: readonly number[]): void {
    for (const assignment of assignments) this.#records.forget(assignment);
  }

  /** A reader that stands on the record, for as long as the record is outstanding; null when it is not. */
  find(assignment: number, sequence: number): BatchReader | null {
    const batch = this.#byNumber[this.#records.batchOf(assignment, sequence)];
    if (batch === undefined) return null;
    const reader = new BatchReader(batch.buffer, batch.count);
    while (reader.next() && (reader.assignment !== assignment || reader.sequence !== sequence));
    return reader;
  }

  /** The record ends otherwise and is not sent again; what it held is handed on as lost. */
  remove(assignment: number, sequence: number): void {
    this.#records.remove(assignment, sequence);
  }

  /**
   * For the successor of a thread: it holds what is outstanding and nothing else.
   * @returns what the dead thread held beyond that, and will never let go of.
   */
  handOn(lane: number): Holding {
    const state = this.#lane(lane);
    const { heldRecords, heldBytes } = state;
    const left = this.#repack(lane);
    state.heldRecords = left.records;
    state.heldBytes = left.bytes;
    return { records: heldRecords - left.records, bytes: heldBytes - left.bytes };
  }

  /** Copies of the lane's batches, oldest first, to be transferred. */
  *copies(lane: number): Generator<RetainedBatch> {
    for (const { buffer, bytes, count } of this.#lane(lane).batches) {
      yield { buffer: buffer.slice(0, bytes), count };
    }
  }

  /** Memory of all copies. */
  get keptBytes(): number {
    return this.#lanes.reduce((sum, { keptBytes }) => sum + keptBytes, 0);
  }

  /** Packs what is outstanding anew, in order, without what is not. */
  #repack(lane: number): Holding {
    const places = this.#outstanding(lane);
    let bytes = 0;
    for (let from = 0; from < places.length;) {
      let payload = 0;
      let to = from;
      while (to < places.length && (to === from || payload < limits.batchMaxBytes)) {
        payload += (places[to++] as Place).bytes;
      }
      this.#pack(lane, places.slice(from, to), payload);
      bytes += payload;
      from = to;
    }
    return { records: places.length, bytes };
  }

  #pack(lane: number, places: readonly Place[], payloadBytes: number): void {
    const packed = this.#open(lane, places.length * RECORD_WORD_BYTES + payloadBytes, places.length);
    const target = new Uint8Array(packed.buffer);
    let at = places.length * RECORD_WORD_BYTES;
    places.forEach(({ batch, index, start, bytes }, i) => {
      const words = new Uint8Array(batch.buffer, index * RECORD_WORD_BYTES, RECORD_WORD_BYTES);
      target.set(words, i * RECORD_WORD_BYTES);
      target.set(new Uint8Array(batch.buffer, start, bytes), at);
      at += bytes;
    });
    for (const { assignment, sequence } of places) {
      this.#records.remove(assignment, sequence);
      this.#records.add(packed.number, assignment, sequence);
    }
  }

  #outstanding(lane: number): Place[] {
    const places: Place[] = [];
    for (const batch of this.#lane(lane).batches) {
      const reader = new BatchReader(batch.buffer, batch.count);
      for (let index = 0; reader.next(); index++) {
        const { assignment, sequence, payloadStart: start, payloadBytes: bytes } = reader;
        if (this.#records.batchOf(assignment, sequence) !== batch.number) continue;
        places.push({ batch, index, start, bytes, assignment, sequence });
      }
    }
    return places;
  }

  /** A batch to be filled. */
  #open(lane: number, bytes: number, count: number): Kept {
    const buffer = this.#pool.take(bytes);
    const batch = { number: this.#records.openBatch(), lane, buffer, bytes, count };
    this.#byNumber[batch.number] = batch;
    const state = this.#lane(lane);
    state.batches.add(batch);
    state.keptBytes += buffer.byteLength;
    return batch;
  }

  #drop(number: number): void {
    const batch = this.#byNumber[number] as Kept;
    this.#byNumber[number] = undefined;
    const state = this.#lane(batch.lane);
    state.batches.delete(batch);
    state.keptBytes -= batch.buffer.byteLength;
    this.#pool.give(batch.buffer);
  }

  #lane(lane: number): LaneBatches {
    const state = this.#lanes[lane];
    if (state === undefined) throw new RangeError(`there is no lane ${lane}`);
    return state;
  }
}
