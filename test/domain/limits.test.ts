/** Proves that the relations between the bounds hold, and that a bound which breaks one stops the program at load. */
import { describe, expect, test } from 'vitest';
import { assertLimits, limits } from '../../src/domain/limits.ts';

type Limits = typeof limits;

function broken(change: Partial<Record<keyof Limits, number>>): Limits {
  return { ...limits, ...change } as unknown as Limits;
}

describe('assertLimits', () => {
  test('accepts the limits as they are', () => {
    expect(() => {
      assertLimits(limits);
    }).not.toThrow();
  });

  test.each([
    ['a window that is no power of two', { partitionWindowRecords: 12_000 }, 'power of two'],
    ['an empty window', { partitionWindowRecords: 0 }, 'power of two'],
    ['a poll larger than a window', { pollMaxRecords: limits.partitionWindowRecords * 2 }, 'one poll fits'],
    ['a batch as large as the prefetch queue', { batchMaxBytes: limits.prefetchBytes }, 'prefetch queue'],
    ['a poll that holds its thread for long', { pollTimeoutMs: 21 }, 'libuv'],
    ['another wire header', { wireHeaderBytes: 4 }, 'Confluent header'],
  ])('refuses %s', (_what, change, relation) => {
    expect(() => {
      assertLimits(broken(change));
    }).toThrow(new RegExp(`limits\\.ts is inconsistent: .*${relation}`));
  });
});
