/**
 * Proves that a queue lets deliveries through first in, first out, only while the
 * concurrency cap, a connection, the breaker and a token allow it, wakes when the shut
 * gate opens, and lets go unsent what may not be sent, and only that.
 */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { systemClock } from '../../src/domain/clock.ts';
import { laneSlots } from '../../src/observability/lane-slots.ts';
import { assignmentOf, breakerOf } from './lane-parts.ts';
import { QueueBench } from './queue-bench.ts';

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

const nowMs = (): number => systemClock.monotonicMs();

describe('the gates', () => {
  test('open: what is added is sent at once', () => {
    const bench = new QueueBench();
    const queue = bench.queue();
    bench.add(queue, 'a');
    expect([bench.log, queue.length, queue.inFlight, bench.queued]).toEqual([['a'], 0, 1, 0]);
  });

  test('the concurrency cap: the next goes when one has ended, first in, first out', () => {
    const bench = new QueueBench();
    const queue = bench.queue({ maxInFlight: 2 });
    for (const id of ['a', 'b', 'c', 'd']) bench.add(queue, id);
    expect([bench.log, queue.length, bench.queued, bench.load.deliveries]).toEqual([['a', 'b'], 2, 2, 2]);
    bench.endFirst();
    expect(bench.log).toEqual(['a', 'b', 'c']);
    for (let i = 0; i < 3; i++) bench.endFirst();
    expect([bench.log, queue.isIdle, bench.queued, bench.load.deliveries]).toEqual([
      ['a', 'b', 'c', 'd'],
      true,
      0,
      0,
    ]);
  });

  test('a connection: two queues of one origin take turns', () => {
    const bench = new QueueBench(1);
    const [one, two] = [bench.queue(), bench.queue()];
    for (const id of ['a1', 'a2', 'a3']) bench.add(one, id);
    for (const id of ['b1', 'b2']) bench.add(two, id);
    for (let i = 0; i < 4; i++) bench.endFirst();
    expect(bench.log).toEqual(['a1', 'a2', 'b1', 'a3', 'b2']);
    expect(bench.counters.get(laneSlots.originWaits)).toBeGreaterThan(0);
  });

  test('a token that another lane took and gave back: it is asked for again, and not waited for in vain', async () => {
    let refusals = 3;
    const tenant = {
      waitMs: () => 0,
      isFull: () => true,
      tryReserve: () => refusals-- <= 0,
      spend: () => undefined,
    };
    const bench = new QueueBench();
    const queue = bench.queue({}, tenant);
    for (const id of ['a', 'b']) bench.add(queue, id);
    expect(bench.log).toEqual([]);
    await vi.advanceTimersByTimeAsync(5);
    expect(bench.log).toEqual(['a', 'b']);
  });

  test('a token: the burst at once, then one by one at the rate, without a free gate being asked again', () => {
    const bench = new QueueBench();
    const queue = bench.queue({ rateLimit: { ratePerSecond: 10, burst: 2 } });
    const startMs = nowMs();
    const atMs: number[] = [];
    for (const id of ['a', 'b', 'c', 'd']) bench.add(queue, id);
    for (let i = 0; i < 300; i++) {
      while (atMs.length < bench.log.length) atMs.push(nowMs() - startMs);
      vi.advanceTimersByTime(1);
    }
    expect(bench.log).toEqual(['a', 'b', 'c', 'd']);
    expect(atMs).toEqual([0, 0, 100, 200]);
    expect(bench.counters.get(laneSlots.tokenWaits)).toBe(2);
  });

  test('a token that waits does not hold a connection: the next in line has it', () => {
    const bench = new QueueBench(1);
    const slow = bench.queue({ rateLimit: { ratePerSecond: 1, burst: 1 } });
    const other = bench.queue();
    bench.add(slow, 's1');
    bench.add(slow, 's2');
    bench.add(other, 'o1');
    bench.endFirst();
    expect(bench.log).toEqual(['s1', 'o1']);
    vi.advanceTimersByTime(1_000);
    expect(bench.log).toEqual(['s1', 'o1']);
    bench.endFirst();
    expect(bench.log).toEqual(['s1', 'o1', 's2']);
  });
});

describe('the breaker', () => {
  test('open: what waits leaves at once, and so does what is added', () => {
    const bench = new QueueBench();
    const queue = bench.queue({ maxInFlight: 3, breaker: breakerOf() });
    for (const id of ['a', 'b', 'c', 'd', 'e']) bench.add(queue, id);
    bench.endFirst('failed');
    bench.endFirst('failed');
    expect(bench.log).toEqual(['a', 'b', 'c', 'd', 'e']);
    bench.add(queue, 'f');
    bench.add(queue, 'g');
    bench.endFirst('failed');
    bench.add(queue, 'h');
    expect(bench.log.slice(5)).toEqual(['breaker_open f', 'breaker_open g', 'breaker_open h']);
    expect([queue.length, bench.queued, bench.notices]).toEqual([0, 0, ['breaker_opened']]);
  });

  test('half open: one probe, beside which nothing goes; its success lets everything through', () => {
    const bench = new QueueBench();
    const queue = bench.queue({ breaker: breakerOf() });
    for (const id of ['a', 'b', 'c']) bench.add(queue, id);
    for (let i = 0; i < 3; i++) bench.endFirst('failed');
    vi.advanceTimersByTime(1_000);
    for (const id of ['probe', 'd', 'e']) bench.add(queue, id);
    expect(bench.log.slice(3)).toEqual(['probe', 'breaker_open d', 'breaker_open e']);
    bench.endFirst();
    for (const id of ['f', 'g']) bench.add(queue, id);
    expect(bench.log.slice(6)).toEqual(['f', 'g']);
    expect(bench.notices).toEqual(['breaker_opened', 'breaker_closed']);
  });

  test('half open: a probe that has no token yet is no probe, and leaves the place to one that has', () => {
    const bench = new QueueBench();
    const queue = bench.queue({
      breaker: breakerOf({ openMs: 100 }),
      rateLimit: { ratePerSecond: 1, burst: 3 },
    });
    for (const id of ['a', 'b', 'c']) bench.add(queue, id);
    for (let i = 0; i < 3; i++) bench.endFirst('failed');
    vi.advanceTimersByTime(500);
    bench.add(queue, 'probe');
    expect(bench.log.slice(3)).toEqual([]);
    vi.advanceTimersByTime(500);
    expect(bench.log.slice(3)).toEqual(['probe']);
  });
});

describe('a pause the destination asked for', () => {
  test('of more than moments sends away what would wait', () => {
    const bench = new QueueBench();
    const queue = bench.queue();
    queue.endpoint.tokens.slowUntil(nowMs() + 5_000);
    bench.add(queue, 'a');
    expect(bench.log).toEqual(['throttled a']);
    vi.advanceTimersByTime(5_000);
    bench.add(queue, 'b');
    expect(bench.log).toEqual(['throttled a', 'b']);
  });

  test('of moments is waited for', () => {
    const bench = new QueueBench();
    const queue = bench.queue();
    queue.endpoint.tokens.slowUntil(nowMs() + 1_500);
    bench.add(queue, 'a');
    vi.advanceTimersByTime(1_499);
    expect(bench.log).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(bench.log).toEqual(['a']);
  });
});

describe('unsent leaves', () => {
  test('what has expired, by the event’s own time or by its age, when its turn comes', () => {
    const bench = new QueueBench();
    const queue = bench.queue({ maxInFlight: 1, expireAfterMs: 10_000 });
    const timeMs = systemClock.wallMs();
    bench.add(queue, 'first', { event: { timeMs } });
    bench.add(queue, 'own', { event: { timeMs, expiresAtMs: timeMs + 100 } });
    bench.add(queue, 'aged', { event: { timeMs: timeMs - 9_900 } });
    bench.add(queue, 'last moment', { event: { timeMs: timeMs - 9_899, expiresAtMs: timeMs + 101 } });
    vi.advanceTimersByTime(101);
    bench.endFirst();
    expect(bench.log).toEqual(['first', 'expired own', 'expired aged', 'last moment']);
    expect(bench.queued).toBe(0);
  });

  test('everything of a destination that says it is gone', () => {
    const bench = new QueueBench();
    const queue = bench.queue({ maxInFlight: 1 });
    for (const id of ['a', 'b']) bench.add(queue, id);
    bench.endFirst('gone');
    bench.add(queue, 'c');
    expect([bench.log, bench.notices]).toEqual([['a', 'disabled b', 'disabled c'], ['disabled']]);
  });
});

describe('an ended assignment', () => {
  test('loses what is queued, and only that, in any place of the queue', () => {
    const bench = new QueueBench();
    const queue = bench.queue({ maxInFlight: 1 });
    const [ended, other] = [assignmentOf(1), assignmentOf(2)];
    bench.add(queue, 'first', { assignment: other });
    for (const [id, assignment] of [
      ['e1', ended],
      ['o1', other],
      ['e2', ended],
      ['o2', other],
      ['e3', ended],
    ] as const) {
      bench.add(queue, id, { assignment });
    }
    ended.ended = true;
    queue.dropEnded();
    expect(bench.log).toEqual(['first', 'abandoned e1', 'abandoned e2', 'abandoned e3']);
    for (let i = 0; i < 3; i++) bench.endFirst();
    expect(bench.log.slice(4)).toEqual(['o1', 'o2']);
    expect([queue.isIdle, bench.queued]).toEqual([true, 0]);
  });

  test('sends nothing that comes back from its back-off', () => {
    const bench = new QueueBench();
    const queue = bench.queue();
    const assignment = assignmentOf(1);
    const delivery = bench.add(queue, 'a', { assignment });
    bench.end(delivery, 'local', 'stays');
    queue.addLater(delivery, nowMs() + 50);
    assignment.ended = true;
    vi.advanceTimersByTime(50);
    expect(bench.log).toEqual(['a', 'abandoned a']);
  });
});

test('a queue is not idle while one of its deliveries is in its back-off', () => {
  const bench = new QueueBench();
  const queue = bench.queue();
  const delivery = bench.add(queue, 'a');
  bench.end(delivery, 'local', 'stays');
  queue.addLater(delivery, nowMs() + 50);
  expect([queue.isIdle, queue.length]).toEqual([false, 0]);
  vi.advanceTimersByTime(50);
  expect(bench.log).toEqual(['a', 'a']);
  bench.end(delivery);
  expect(queue.isIdle).toBe(true);
});

test('a parked tenant is told of each of its deliveries that leaves the line, sent or not', () => {
  const bench = new QueueBench();
  const queue = bench.queue({ maxInFlight: 1 });
  const assignment = assignmentOf(1);
  bench.add(queue, 'a');
  bench.add(queue, 'b');
  bench.add(queue, 'c', { assignment });
  bench.load.isParked = true;
  assignment.ended = true;
  queue.dropEnded();
  bench.endFirst();
  expect([bench.unparked, bench.load.deliveries]).toEqual([2, 0]);
});
