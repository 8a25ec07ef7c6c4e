import type { LaneBounds } from './flow-gate.ts';

/**
 * What refuses a record for now: a `bound` of everybody, which falls to all at
 * once and soon, or the `share` of its tenant or of retries, which may stay full
 * for long and is no reason to stop others.
 */
export type Refusal = 'bound' | 'share';

/** Of a lane's bounds, 0…1. */
export interface Shares {
  /** Of one tenant. */
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
const BOTH = 2;
type Class = typeof FIRST | typeof RETRY;

/** More than any lane may be configured to hold, in records or bytes; counts are 32-bit integers. */
const NO_BOUND = 2 ** 31 - 1;

/** Share of its bound to which a class that was full must have fallen to be admitted again. */
const REOPEN_FIRST = 0.75;
/**
 * The same for what is refused as a `share`. It is lower, since its partition may
 * have been paused: resuming reads again what librdkafka had prefetched.
 */
const REOPEN = 0.5;

/** Integers: full from these many records or bytes on, and open again from here down. */
type Marks = readonly [records: number, bytes: number, lowRecords: number, lowBytes: number];

const NO_MARKS: Marks = [NO_BOUND, NO_BOUND, NO_BOUND, NO_BOUND];

/**
 * How the bounds of each lane are shared out: between tenants, and between first
 * attempts and retries. A tenant's share is divided between its classes like the
 * lane's, so that its new events do not keep its retries out, whose partition has
 * retries of others behind them.
 *
 * Counts are of what was admitted and not reported; what belongs to an assignment
 * that ended is let go at its end. A share that is full closes, and opens again
 * when it has fallen well below.
 */
export class LaneShares {
  /** Bits that tell the slots. A lane has as many holders again, one of which stands for records without a tenant. */
  readonly #slotBits: number;
  readonly #tenants: Holdings;
  readonly #lanes: Holdings;

  /** @param slots of tenants in each lane, a power of two from 2 on; a test may want fewer. */
  constructor(lanes: number, bounds: LaneBounds, shares: Shares, slots = TENANT_SLOTS) {
    this.#slotBits = Math.log2(slots);
    // A tenant that may have all of it is bounded as the lane is.
    const ofTenant = (share: number): Marks =>
      shares.tenant < 1 ? marks(bounds, shares.tenant * share, REOPEN) : NO_MARKS;
    this.#tenants = new Holdings(lanes * slots * 2, [
      ofTenant(shares.first),
      ofTenant(shares.retry),
      ofTenant(1),
    ]);
    this.#lanes = new Holdings(lanes, [
      marks(bounds, shares.first, REOPEN_FIRST),
      marks(bounds, shares.retry, REOPEN),
      // The lane as a whole is the gate's to close.
      NO_MARKS,
    ]);
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
    if (!this.#tenants.isOpen(holder, cls)) return 'share';
    if (this.#lanes.isOpen(lane, cls)) return null;
    return isRetry ? 'share' : 'bound';
  }

  /** Counts a record in. */
  admit(holder: number, isRetry: boolean, bytes: number): void {
    const cls = isRetry ? RETRY : FIRST;
    this.#tenants.add(holder, cls, bytes);
    this.#lanes.add(this.#laneOf(holder), cls, bytes);
  }

  /** Counts out one that was counted in. */
  release(holder: number, isRetry: boolean, bytes: number): void {
    const cls = isRetry ? RETRY : FIRST;
    this.#tenants.take(holder, cls, bytes);
    this.#lanes.take(this.#laneOf(holder), cls, bytes);
  }

  /** Records and bytes that a holder has, of both classes. */
  held(holder: number): readonly [records: number, bytes: number] {
    return this.#tenants.held(holder);
  }

  /** Records and bytes of both classes in a lane. */
  heldOfLane(lane: number): readonly [records: number, bytes: number] {
    return this.#lanes.held(lane);
  }

  #laneOf(holder: number): number {
    return holder >>> (this.#slotBits + 1);
  }
}

/** Records and bytes of each class that each of many holders has, and which of their marks were reached. */
class Holdings {
  /** Of first attempts, of retries, of both. */
  readonly #marks: Int32Array;
  /** Per holder: records and bytes of first attempts, then of retries. */
  readonly #held: Int32Array;
  /** A bit for each mark that is closed. */
  readonly #closed: Uint8Array;

  constructor(holders: number, marks: readonly [first: Marks, retry: Marks, both: Marks]) {
    this.#marks = Int32Array.from(marks.flat());
    this.#held = new Int32Array(holders * 4);
    this.#closed = new Uint8Array(holders);
  }

  isOpen(holder: number, cls: Class): boolean {
    return ((this.#closed[holder] as number) & ((1 << cls) | (1 << BOTH))) === 0;
  }

  add(holder: number, cls: Class, bytes: number): void {
    const held = this.#held;
    const own = holder * 4 + cls * 2;
    const records = (held[own] as number) + 1;
    const total = (held[own + 1] as number) + bytes;
    held[own] = records;
    held[own + 1] = total;
    const other = own ^ 2;
    const ofBoth = records + (held[other] as number);
    if (this.#isFull(cls, records, total)) this.#close(holder, cls);
    if (this.#isFull(BOTH, ofBoth, total + (held[other + 1] as number))) this.#close(holder, BOTH);
  }

  /** @throws RangeError when the holder has less. */
  take(holder: number, cls: Class, bytes: number): void {
    const held = this.#held;
    const own = holder * 4 + cls * 2;
    const records = (held[own] as number) - 1;
    const total = (held[own + 1] as number) - bytes;
    if (records < 0 || total < 0) throw new RangeError(`holder ${holder} let go of more than it held`);
    held[own] = records;
    held[own + 1] = total;
    if (this.#closed[holder] === 0) return;
    const other = own ^ 2;
    const ofBoth = records + (held[other] as number);
    if (this.#isLow(cls, records, total)) this.#open(holder, cls);
    if (this.#isLow(BOTH, ofBoth, total + (held[other + 1] as number))) this.#open(holder, BOTH);
  }

  held(holder: number): readonly [records: number, bytes: number] {
    const of = (column: number): number => this.#held[holder * 4 + column] as number;
    return [of(0) + of(2), of(1) + of(3)];
  }

  #isFull(which: Class | typeof BOTH, records: number, bytes: number): boolean {
    const marks = this.#marks;
    return records >= (marks[which * 4] as number) || bytes >= (marks[which * 4 + 1] as number);
  }

  #isLow(which: Class | typeof BOTH, records: number, bytes: number): boolean {
    const marks = this.#marks;
    return records <= (marks[which * 4 + 2] as number) && bytes <= (marks[which * 4 + 3] as number);
  }

  #close(holder: number, which: Class | typeof BOTH): void {
    this.#closed[holder] = (this.#closed[holder] as number) | (1 << which);
  }

  #open(holder: number, which: Class | typeof BOTH): void {
    this.#closed[holder] = (this.#closed[holder] as number) & ~(1 << which);
  }
}

/** The least share is one record. A record that is larger than a share's bytes goes in when they are open, and closes them. */
function marks({ maxRecords, maxBytes }: LaneBounds, share: number, reopenShare: number): Marks {
  const records = Math.max(1, Math.floor(maxRecords * share));
  const bytes = Math.ceil(maxBytes * share);
  return [records, bytes, Math.floor(records * reopenShare), Math.floor(bytes * reopenShare)];
}
