import type { Random } from './random.ts';

/** Picks indexes with given weights: the cumulative weights, searched by halves. */
export class WeightedChoice {
  readonly #cumulative: Float64Array;
  readonly #total: number;

  /** @param weights ≥ 0, at least one of them greater. */
  constructor(weights: readonly number[]) {
    let total = 0;
    this.#cumulative = Float64Array.from(weights, (weight) => (total += weight));
    this.#total = total;
  }

  pick(random: Random): number {
    const target = random.fraction() * this.#total;
    let low = 0;
    let high = this.#cumulative.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#cumulative[middle] as number) > target) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

/** Zipf's law: the item of rank r weighs 1 / r^exponent. Exponent 0 is uniform, 1 the classic skew. */
export function zipfWeights(count: number, exponent: number): number[] {
  return Array.from({ length: count }, (_, index) => 1 / (index + 1) ** exponent);
}
