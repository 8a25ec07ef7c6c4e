/** What the wheel links through; an entry is on at most one wheel. */
export interface Deadlined {
  readonly deadlineMs: number;
  /** Slot it hangs in, `OFF_WHEEL` when on no wheel. Written by the wheel, as are the links. */
  wheelSlot: number;
  wheelPrevious: Deadlined | null;
  wheelNext: Deadlined | null;
  /** Called once its deadline has passed; it is off the wheel then. */
  onDeadline(): void;
}

export const OFF_WHEEL = -1;

/**
 * Deadlines of what is in flight: a ring of time slots, each the head of a list
 * threaded through the entries themselves, so that adding and removing cost no
 * allocation and no search. An entry ends at most one slot after its deadline,
 * never before it; one further away than a turn of the ring goes round again.
 */
export class DeadlineWheel {
  readonly slotMs: number;
  readonly #heads: (Deadlined | null)[];
  #reachedSlot: number;
  #size = 0;

  constructor(slotMs: number, slots: number, nowMs: number) {
    this.slotMs = slotMs;
    this.#heads = new Array<Deadlined | null>(slots).fill(null);
    this.#reachedSlot = Math.floor(nowMs / slotMs);
  }

  get size(): number {
    return this.#size;
  }

  add(entry: Deadlined): void {
    const due = Math.max(Math.ceil(entry.deadlineMs / this.slotMs), this.#reachedSlot + 1);
    const slot = due % this.#heads.length;
    const head = this.#heads[slot] ?? null;
    entry.wheelSlot = slot;
    entry.wheelPrevious = null;
    entry.wheelNext = head;
    if (head !== null) head.wheelPrevious = entry;
    this.#heads[slot] = entry;
    this.#size++;
  }

  /** Takes the entry off; nothing happens when it is on no wheel. */
  remove(entry: Deadlined): void {
    if (entry.wheelSlot === OFF_WHEEL) return;
    if (entry.wheelNext !== null) entry.wheelNext.wheelPrevious = entry.wheelPrevious;
    if (entry.wheelPrevious !== null) entry.wheelPrevious.wheelNext = entry.wheelNext;
    else this.#heads[entry.wheelSlot] = entry.wheelNext;
    entry.wheelSlot = OFF_WHEEL;
    entry.wheelPrevious = null;
    entry.wheelNext = null;
    this.#size--;
  }

  /** Takes off every entry whose deadline has passed and tells it so. */
  advance(nowMs: number): void {
    const target = Math.floor(nowMs / this.slotMs);
    const steps = Math.min(target - this.#reachedSlot, this.#heads.length);
    const first = target - steps + 1;
    if (steps > 0) this.#reachedSlot = target;
    for (let slot = first; slot <= target; slot++) this.#expire(slot % this.#heads.length, nowMs);
  }

  #expire(slot: number, nowMs: number): void {
    let entry = this.#heads[slot] ?? null;
    while (entry !== null) {
      const next: Deadlined | null = entry.wheelNext;
      if (entry.deadlineMs <= nowMs) {
        this.remove(entry);
        entry.onDeadline();
      }
      // An expiry may take its neighbours off as well: the list is then read from its head again.
      entry = next === null || next.wheelSlot === slot ? next : (this.#heads[slot] ?? null);
    }
  }
}
