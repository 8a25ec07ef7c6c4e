import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Random } from '../../src/samples/random.ts';
import { WeightedChoice, zipfWeights } from '../../src/samples/weighted-choice.ts';

/* Proves that chance is repeatable by its seed, and as skewed as asked for. */

const bits = (seed: number): number[] => {
  const random = new Random(seed);
  return Array.from({ length: 20 }, () => random.bits());
};

it('the same seed gives the same values, another seed others', () => {
  expect(bits(5)).toEqual(bits(5));
  expect(bits(5)).not.toEqual(bits(6));
});

it('values stay within their bounds', () => {
  fc.assert(
    fc.property(fc.integer(), fc.nat(1_000), fc.nat(1_000), (seed, min, span) => {
      const random = new Random(seed);
      const value = random.between(min, min + span);
      expect(value).toBeGreaterThanOrEqual(min);
      expect(value).toBeLessThanOrEqual(min + span);
      expect(random.fraction()).toBeLessThan(1);
      expect(random.uuid()).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    }),
  );
});

function shares(weights: readonly number[], draws = 200_000): number[] {
  const random = new Random(1);
  const choice = new WeightedChoice(weights);
  const counts = weights.map(() => 0);
  for (let i = 0; i < draws; i++) counts[choice.pick(random)]!++;
  return counts.map((count) => count / draws);
}

it('choices come as often as their weights say', () => {
  const found = shares([1, 0, 3, 6]);
  expect(found[1]).toBe(0);
  for (const [index, share] of [0.1, 0, 0.3, 0.6].entries()) expect(found[index]).toBeCloseTo(share, 2);
});

it('Zipf with exponent 1 gives rank r a share of 1/r of the first, exponent 0 gives all the same', () => {
  const skewed = shares(zipfWeights(10, 1));
  for (const rank of [2, 5, 10]) expect(skewed[rank - 1]! / skewed[0]!).toBeCloseTo(1 / rank, 1);
  for (const share of shares(zipfWeights(10, 0))) expect(share).toBeCloseTo(0.1, 2);
});
