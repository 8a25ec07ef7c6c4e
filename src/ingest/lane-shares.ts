import type { LaneBounds } from './flow-gate.ts';

/**
 * What refuses a record for now: a `bound` of everybody, or a `share` of its tenant,
 * of retries or of its partition, which may stay full for long and is then no reason
 * to stop others.
 */
export type Refusal = 'bound' | 'share';

/** Of a lane's bounds, 0…1. */
export interface Shares {
  /** Of one tenant, while no other holds much. */
  readonly tenant: number;
  /** Of all first attempts, and of all retries. */
  readonly first: number;
  readonly retry: number;
}

/**
 * First attempts leave an eighth, so that what has waited in a delay topic finds the
 * door open under any load of new events. Retries leave half: when receivers fail in
 * masses, what comes back is of those that fail, and new events come first.
 */
export const CLASS_SHARES = { first: 7 / 8, retry: 1 / 2 } as const;

/**
 * Tenants are told apart by so many slots; a power of two. Two tenants of a lane whose
 * names fall into one slot share one share: of 500 tenants in a lane 1 in 16 does.
 */
const TENANT_SLOTS = 8_192;

const FIRST = 0;
const RETRY = 1;
type Class = typeof FIRST | typeof RETRY;

/** Share of its bound to which a class that was full must have fallen to be admitted again. */
const REOPEN_FIRST = 0.75;
/**
 * The same for retries. It is lower, since their partitions may have been paused:
 * resuming reads again what librdkafka had prefetched.
 */
const REOPEN_RETRY = 0.5;
/** Of a class, this much is for tenants that hold little. */
const RESERVE = 1 / 8;
/** Of a class: what counts as little. */
const LITTLE = 1 / 128;

/**
 * How the bounds of each lane are shared out: between tenants, and between first
 * attempts and retries. What a tenant may hold is counted for each class by itself, so
 * that its new events do not keep its retries out, whose partition has retries of
 * others behind them.
 *
 * Fixed shares alone would let two slow tenants with half each fill a lane, and keep
 * all others out for as long as they take. So what a tenant may hold is in proportion
 * to what is still free: alone it gets its whole share, beside others that take all they
 * can get as much as each of them, and who holds little is let in (dynamic thresholds of
 * shared-memory switches: Choudhury and Hahne, IEEE/ACM Transactions on Networking 6(2),
 * 1998). A class that is full all the same closes, and opens again when it has fallen well
 * below.
 *
 * Counts are of what was admitted and not reported; what belongs to an assignment
 * that ended is let go at its end.
 */
export class LaneShares {
  /** Bits that tell the slots. A lane has as many holders again, one of which stands for records without a tenant. */
  readonly #slotBits: number;
  readonly #tenants: Holdings;
  readonly #lanes: Holdings;
  /** A bit of each lane for each class that is closed. */
  readonly #closed: Uint8Array;
  readonly #classes: readonly [first: ClassBounds, retry: ClassBounds];
  /** Of one tenant in both classes. */
  readonly #tenantBounds: LaneBounds;
  /** What a tenant may hold of a class, in relation to what is free of it. */
  readonly #ofFree: number;

  /** @param slots of tenants in each lane, a power of two from 2 on; a test may want fewer. */
  constructor(lanes: number, bounds: LaneBounds, shares: Shares, slots = TENANT_SLOTS) {
    this.#slotBits = Math.log2(slots);
    this.#tenants = new Holdings(lanes * slots * 2);
    this.#lanes = new Holdings(lanes);
    this.#closed = new Uint8Array(lanes);
    // A tenant that may have nearly all of it is bounded as the lane is.
    const reserve = shares.tenant < 1 - RESERVE ? RESERVE : 0;
    this.#ofFree = reserve > 0 ? shares.tenant / (1 - reserve - shares.tenant) : Infinity;
    this.#tenantBounds = reserve > 0 ? partOf(bounds, shares.tenant) : NO_BOUNDS;
    this.#classes = [
      classBounds(bounds, shares.first, REOPEN_FIRST, reserve),
      classBounds(bounds, shares.retry, REOPEN_RETRY, reserve),
    ];
  }

  /**
   * Who stands for a tenant in a lane.
   * @param hash of the tenant; null for a record without one. All such records of a lane are one holder.
   */
  holderOf(lane: number, hash: number | null): number {
    const slots = 1 << this.#slotBits;
    const slot = hash === null ? slots : Math.imul(hash, 0x9e3779b1) >>> (32 - this.#slotBits);
    return lane * slots * 2 + slot;
  }

  /** What refuses a record of this holder; null when nothing does. */
  refusal(lane: number, holder: number, isRetry: boolean): Refusal | null {
    const cls = isRetry ? RETRY : FIRST;
    if (((this.#closed[lane] as number) & (1 << cls)) !== 0) return isRetry ? 'share' : 'bound';
    return this.#mayHoldMore(lane, holder, cls) ? null : 'share';
  }

  /** Counts a record in. */
  admit(holder: number, isRetry: boolean, bytes: number): void {
    const cls = isRetry ? RETRY : FIRST;
    const lane = this.#laneOf(holder);
    this.#tenants.add(holder, cls, 1, bytes);
    this.#lanes.add(lane, cls, 1, bytes);
    const { full } = this.#classes[cls];
    if (this.#lanes.records(lane, cls) >= full.maxRecords || this.#lanes.bytes(lane, cls) >= full.maxBytes) {
      this.#closed[lane] = (this.#closed[lane] as number) | (1 << cls);
    }
  }

  /**
   * Counts out one that was counted in.
   * @throws RangeError when the holder has less.
   */
  release(holder: number, isRetry: boolean, bytes: number): void {
    const cls = isRetry ? RETRY : FIRST;
    const lane = this.#laneOf(holder);
    this.#tenants.add(holder, cls, -1, -bytes);
    this.#lanes.add(lane, cls, -1, -bytes);
    if (this.#closed[lane] === 0) return;
    const { low } = this.#classes[cls];
    if (this.#lanes.records(lane, cls) <= low.maxRecords && this.#lanes.bytes(lane, cls) <= low.maxBytes) {
      this.#closed[lane] = (this.#closed[lane] as number) & ~(1 << cls);
    }
  }

  /** Records and bytes that a holder has, of both classes. */
  held(holder: number): readonly [records: number, bytes: number] {
    return this.#tenants.held(holder);
  }

  /** Records and bytes of both classes in a lane. */
  heldOfLane(lane: number): readonly [records: number, bytes: number] {
    return this.#lanes.held(lane);
  }

  #mayHoldMore(lane: number, holder: number, cls: Class): boolean {
    const own = this.#tenants;
    const { full, reserve, little } = this.#classes[cls];
    const { maxRecords, maxBytes } = this.#tenantBounds;
    const records = own.records(holder, cls);
    const bytes = own.bytes(holder, cls);
    const freeRecords = full.maxRecords - reserve.maxRecords - this.#lanes.records(lane, cls);
    const freeBytes = full.maxBytes - reserve.maxBytes - this.#lanes.bytes(lane, cls);
    return (
      (records < little.maxRecords || records < freeRecords * this.#ofFree) &&
      (bytes < little.maxBytes || bytes < freeBytes * this.#ofFree) &&
      records + own.records(holder, 1 - cls) < maxRecords &&
      bytes + own.bytes(holder, 1 - cls) < maxBytes
    );
  }

  #laneOf(holder: number): number {
    return holder >>> (this.#slotBits + 1);
  }
}

/** Bounds of one class in a lane. */
interface ClassBounds {
  /** From here on it is closed. */
  readonly full: LaneBounds;
  /** Down to here it stays closed. */
  readonly low: LaneBounds;
  /** What is left to tenants that hold little. */
  readonly reserve: LaneBounds;
  readonly little: LaneBounds;
}

const NO_BOUNDS: LaneBounds = { maxRecords: Infinity, maxBytes: Infinity };

function classBounds(bounds: LaneBounds, share: number, reopenShare: number, reserve: number): ClassBounds {
  const full = partOf(bounds, share);
  return {
    full,
    low: {
      maxRecords: Math.floor(full.maxRecords * reopenShare),
      maxBytes: Math.floor(full.maxBytes * reopenShare),
    },
    reserve: { maxRecords: full.maxRecords * reserve, maxBytes: full.maxBytes * reserve },
    little: partOf(full, LITTLE),
  };
}

/** At least one record. One that is larger than the part's bytes goes in when there is room, and fills it. */
function partOf({ maxRecords, maxBytes }: LaneBounds, share: number): LaneBounds {
  return { maxRecords: Math.max(1, Math.floor(maxRecords * share)), maxBytes: Math.ceil(maxBytes * share) };
}

/** Records and bytes of each class that each of many holders has. */
class Holdings {
  /** Per holder: records and bytes of first attempts, then of retries. */
  readonly #held: Int32Array;

  constructor(holders: number) {
    this.#held = new Int32Array(holders * 4);
  }

  records(holder: number, cls: number): number {
    return this.#held[holder * 4 + cls * 2] as number;
  }

  bytes(holder: number, cls: number): number {
    return this.#held[holder * 4 + cls * 2 + 1] as number;
  }

  /** @throws RangeError when it would leave less than nothing. */
  add(holder: number, cls: Class, records: number, bytes: number): void {
    const at = holder * 4 + cls * 2;
    const total = (this.#held[at] as number) + records;
    const totalBytes = (this.#held[at + 1] as number) + bytes;
    if (total < 0 || totalBytes < 0) throw new RangeError(`holder ${holder} let go of more than it held`);
    this.#held[at] = total;
    this.#held[at + 1] = totalBytes;
  }

  held(holder: number): readonly [records: number, bytes: number] {
    return [
      this.records(holder, FIRST) + this.records(holder, RETRY),
      this.bytes(holder, FIRST) + this.bytes(holder, RETRY),
    ];
  }
}
