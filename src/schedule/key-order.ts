/** What waits its turn in a key order; on at most one of them at a time. */
export interface OfKey<Item> {
  /** The one behind it of the same key. Written by the key order. */
  nextOfKey: Item | null;
}

/** A key with an item that may go; what waits behind it is a list through the items. */
class Line<Item> {
  head: Item | null = null;
  tail: Item | null = null;
}

/**
 * The order of one destination with `order: key`: of each key at most one item may
 * go at a time; the others wait behind it, first in first out. Items of a key must
 * therefore be offered in offset order.
 *
 *   tryEnter ─► go ───────────────────────────────► leave ─► the next one of the key goes
 *           └─► wait ─► (all before it have left) ─► go
 *
 * An item that may go holds its key until it leaves, through all of its attempts
 * and what lies between them; how long that may last is the caller's to judge, and
 * what waits is the caller's to bound. A key with nothing in it is forgotten.
 */
export class KeyOrder<Item extends OfKey<Item>> {
  readonly #lines = new Map<string, Line<Item>>();
  #waiting = 0;

  /** Items that wait behind another of their key. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Keys of which something may go. */
  get keys(): number {
    return this.#lines.size;
  }

  /** 'go': the key is the item's until it leaves. 'wait': `leave` returns the item when its time has come. */
  tryEnter(key: string, item: Item): 'go' | 'wait' {
    const line = this.#lines.get(key);
    if (line === undefined) {
      this.#lines.set(key, new Line());
      return 'go';
    }
    item.nextOfKey = null;
    if (line.tail === null) line.head = item;
    else line.tail.nextOfKey = item;
    line.tail = item;
    this.#waiting++;
    return 'wait';
  }

  /**
   * To be called when the item that went has ended, in whatever way.
   *
   * @returns the item that may go now; null when none waits.
   * @throws Error when nothing of this key went: then two would go at once later on.
   */
  leave(key: string): Item | null {
    const line = this.#held(key);
    const next = line.head;
    if (next === null) {
      this.#lines.delete(key);
      return null;
    }
    line.head = next.nextOfKey;
    if (line.head === null) line.tail = null;
    next.nextOfKey = null;
    this.#waiting--;
    return next;
  }

  /** Takes out for good what waits and the predicate is true of; it is asked once about each, in order of each key. */
  dropWaiting(isDropped: (item: Item) => boolean): void {
    for (const line of this.#lines.values()) {
      let item = line.head;
      line.head = null;
      line.tail = null;
      while (item !== null) {
        const next: Item | null = item.nextOfKey;
        item.nextOfKey = null;
        if (isDropped(item)) {
          this.#waiting--;
        } else {
          if (line.tail === null) line.head = item;
          else line.tail.nextOfKey = item;
          line.tail = item;
        }
        item = next;
      }
    }
  }

  #held(key: string): Line<Item> {
    const line = this.#lines.get(key);
    if (line === undefined) throw new Error('a key is left that nothing has entered');
    return line;
  }
}
