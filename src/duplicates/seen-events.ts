import type { SeenBefore } from '../domain/record.ts';

/** Numbers of one event in `SeenBefore`. */
const SEEN_WORDS = 4;
/** Slots of a generation at first, and the share of them that may be taken. */
const FIRST_SLOTS = 1_024;
const MAX_LOAD = 0.5;
/** 32-bit words of a slot, and 64-bit numbers; then which of them is what. */
const WORDS = 8;
const NUMBERS = 4;
const ASSIGNMENT = 2;
const OFFSET = 2;
const TIME = 3;

/**
 * 64 bits of a tenant's event id, as two 32-bit words. Not a cryptographic hash: of a
 * million remembered ids, one in 2^44 new ones is taken for another.
 */
export interface EventHash {
  low: number;
  high: number;
}

/** Writes the hash into `into`. The tenant's length goes in first, so that no two pairs spell the same text. */
export function hashEvent(tenant: string, eventId: string, into: EventHash): void {
  let low = 0x9e3779b9 ^ tenant.length;
  let high = 0x85ebca6b ^ eventId.length;
  // Two characters a step, and each step maps 64 bits onto 64 bits one to one, so nothing is lost on the way.
  for (let i = 0; i < tenant.length; i += 2) {
    const pair = tenant.charCodeAt(i) | (tenant.charCodeAt(i + 1) << 16);
    low = (Math.imul(low ^ pair, 0x9e3779b1) + high) | 0;
    high = Math.imul(high, 0x27d4eb2f) ^ (low >>> 15);
  }
  for (let i = 0; i < eventId.length; i += 2) {
    const pair = eventId.charCodeAt(i) | (eventId.charCodeAt(i + 1) << 16);
    low = (Math.imul(low ^ pair, 0x9e3779b1) + high) | 0;
    high = Math.imul(high, 0x27d4eb2f) ^ (low >>> 15);
  }
  low = Math.imul(low ^ (low >>> 16), 0x85ebca6b) ^ Math.imul(high ^ (high >>> 13), 0xc2b2ae35);
  high = Math.imul(high ^ (high >>> 16), 0x85ebca6b) ^ Math.imul(low ^ (low >>> 13), 0xc2b2ae35);
  into.low = low >>> 0;
  into.high = high >>> 0;
}

export interface SeenEventsOptions {
  /** For how long an id is remembered from when it was seen first. */
  readonly windowMs: number;
  /** Most ids that are remembered, ≥ 2; beyond them the oldest are forgotten. */
  readonly maxRemembered: number;
}

/**
 * Which events a lane has seen lately, to tell a producer's duplicate: another record
 * with the id of an earlier one. Of each event it keeps the record that was first, by
 * assignment and offset; the same record read again is no duplicate.
 *
 * What is kept under an assignment that has ended counts for nothing: whoever owns the
 * partition then may have let another of the records with that id be the first one, and two
 * processes that each drop the other's would lose the event.
 *
 * Two generations: the younger one takes what is new. Once it is half of all that may be
 * remembered, or a window old, it becomes the older one, and the older one goes as a
 * whole. So forgetting costs nothing, and memory is bounded: 32 bytes a slot.
 */
export class SeenEvents {
  readonly #windowMs: number;
  readonly #maxOfGeneration: number;
  #young: Generation;
  #old: Generation;
  readonly #live = new Set<number>();
  readonly #hash: EventHash = { low: 0, high: 0 };

  constructor({ windowMs, maxRemembered }: SeenEventsOptions) {
    this.#windowMs = windowMs;
    this.#maxOfGeneration = Math.floor(maxRemembered / 2);
    this.#young = new Generation();
    this.#old = new Generation();
  }

  /** Ids that are remembered, those counted too whose time or assignment is over. */
  get size(): number {
    return this.#young.size + this.#old.size;
  }

  get bytes(): number {
    return this.#young.bytes + this.#old.bytes;
  }

  /**
   * @param assignment ≥ 1, never used before.
   * @param before what the ledger knows of it, oldest first.
   * @param nowMs monotonic; so below.
   */
  begin(assignment: number, before: SeenBefore | undefined, nowMs: number): void {
    this.#live.add(assignment);
    const hash = this.#hash;
    for (let i = 0; before !== undefined && i < before.length; i += SEEN_WORDS) {
      hash.low = before[i] as number;
      hash.high = before[i + 1] as number;
      const ageMs = before[i + 3] as number;
      if (ageMs < this.#windowMs) this.#see(assignment, before[i + 2] as number, nowMs - ageMs, nowMs);
    }
  }

  /** From here on nothing that was seen under it counts. */
  end(assignment: number): void {
    this.#live.delete(assignment);
  }

  /**
   * Remembers the record's event, unless it is remembered already.
   * @returns whether it is a duplicate: another record of the same event was seen within the window.
   */
  see(tenant: string, eventId: string, assignment: number, offset: number, nowMs: number): boolean {
    hashEvent(tenant, eventId, this.#hash);
    return this.#see(assignment, offset, nowMs, nowMs);
  }

  /** Of the event that `#hash` holds. */
  #see(assignment: number, offset: number, seenMs: number, nowMs: number): boolean {
    const hash = this.#hash;
    this.#turn(nowMs);
    const found = this.#find(this.#young, hash, nowMs) ?? this.#find(this.#old, hash, nowMs);
    if (found !== null) return found.assignment !== assignment || found.offset !== offset;
    if (this.#young.size === 0) this.#young.sinceMs = nowMs;
    this.#young.put(hash, assignment, offset, seenMs);
    return false;
  }

  /** Null when it is not remembered, or what is remembered counts for nothing. */
  #find(generation: Generation, hash: EventHash, nowMs: number): Generation | null {
    if (!generation.find(hash)) return null;
    const isFresh = nowMs - generation.seenMs < this.#windowMs;
    return isFresh && this.#live.has(generation.assignment) ? generation : null;
  }

  /** Younger ones than the young generation's first are all that is lost when the old one goes. */
  #turn(nowMs: number): void {
    const young = this.#young;
    if (young.size === 0) return;
    if (young.size < this.#maxOfGeneration && nowMs - young.sinceMs < this.#windowMs) return;
    this.#young = this.#old;
    this.#old = young;
    this.#young.clear();
  }
}

/**
 * A hash set of event hashes with what is known of each, open addressing; it grows and is
 * cleared as a whole. A slot is 32 bytes, so a look at one is a look at one line of the cache:
 *
 *     word 0, 1: hash   word 2: assignment, 0 in a free slot   number 2: offset   number 3: time
 */
class Generation {
  size = 0;
  /** When its first id was put in; written by its owner. */
  sinceMs = 0;
  /** What `find` found. */
  assignment = 0;
  offset = 0;
  seenMs = 0;
  #slots = FIRST_SLOTS;
  #words = new Uint32Array(FIRST_SLOTS * WORDS);
  /** The same memory. */
  #numbers = new Float64Array(this.#words.buffer);

  get bytes(): number {
    return this.#words.byteLength;
  }

  /** @returns whether it is there; then the fields say what is known of it. */
  find(hash: EventHash): boolean {
    const at = this.#slotOf(hash.low, hash.high);
    const assignment = this.#words[at * WORDS + ASSIGNMENT] as number;
    if (assignment === 0) return false;
    this.assignment = assignment;
    this.offset = this.#numbers[at * NUMBERS + OFFSET] as number;
    this.seenMs = this.#numbers[at * NUMBERS + TIME] as number;
    return true;
  }

  /** In place of what was known of it. */
  put({ low, high }: EventHash, assignment: number, offset: number, seenMs: number): void {
    let at = this.#slotOf(low, high);
    if (this.#words[at * WORDS + ASSIGNMENT] === 0 && ++this.size > this.#slots * MAX_LOAD) {
      this.#grow();
      at = this.#slotOf(low, high);
    }
    this.#words[at * WORDS] = low;
    this.#words[at * WORDS + 1] = high;
    this.#words[at * WORDS + ASSIGNMENT] = assignment;
    this.#numbers[at * NUMBERS + OFFSET] = offset;
    this.#numbers[at * NUMBERS + TIME] = seenMs;
  }

  clear(): void {
    this.size = 0;
    this.#words.fill(0);
  }

  /** The slot that has it, or the free one where it belongs. */
  #slotOf(low: number, high: number): number {
    const words = this.#words;
    const mask = this.#slots - 1;
    let at = low & mask;
    while (
      words[at * WORDS + ASSIGNMENT] !== 0 &&
      (words[at * WORDS] !== low || words[at * WORDS + 1] !== high)
    ) {
      at = (at + 1) & mask;
    }
    return at;
  }

  #grow(): void {
    const words = this.#words;
    this.#slots *= 2;
    this.#words = new Uint32Array(this.#slots * WORDS);
    this.#numbers = new Float64Array(this.#words.buffer);
    for (let from = 0; from < words.length; from += WORDS) {
      if (words[from + ASSIGNMENT] === 0) continue;
      const at = this.#slotOf(words[from] as number, words[from + 1] as number);
      this.#words.set(words.subarray(from, from + WORDS), at * WORDS);
    }
  }
}
