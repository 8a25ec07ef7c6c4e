import { limits } from '../domain/limits.ts';
import type { Assignment } from './assignment.ts';

/** What is kept of delay topics until it is due, rather than read again. */
export interface KeptBounds {
  readonly records: number;
  readonly bytes: number;
  readonly recordsPerPartition: number;
  readonly bytesPerPartition: number;
}

export const KEPT_RETRIES: KeptBounds = {
  records: limits.keptRetryRecords,
  bytes: limits.keptRetryBytes,
  recordsPerPartition: limits.keptRetryRecordsPerPartition,
  bytesPerPartition: limits.keptRetryBytesPerPartition,
};

/** Counts what is stashed of partitions whose head is not due, anew in each round over them, against its bounds. */
export class KeptRetries {
  readonly #bounds: KeptBounds;
  #partitions = 0;
  #records = 0;
  #bytes = 0;

  constructor(bounds: KeptBounds) {
    this.#bounds = bounds;
  }

  get partitions(): number {
    return this.#partitions;
  }

  /** Whether another partition may keep what was read of it. */
  get hasRoom(): boolean {
    return this.#records < this.#bounds.records && this.#bytes < this.#bounds.bytes;
  }

  /** A round begins. */
  reset(): void {
    this.#partitions = 0;
    this.#records = 0;
    this.#bytes = 0;
  }

  /** @returns whether there is enough of this partition now, or of all. */
  add({ stashed, stashedBytes }: Pick<Assignment, 'stashed' | 'stashedBytes'>): boolean {
    this.#partitions++;
    this.#records += stashed;
    this.#bytes += stashedBytes;
    const { recordsPerPartition, bytesPerPartition } = this.#bounds;
    return stashed >= recordsPerPartition || stashedBytes >= bytesPerPartition || !this.hasRoom;
  }
}
