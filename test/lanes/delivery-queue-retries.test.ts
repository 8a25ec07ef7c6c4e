/**
 * Proves that neither retries nor first attempts of a destination starve: retries have
 * their share of its slots and of its turns and no more, whatever the destination's speed.
 */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Destination, RetryPolicy } from '../../src/domain/destination.ts';
import type { DeliveryQueue } from '../../src/lanes/delivery-queue.ts';
import { retryOf } from './lane-parts.ts';
import { QueueBench } from './queue-bench.ts';

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

function sharing(maxShare: number, change: Partial<Destination> = {}): Partial<Destination> {
  const retry: RetryPolicy = { ...retryOf(3, 10, 100), maxShare };
  return { retry, ...change };
}

function fill(bench: QueueBench, queue: DeliveryQueue, retries: number, firsts: number): void {
  for (let i = 0; i < retries; i++) bench.add(queue, `r${i}`, { isRetry: true });
  for (let i = 0; i < firsts; i++) bench.add(queue, `f${i}`);
}

const isRetry = (id: string): boolean => id.startsWith('r');

function retriesInFlight({ inFlight }: QueueBench): number {
  return [...inFlight.keys()].filter(({ id }) => isRetry(id)).length;
}

describe('retries alone', () => {
  test.each([
    [0.5, 10, 5],
    [0.25, 10, 2],
    [0.01, 10, 1],
    [1, 10, 10],
  ])('at a share of %d of %d slots hold %d', (maxShare, maxInFlight, most) => {
    const bench = new QueueBench();
    const queue = bench.queue(sharing(maxShare, { maxInFlight }));
    fill(bench, queue, 30, 0);
    expect(queue.inFlight).toBe(most);
    bench.endFirst();
    expect(queue.inFlight).toBe(most);
  });

  test('leave the rest of the slots to first attempts that come later', () => {
    const bench = new QueueBench();
    const queue = bench.queue(sharing(0.5, { maxInFlight: 10 }));
    fill(bench, queue, 30, 30);
    expect([queue.inFlight, retriesInFlight(bench)]).toEqual([10, 5]);
  });
});

describe('while first attempts wait', () => {
  test('retries give their slots back down to one, which stays theirs', () => {
    const bench = new QueueBench();
    const queue = bench.queue(sharing(0.5, { maxInFlight: 10 }));
    fill(bench, queue, 60, 60);
    const held: number[] = [];
    for (let i = 0; i < 40; i++) {
      bench.endFirst();
      held.push(retriesInFlight(bench));
    }
    expect(held.slice(0, 5)).toEqual([4, 3, 2, 1, 1]);
    expect(new Set(held.slice(5))).toEqual(new Set([1]));
  });

  test('a retry goes although every slot was taken by first attempts before it came', () => {
    const bench = new QueueBench();
    const queue = bench.queue(sharing(0.5, { maxInFlight: 3 }));
    fill(bench, queue, 0, 9);
    bench.add(queue, 'r', { isRetry: true });
    bench.endFirst();
    expect(bench.log).toEqual(['f0', 'f1', 'f2', 'r']);
  });

  test.each([
    [1, 1],
    [0.5, 1],
    [0.25, 3],
    [0.1, 9],
  ])('of one slot, at a share of %d, one retry goes per %d first attempts', (maxShare, firstsPerRetry) => {
    const bench = new QueueBench();
    const queue = bench.queue(sharing(maxShare, { maxInFlight: 1 }));
    fill(bench, queue, 30, 100);
    for (let i = 0; i < 40; i++) bench.endFirst();
    // The very first was alone, and there is no debt to pay for it.
    const turns = bench.log.slice(1).map(isRetry);
    const expected = turns.map((_, i) => i % (firstsPerRetry + 1) === firstsPerRetry);
    expect(turns).toEqual(expected);
  });

  test('of a few tokens, retries take no more than their turns although nothing is in flight', () => {
    const bench = new QueueBench();
    const queue = bench.queue(sharing(0.25, { rateLimit: { ratePerSecond: 10, burst: 1 } }));
    bench.onSend = (delivery) => {
      setTimeout(() => {
        bench.end(delivery);
      }, 5);
    };
    fill(bench, queue, 50, 50);
    vi.advanceTimersByTime(4_000);
    expect(bench.log).toHaveLength(41);
    expect(bench.log.filter(isRetry)).toHaveLength(11);
  });
});

test('what is in one line neither waits for a turn of the other nor leaves its own order', () => {
  const bench = new QueueBench();
  const queue = bench.queue(sharing(0.1, { maxInFlight: 1 }));
  fill(bench, queue, 3, 2);
  for (let i = 0; i < 5; i++) bench.endFirst();
  expect(bench.log).toEqual(['r0', 'f0', 'f1', 'r1', 'r2']);
  expect(queue.isIdle).toBe(true);
});
