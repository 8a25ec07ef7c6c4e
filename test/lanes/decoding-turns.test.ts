/**
 * Proves that a lane decodes as much as there is work for, and no more; that a tick grants some whatever waits; and
 * that however many records make no work, the event loop goes round between a few and the next.
 */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { DecodingTurns } from '../../src/lanes/decoding-turns.ts';

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

/** Records, each of which makes so many deliveries that wait. */
class Bench {
  records: number;
  waiting = 0;
  readonly turns: DecodingTurns;

  constructor(records: number, deliveriesEach: number) {
    this.records = records;
    this.turns = new DecodingTurns({
      waiting: () => this.waiting,
      takeNext: () => {
        if (this.records === 0) return false;
        this.records--;
        this.waiting += deliveriesEach;
        return true;
      },
    });
  }

  goRound(): void {
    vi.runOnlyPendingTimers();
  }
}

test('decodes until enough waits, and again when that has left', () => {
  const bench = new Bench(1_000, 4);
  bench.turns.take();
  expect([bench.records, bench.waiting]).toEqual([968, 128]);
  bench.goRound();
  expect(bench.records).toBe(968);
  bench.waiting = 124;
  bench.turns.take();
  expect(bench.records).toBe(967);
});

test('what makes no work is decoded in turns, between which the event loop goes round', () => {
  const bench = new Bench(1_000, 0);
  const left: number[] = [];
  bench.turns.take();
  // Asked again meanwhile, it has one turn due, not two.
  bench.turns.take();
  for (let round = 0; round < 20; round++) {
    left.push(bench.records);
    bench.goRound();
  }
  expect(left.slice(0, 4)).toEqual([872, 808, 744, 680]);
  expect(left.at(-1)).toBe(0);
  expect(vi.getTimerCount()).toBe(0);
});

test('a tick grants some whatever waits, until the next or until there is nothing left', () => {
  const bench = new Bench(1_000, 1);
  bench.waiting = 1_000;
  bench.turns.take();
  expect(bench.records).toBe(1_000);
  bench.turns.tick();
  for (let i = 0; i < 10; i++) bench.goRound();
  expect(bench.records).toBe(1_000 - 256);
  bench.records = 10;
  bench.turns.tick();
  expect(bench.records).toBe(0);
  bench.records = 10;
  bench.turns.take();
  expect(bench.records).toBe(10);
});
