/** Tenants that are watched: the first ones seen. */
const WATCHED_TENANTS = 10_000;
/** Of so many it is told; the rest are only counted. */
const TOLD_TENANTS = 20;

const FREE = -1;
const TOLD = -2;

/** A tenant whose records are in more than one partition. */
export interface SplitTenant {
  readonly tenant: string;
  /** The number it was seen in first, and another one. */
  readonly partitions: readonly [first: number, other: number];
}

export interface TenantPartitionsOptions {
  /** Told of the first few. */
  onSplit(split: SplitTenant): void;
  readonly watchedTenants?: number;
  readonly toldTenants?: number;
}

/**
 * Notices tenants whose events come in two partition numbers, which the rule that a
 * tenant has one owner does not allow for. It sees what this process reads, so a
 * tenant that is split between processes only is not noticed.
 *
 * A table of the first tenants seen, by hash, open addressing: usually one look at
 * two words. Names are compared only when the hash is the same and the partition is
 * not, so two tenants of one hash are never taken for one.
 */
export class TenantPartitions {
  /** Tenants found in more than one partition. */
  split = 0;
  readonly #options: TenantPartitionsOptions;
  readonly #watched: number;
  readonly #hashes: Int32Array;
  /** The partition a tenant was seen in first; FREE, or TOLD once it is known to be in several. */
  readonly #partitions: Int32Array;
  readonly #names: string[] = [];
  #size = 0;

  constructor(options: TenantPartitionsOptions) {
    this.#options = options;
    this.#watched = options.watchedTenants ?? WATCHED_TENANTS;
    // At most half full, so that a search ends soon.
    const capacity = 2 ** Math.ceil(Math.log2(this.#watched * 2));
    this.#hashes = new Int32Array(capacity);
    this.#partitions = new Int32Array(capacity).fill(FREE);
  }

  /** @param hash 32 bit, signed, of the tenant's UTF-8 bytes, which are those from `start` to `end`. */
  see(hash: number, bytes: Uint8Array, start: number, end: number, partition: number): void {
    const mask = this.#hashes.length - 1;
    let at = hash & mask;
    while (this.#partitions[at] !== FREE) {
      if (this.#hashes[at] === hash) {
        const first = this.#partitions[at] as number;
        if (first !== partition && first !== TOLD) this.#compare(at, nameOf(bytes, start, end), partition);
        return;
      }
      at = (at + 1) & mask;
    }
    if (this.#size === this.#watched) return;
    this.#size++;
    this.#hashes[at] = hash;
    this.#partitions[at] = partition;
    this.#names[at] = nameOf(bytes, start, end);
  }

  #compare(at: number, tenant: string, partition: number): void {
    if (this.#names[at] !== tenant) return;
    const first = this.#partitions[at] as number;
    this.#partitions[at] = TOLD;
    this.split++;
    if (this.split > (this.#options.toldTenants ?? TOLD_TENANTS)) return;
    this.#options.onSplit({ tenant, partitions: [first, partition] });
  }
}

function nameOf(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.subarray(start, end)).toString();
}
