/**
 * Things that become due, earliest first: a binary heap over two flat arrays.
 * Times are monotonic milliseconds; what is due at the same time comes in no
 * promised order.
 */
export class DueQueue<T> {
  readonly #due: number[] = [];
  readonly #items: T[] = [];

  get size(): number {
    return this.#items.length;
  }

  /** When the earliest is due; Infinity when empty. */
  get nextDueMs(): number {
    return this.#due[0] ?? Infinity;
  }

  add(item: T, dueMs: number): void {
    let child = this.#items.length;
    this.#items.push(item);
    this.#due.push(dueMs);
    while (child > 0) {
      const parent = (child - 1) >> 1;
      if ((this.#due[parent] as number) <= dueMs) break;
      this.#move(parent, child);
      child = parent;
    }
    this.#place(child, item, dueMs);
  }

  /** Takes the earliest if it is due; undefined otherwise. */
  takeDue(nowMs: number): T | undefined {
    if (this.nextDueMs > nowMs) return undefined;
    const first = this.#items[0] as T;
    const item = this.#items.pop() as T;
    const dueMs = this.#due.pop() as number;
    if (this.#items.length > 0) this.#sink(item, dueMs);
    return first;
  }

  #sink(item: T, dueMs: number): void {
    const count = this.#items.length;
    let parent = 0;
    for (;;) {
      let child = 2 * parent + 1;
      if (child >= count) break;
      if (child + 1 < count && (this.#due[child + 1] as number) < (this.#due[child] as number)) child++;
      if ((this.#due[child] as number) >= dueMs) break;
      this.#move(child, parent);
      parent = child;
    }
    this.#place(parent, item, dueMs);
  }

  #move(from: number, to: number): void {
    this.#place(to, this.#items[from] as T, this.#due[from] as number);
  }

  #place(index: number, item: T, dueMs: number): void {
    this.#items[index] = item;
    this.#due[index] = dueMs;
  }
}
