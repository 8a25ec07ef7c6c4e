/**
 * Proves that the process is called behind when lanes are at work and most partitions
 * with anything to be read have much of it, and not when receivers are slow, when one
 * tenant floods beside others, or when nothing is known.
 */
import { describe, expect, test } from 'vitest';
import { CatchUp } from '../../src/ingest/catch-up.ts';

const MUCH = 50_000;

class Bench {
  nowMs = 1_000;
  readonly busyMs = [0, 0];
  /** Records to be read, by partition. */
  unread: number[] = [];
  readonly delayed = new Set<number>();
  lastRead = 99;
  looks = 0;
  readonly catchUp = new CatchUp({
    clock: { monotonicMs: () => this.nowMs },
    assignments: () =>
      this.unread.map((_, partition) => ({
        topic: 't',
        partition,
        delayMs: this.delayed.has(partition) ? 1_000 : null,
        lastRead: this.lastRead,
      })),
    highWatermark: (_topic, partition) => {
      this.looks++;
      const unread = this.unread[partition]!;
      return unread < 0 ? -1 : this.lastRead + 1 + unread;
    },
    busyMs: () => [...this.busyMs],
  });

  /** Time passes, lanes at work for a share of it each. */
  pass(ms: number, ...shares: readonly number[]): boolean {
    this.catchUp.isOn();
    this.nowMs += ms;
    shares.forEach((share, lane) => (this.busyMs[lane]! += ms * share));
    return this.catchUp.isOn();
  }
}

describe('a process', () => {
  test.each<[string, readonly number[], readonly [number, number], boolean]>([
    ['that is behind on all partitions', [MUCH, MUCH, MUCH], [1, 1], true],
    ['that is behind on the last ones', [0, 0, MUCH], [1, 1], true],
    ['that is behind on one, with something to be read on others', [3, 2, MUCH], [1, 1], false],
    ['whose lanes wait for receivers', [MUCH, MUCH, MUCH], [0.2, 0.2], false],
    ['one of whose lanes has nothing to do', [MUCH, MUCH, MUCH], [1, 0.1], false],
    ['that keeps up', [5, 9, 2], [1, 1], false],
    ['that has read all', [0, 0, 0], [1, 1], false],
    ['of whose partitions nothing is known', [-1, -1, -1], [1, 1], false],
    ['without partitions', [], [1, 1], false],
  ])('%s', (_what, unread, shares, isBehind) => {
    const bench = new Bench();
    bench.unread = [...unread];
    expect(bench.pass(200, ...shares)).toBe(isBehind);
  });

  test('that waits on delay topics only is not behind', () => {
    const bench = new Bench();
    bench.unread = [MUCH, 0];
    bench.delayed.add(0);
    expect(bench.pass(200, 1, 1)).toBe(false);
  });

  test('that has read nothing of its partitions yet is not behind', () => {
    const bench = new Bench();
    bench.unread = [MUCH];
    bench.lastRead = -1;
    expect(bench.pass(200, 1, 1)).toBe(false);
  });
});

test('is looked at ten times a second at most, and changes with what is seen then', () => {
  const bench = new Bench();
  bench.unread = [MUCH, MUCH];
  expect(bench.pass(150, 1, 1)).toBe(true);
  const { looks } = bench;
  for (let i = 0; i < 9; i++) expect(bench.pass(10, 0, 0)).toBe(true);
  expect(bench.looks).toBe(looks);
  expect(bench.pass(10, 0, 0)).toBe(false);
});

test('nothing is said of the time before the first look', () => {
  const bench = new Bench();
  bench.unread = [MUCH];
  bench.busyMs.fill(1e9);
  expect(bench.catchUp.isOn()).toBe(false);
});
