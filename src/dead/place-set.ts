import type { Place } from './dead-letter.ts';
import { spansOf } from './scan.ts';
import type { Span } from './scan.ts';

/** A set of places. */
export class PlaceSet {
  readonly #byPartition = new Map<number, Set<number>>();
  #size = 0;

  constructor(places: readonly Place[] = []) {
    for (const place of places) this.add(place);
  }

  get size(): number {
    return this.#size;
  }

  add({ partition, offset }: Place): void {
    const offsets = this.#byPartition.get(partition) ?? new Set();
    if (offsets.has(offset)) return;
    this.#byPartition.set(partition, offsets.add(offset));
    this.#size++;
  }

  has({ partition, offset }: Place): boolean {
    return this.#byPartition.get(partition)?.has(offset) === true;
  }

  /** What to read to meet all of them. */
  spans(): Span[] {
    return spansOf(
      [...this.#byPartition].flatMap(([partition, offsets]) =>
        [...offsets].map((offset) => ({ partition, offset })),
      ),
    );
  }
}
