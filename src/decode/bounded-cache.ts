interface Entry<V> {
  readonly value: V;
  /** Read since it was last passed over for eviction. */
  used: boolean;
}

/**
 * A map of bounded size that forgets what has not been read for long: the
 * second-chance algorithm, whose `get` only sets a flag where a true LRU would
 * reorder the map on every read.
 */
export class BoundedCache<K, V> {
  readonly #entries = new Map<K, Entry<V>>();
  readonly #maxEntries: number;

  /** @param maxEntries ≥ 1. */
  constructor(maxEntries: number) {
    this.#maxEntries = maxEntries;
  }

  get(key: K): V | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    entry.used = true;
    return entry.value;
  }

  set(key: K, value: V): void {
    this.#entries.delete(key);
    if (this.#entries.size >= this.#maxEntries) this.#evict();
    this.#entries.set(key, { value, used: false });
  }

  #evict(): void {
    // A used entry moves behind the last one with its flag cleared, so the second round finds a victim at the latest.
    for (const [key, entry] of this.#entries) {
      this.#entries.delete(key);
      if (!entry.used) return;
      entry.used = false;
      this.#entries.set(key, entry);
    }
  }
}
