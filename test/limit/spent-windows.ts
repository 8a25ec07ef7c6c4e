import { expect } from 'vitest';

/** Times are floats: what a bucket takes for rounding, and a little. */
const ROUNDING_MS = 1.1e-4;

/** In every window of length t no more than rate · t + burst tokens were spent. @param spentAtMs ascending. */
export function expectWithinRate(spentAtMs: readonly number[], ratePerSecond: number, burst: number): void {
  for (let first = 0; first < spentAtMs.length; first++) {
    for (let last = first; last < spentAtMs.length; last++) {
      const windowMs = spentAtMs[last]! - spentAtMs[first]! + ROUNDING_MS;
      expect(last - first + 1).toBeLessThanOrEqual((ratePerSecond * windowMs) / 1000 + burst);
    }
  }
}
