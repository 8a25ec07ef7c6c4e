/** A lane that was full admits again once it fell to this share of its bounds. */
const REOPEN_SHARE = 0.75;

export interface LaneBounds {
  readonly maxRecords: number;
  readonly maxBytes: number;
}

/**
 * What each lane holds undelivered, in records and bytes, against its bounds.
 * Two marks keep it from flapping: a lane that became full stays closed until it
 * has fallen to three quarters of both bounds. How
 * it is shared out is counted by `LaneShares`.
 */
export class FlowGate {
  readonly #bounds: LaneBounds;
  readonly #records: Float64Array;
  readonly #bytes: Float64Array;
  readonly #closed: Uint8Array;

  constructor(lanes: number, bounds: LaneBounds) {
    this.#bounds = bounds;
    this.#records = new Float64Array(lanes);
    this.#bytes = new Float64Array(lanes);
    this.#closed = new Uint8Array(lanes);
  }

  isOpen(lane: number): boolean {
    return this.#closed[lane] === 0;
  }

  /** Counts a record in. A record larger than the byte bound still enters an open lane, alone. */
  admit(lane: number, bytes: number): void {
    const records = (this.#records[lane] as number) + 1;
    const total = (this.#bytes[lane] as number) + bytes;
    this.#records[lane] = records;
    this.#bytes[lane] = total;
    if (records >= this.#bounds.maxRecords || total >= this.#bounds.maxBytes) this.#closed[lane] = 1;
  }

  /**
   * Counts out what a lane has let go of.
   * @returns whether a closed lane opened.
   */
  release(lane: number, records: number, bytes: number): boolean {
    const left = (this.#records[lane] as number) - records;
    const leftBytes = (this.#bytes[lane] as number) - bytes;
    if (left < 0 || leftBytes < 0) throw new RangeError(`lane ${lane} let go of more than it held`);
    this.#records[lane] = left;
    this.#bytes[lane] = leftBytes;
    const { maxRecords, maxBytes } = this.#bounds;
    const low = left <= maxRecords * REOPEN_SHARE && leftBytes <= maxBytes * REOPEN_SHARE;
    if (this.#closed[lane] === 0 || !low) return false;
    this.#closed[lane] = 0;
    return true;
  }

  records(lane: number): number {
    return this.#records[lane] as number;
  }

  bytes(lane: number): number {
    return this.#bytes[lane] as number;
  }

  get totalRecords(): number {
    return this.#records.reduce((sum, n) => sum + n, 0);
  }

  get totalBytes(): number {
    return this.#bytes.reduce((sum, n) => sum + n, 0);
  }
}
