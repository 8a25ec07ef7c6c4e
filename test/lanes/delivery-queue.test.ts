/**
 * Proves that a queue lets deliveries through first in, first out, only while the
 * concurrency cap, a connection and a token allow it, wakes when the shut gate
 * opens, and gives up what belongs to an ended assignment without sending it.
 */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { systemClock } from '../../src/domain/clock.ts';
import type { Destination } from '../../src/domain/destination.ts';
import { Alarm } from '../../src/lanes/alarm.ts';
import { Delivery, DeliveryQueue } from '../../src/lanes/delivery-queue.ts';
import type { LaneAssignment } from '../../src/lanes/open-record.ts';
import { TokenBucket } from '../../src/limit/token-bucket.ts';
import { createLaneCounters, LaneCounters } from '../../src/observability/lane-counters.ts';
import { laneSlots } from '../../src/observability/lane-slots.ts';
import { assignmentOf, destinationOf, eventOf, FakeOrigin, openRecordOf } from './lane-parts.ts';

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

/** Queues of one origin, whose requests end when the test says. */
class Bench {
  readonly log: string[] = [];
  readonly counters = new LaneCounters(createLaneCounters(1));
  readonly alarm = new Alarm(systemClock);
  readonly #origin: FakeOrigin;
  #next = 0;

  constructor(connections = 100) {
    this.#origin = new FakeOrigin(connections);
  }

  queue(change: Partial<Destination> = {}): DeliveryQueue {
    const destination = destinationOf('d', change);
    const { rateLimit } = destination;
    const bucket = rateLimit && new TokenBucket(rateLimit.ratePerSecond, rateLimit.burst);
    const counters = { destination: this.counters.destination(0), lane: this.counters };
    const sender = {
      send: (delivery: Delivery) => {
        this.log.push(delivery.id);
        delivery.queue.bucket?.spend(systemClock.monotonicMs());
        delivery.queue.origin.post('/', [], Buffer.alloc(0), { connection: -1 });
      },
      abandon: (delivery: Delivery) => this.log.push(`abandon ${delivery.id}`),
    };
    return new DeliveryQueue(destination, [], this.#origin.origin, bucket, counters, sender, this.alarm);
  }

  add(queue: DeliveryQueue, id: string, assignment: LaneAssignment = assignmentOf(1)): Delivery {
    const delivery = new Delivery(id, openRecordOf(assignment, this.#next++), eventOf(id), queue);
    queue.add(delivery);
    return delivery;
  }

  /** A request of this queue has ended and its connection is free again. */
  end(queue: DeliveryQueue): void {
    queue.inFlight--;
    queue.origin.release(0);
    queue.pump();
  }

  get queued(): number {
    return this.counters.get(laneSlots.queuedDeliveries);
  }
}

describe('the gates', () => {
  test('open: what is added is sent at once', () => {
    const bench = new Bench();
    const queue = bench.queue();
    bench.add(queue, 'a');
    expect([bench.log, queue.length, queue.inFlight, bench.queued]).toEqual([['a'], 0, 1, 0]);
  });

  test('the concurrency cap: the next goes when one has ended, first in, first out', () => {
    const bench = new Bench();
    const queue = bench.queue({ maxInFlight: 2 });
    for (const id of ['a', 'b', 'c', 'd']) bench.add(queue, id);
    expect([bench.log, queue.length, bench.queued]).toEqual([['a', 'b'], 2, 2]);
    bench.end(queue);
    expect(bench.log).toEqual(['a', 'b', 'c']);
    bench.end(queue);
    bench.end(queue);
    bench.end(queue);
    expect([bench.log, queue.isIdle, bench.queued]).toEqual([['a', 'b', 'c', 'd'], true, 0]);
  });

  test('a connection: two queues of one origin take turns', () => {
    const bench = new Bench(1);
    const [one, two] = [bench.queue(), bench.queue()];
    for (const id of ['a1', 'a2', 'a3']) bench.add(one, id);
    for (const id of ['b1', 'b2']) bench.add(two, id);
    bench.end(one);
    bench.end(one);
    bench.end(two);
    bench.end(one);
    expect(bench.log).toEqual(['a1', 'a2', 'b1', 'a3', 'b2']);
    expect(bench.counters.get(laneSlots.originWaits)).toBeGreaterThan(0);
  });

  test('a token: the burst at once, then one by one at the rate, without a free gate being asked again', () => {
    const bench = new Bench();
    const queue = bench.queue({ rateLimit: { ratePerSecond: 10, burst: 2 } });
    const startMs = systemClock.monotonicMs();
    const atMs: number[] = [];
    for (const id of ['a', 'b', 'c', 'd']) bench.add(queue, id);
    for (let i = 0; i < 300; i++) {
      while (atMs.length < bench.log.length) atMs.push(systemClock.monotonicMs() - startMs);
      vi.advanceTimersByTime(1);
    }
    expect(bench.log).toEqual(['a', 'b', 'c', 'd']);
    expect(atMs).toEqual([0, 0, 100, 200]);
    expect(bench.counters.get(laneSlots.tokenWaits)).toBe(2);
  });

  test('a token that waits does not hold a connection: the next in line has it', () => {
    const bench = new Bench(1);
    const slow = bench.queue({ rateLimit: { ratePerSecond: 1, burst: 1 } });
    const other = bench.queue();
    bench.add(slow, 's1');
    bench.add(slow, 's2');
    bench.add(other, 'o1');
    bench.end(slow);
    expect(bench.log).toEqual(['s1', 'o1']);
    vi.advanceTimersByTime(1_000);
    expect(bench.log).toEqual(['s1', 'o1']);
    bench.end(other);
    expect(bench.log).toEqual(['s1', 'o1', 's2']);
  });
});

describe('a record that stays', () => {
  test('lets go of its batch; one that is sent at once need not', () => {
    const bench = new Bench();
    const queue = bench.queue({ maxInFlight: 1 });
    const deliveries = ['a', 'b'].map(
      (id, n) => new Delivery(id, openRecordOf(assignmentOf(1), n), eventOf(id), queue),
    );
    const batches = deliveries.map(({ record }) => record.bytes.buffer);
    for (const delivery of deliveries) queue.add(delivery);
    const [sent, kept] = deliveries.map(({ record }) => record);
    expect(sent!.bytes.buffer).toBe(batches[0]);
    expect(kept!.bytes.buffer.length).toBeLessThan(batches[1]!.length);
    expect(kept!.bytes.value).toEqual(Buffer.from('value 1'));
    const copy = kept!.bytes;
    kept!.detach();
    expect(kept!.bytes, 'copied once').toBe(copy);
  });
});

describe('an ended assignment', () => {
  test('loses what is queued, and only that, in any place of the queue', () => {
    const bench = new Bench();
    const queue = bench.queue({ maxInFlight: 1 });
    const [ended, other] = [assignmentOf(1), assignmentOf(2)];
    bench.add(queue, 'first', other);
    for (const [id, assignment] of [
      ['e1', ended],
      ['o1', other],
      ['e2', ended],
      ['o2', other],
      ['e3', ended],
    ] as const) {
      bench.add(queue, id, assignment);
    }
    ended.ended = true;
    queue.dropEnded();
    expect(bench.log).toEqual(['first', 'abandon e1', 'abandon e2', 'abandon e3']);
    bench.end(queue);
    bench.end(queue);
    bench.end(queue);
    expect(bench.log.slice(4)).toEqual(['o1', 'o2']);
    expect([queue.isIdle, bench.queued]).toEqual([true, 0]);
  });

  test('sends nothing that comes back from its back-off', () => {
    const bench = new Bench();
    const queue = bench.queue();
    const assignment = assignmentOf(1);
    const delivery = bench.add(queue, 'a', assignment);
    queue.inFlight--;
    queue.addLater(delivery, systemClock.monotonicMs() + 50);
    assignment.ended = true;
    vi.advanceTimersByTime(50);
    expect(bench.log).toEqual(['a', 'abandon a']);
  });
});

test('a queue is not idle while one of its deliveries is in its back-off', () => {
  const bench = new Bench();
  const queue = bench.queue();
  const delivery = bench.add(queue, 'a');
  bench.end(queue);
  expect(queue.isIdle).toBe(true);
  queue.addLater(delivery, systemClock.monotonicMs() + 50);
  expect([queue.isIdle, queue.length]).toEqual([false, 0]);
  vi.advanceTimersByTime(50);
  expect(bench.log).toEqual(['a', 'a']);
  bench.end(queue);
  expect(queue.isIdle).toBe(true);
});
