/**
 * Proves what `order: key` promises of a destination: per key one delivery on its way at
 * a time, in offset order, through all of its attempts; other keys are not held up; and
 * nothing of it leaves for a delay topic, where a later one could overtake it.
 */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { systemClock } from '../../src/domain/clock.ts';
import type { Delivery } from '../../src/lanes/delivery.ts';
import type { DeliveryQueue } from '../../src/lanes/delivery-queue.ts';
import type { LaneAssignment } from '../../src/lanes/open-record.ts';
import { assignmentOf, breakerOf } from './lane-parts.ts';
import { QueueBench } from './queue-bench.ts';

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

const nowMs = (): number => systemClock.monotonicMs();

/** The key is the id's letter. */
function add(
  bench: QueueBench,
  queue: DeliveryQueue,
  ids: readonly string[],
  assignment?: LaneAssignment,
): Delivery[] {
  return ids.map((id) =>
    bench.add(queue, id, { event: { key: id.charAt(0) }, ...(assignment && { assignment }) }),
  );
}

test('one of a key goes at a time, the next when it has ended; other keys go meanwhile', () => {
  const bench = new QueueBench();
  const queue = bench.queue({ order: 'key' });
  const [a1, a2, b1] = add(bench, queue, ['a1', 'a2', 'b1', 'a3', 'b2']) as [Delivery, Delivery, Delivery];
  expect([bench.log, bench.queued, bench.waiting]).toEqual([['a1', 'b1'], 3, 3]);
  bench.end(a1);
  expect(bench.log).toEqual(['a1', 'b1', 'a2']);
  bench.end(a2);
  bench.end(b1);
  expect(bench.log).toEqual(['a1', 'b1', 'a2', 'a3', 'b2']);
  bench.endFirst();
  bench.endFirst();
  expect([queue.isIdle, bench.queued, bench.waiting]).toEqual([true, 0, 0]);
});

test('a back-off keeps the key: nothing of it overtakes the one that is tried again', () => {
  const bench = new QueueBench();
  const queue = bench.queue({ order: 'key' });
  const [a1] = add(bench, queue, ['a1', 'a2']) as [Delivery];
  bench.end(a1, 'failed', 'stays');
  queue.addLater(a1, nowMs() + 50);
  add(bench, queue, ['b1', 'a3']);
  vi.advanceTimersByTime(49);
  expect(bench.log).toEqual(['a1', 'b1']);
  vi.advanceTimersByTime(1);
  expect(bench.log).toEqual(['a1', 'b1', 'a1']);
  bench.end(a1);
  expect(bench.log.at(-1)).toBe('a2');
});

test('what has no key is not ordered', () => {
  const bench = new QueueBench();
  const queue = bench.queue({ order: 'key' });
  for (const id of ['1', '2', '3']) bench.add(queue, id);
  expect(bench.log).toEqual(['1', '2', '3']);
});

test('one that leaves unsent lets the next of its key go', () => {
  const bench = new QueueBench();
  const queue = bench.queue({ order: 'key', maxInFlight: 1 });
  const expiresAtMs = systemClock.wallMs() + 10;
  add(bench, queue, ['x1']);
  bench.add(queue, 'a1', { event: { key: 'a', expiresAtMs } });
  add(bench, queue, ['a2', 'a3']);
  vi.advanceTimersByTime(11);
  bench.endFirst();
  expect(bench.log).toEqual(['x1', 'expired a1', 'a2']);
  bench.endFirst();
  expect(bench.log.at(-1)).toBe('a3');
});

describe('an ended assignment', () => {
  test('loses what is queued and what waits behind its key; what waits of another goes on in order', () => {
    const bench = new QueueBench();
    const queue = bench.queue({ order: 'key', maxInFlight: 1 });
    const [ended, other] = [assignmentOf(1), assignmentOf(2)];
    add(bench, queue, ['x1'], other);
    add(bench, queue, ['a1', 'a2'], ended);
    add(bench, queue, ['a3', 'b1'], other);
    add(bench, queue, ['a4'], ended);
    add(bench, queue, ['a5'], other);
    ended.ended = true;
    queue.dropEnded();
    expect(bench.log.slice(1).toSorted()).toEqual(['abandoned a1', 'abandoned a2', 'abandoned a4']);
    for (let i = 0; i < 4; i++) bench.endFirst();
    expect(bench.log.slice(4).filter((id) => id.startsWith('a'))).toEqual(['a3', 'a5']);
    expect([queue.isIdle, bench.queued, bench.waiting]).toEqual([true, 0, 0]);
  });

  test('keeps its key while its attempt is in flight', () => {
    const bench = new QueueBench();
    const queue = bench.queue({ order: 'key' });
    const [ended, other] = [assignmentOf(1), assignmentOf(2)];
    const [a1] = add(bench, queue, ['a1'], ended) as [Delivery];
    add(bench, queue, ['a2'], other);
    ended.ended = true;
    queue.dropEnded();
    expect(bench.log).toEqual(['a1']);
    bench.end(a1);
    expect(bench.log).toEqual(['a1', 'a2']);
  });
});

describe('an ordered delivery waits in the lane', () => {
  test('while the breaker is open, and goes as its probe', () => {
    const bench = new QueueBench();
    const queue = bench.queue({ order: 'key', breaker: breakerOf() });
    add(bench, queue, ['a1', 'b1', 'c1']);
    for (let i = 0; i < 3; i++) bench.endFirst('failed');
    add(bench, queue, ['d1']);
    vi.advanceTimersByTime(999);
    expect(bench.log).toEqual(['a1', 'b1', 'c1']);
    vi.advanceTimersByTime(1);
    expect(bench.log).toEqual(['a1', 'b1', 'c1', 'd1']);
  });

  test('while a probe is out, and goes as soon as that has succeeded', () => {
    const bench = new QueueBench();
    const queue = bench.queue({ order: 'key', breaker: breakerOf() });
    add(bench, queue, ['a1', 'b1', 'c1']);
    for (let i = 0; i < 3; i++) bench.endFirst('failed');
    add(bench, queue, ['d1', 'e1', 'f1']);
    vi.advanceTimersByTime(1_000);
    expect(bench.log.slice(3)).toEqual(['d1']);
    bench.endFirst();
    expect(bench.log.slice(3)).toEqual(['d1', 'e1', 'f1']);
  });

  test('while a probe is out, and until the breaker has its time when that has failed', () => {
    const bench = new QueueBench();
    const queue = bench.queue({ order: 'key', breaker: breakerOf() });
    add(bench, queue, ['a1', 'b1', 'c1']);
    for (let i = 0; i < 3; i++) bench.endFirst('failed');
    add(bench, queue, ['d1', 'e1']);
    vi.advanceTimersByTime(1_000);
    bench.endFirst('failed');
    vi.advanceTimersByTime(1_999);
    expect(bench.log.slice(3)).toEqual(['d1']);
    vi.advanceTimersByTime(1);
    expect(bench.log.slice(3)).toEqual(['d1', 'e1']);
  });

  test('through a pause its destination asked for', () => {
    const bench = new QueueBench();
    const queue = bench.queue({ order: 'key' });
    queue.endpoint.tokens.slowUntil(nowMs() + 60_000);
    add(bench, queue, ['a1']);
    vi.advanceTimersByTime(59_999);
    expect(bench.log).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(bench.log).toEqual(['a1']);
  });
});
