/**
 * Proves that a queue loses nothing: over any adding, ending, failing, pausing, waiting
 * and dropping of assignments, each delivery that was added ends or is refused exactly
 * once, no gate is ever passed, and the order of each key holds.
 */
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { systemClock } from '../../src/domain/clock.ts';
import { Alarm } from '../../src/lanes/alarm.ts';
import type { Delivery } from '../../src/lanes/delivery.ts';
import { CircuitBreaker } from '../../src/limit/breaker.ts';
import { KeyOrder } from '../../src/schedule/key-order.ts';
import { assignmentOf, breakerOf, retryOf } from './lane-parts.ts';
import { QueueBench, type End } from './queue-bench.ts';

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

type Step =
  | {
      readonly kind: 'add';
      readonly queue: number;
      readonly key: string;
      readonly isRetry: boolean;
      readonly assignment: number;
      readonly expiresInMs: number | null;
    }
  | { readonly kind: 'end'; readonly nth: number; readonly how: End; readonly stays: boolean }
  | { readonly kind: 'pass'; readonly ms: number }
  | { readonly kind: 'pause'; readonly queue: number; readonly ms: number }
  | { readonly kind: 'drop'; readonly assignment: number };

const QUEUES = 3;
const ASSIGNMENTS = 3;

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('add' as const),
      queue: fc.nat(QUEUES - 1),
      key: fc.constantFrom('', 'a', 'b'),
      isRetry: fc.boolean(),
      assignment: fc.nat(ASSIGNMENTS - 1),
      expiresInMs: fc.option(fc.nat(300), { freq: 4 }),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('end' as const),
      nth: fc.nat(9),
      how: fc.constantFrom<End>('delivered', 'failed', 'failed', 'failed', 'throttled', 'local'),
      stays: fc.boolean(),
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('pass' as const), ms: fc.nat(400) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('pause' as const),
      queue: fc.nat(QUEUES - 1),
      ms: fc.nat(4_000),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('drop' as const), assignment: fc.nat(ASSIGNMENTS - 1) }),
  },
);

/** The queues under test beside a model that counts. */
class Model {
  readonly bench = new QueueBench(4);
  readonly breaker = breakerOf({ consecutiveFailures: 2, openMs: 200, maxOpenMs: 400 });
  readonly queues = [
    this.bench.queue({
      maxInFlight: 3,
      breaker: this.breaker,
      retry: { ...retryOf(3, 1, 1), maxShare: 0.4 },
    }),
    this.bench.queue({ maxInFlight: 1, rateLimit: { ratePerSecond: 20, burst: 2 } }),
    this.bench.queue({
      order: 'key',
      maxInFlight: 2,
      breaker: this.breaker,
      rateLimit: { ratePerSecond: 50, burst: 3 },
    }),
  ] as const;
  assignments = Array.from({ length: ASSIGNMENTS }, (_, i) => assignmentOf(i));
  readonly ended = new Map<Delivery, number>();
  /** Deliveries in their back-off. */
  readonly delayed = new Set<Delivery>();
  readonly added: Delivery[] = [];
  readonly lastOfKey = new Map<string, number>();

  constructor() {
    this.bench.onRefuse = (delivery, why) => {
      this.end(delivery, why === 'abandoned');
    };
    this.bench.onSend = (delivery) => {
      expect(delivery.record.origin.assignment.ended, 'sent of an ended assignment').toBe(false);
      const { expiresAtMs } = delivery.event;
      expect(expiresAtMs ?? Infinity, 'sent too late').toBeGreaterThanOrEqual(systemClock.wallMs());
      this.expectGates(delivery);
    };
  }

  expectGates({ queue, event, isRetry }: Delivery): void {
    const { bench } = this;
    const same = [...bench.inFlight.keys()].filter((other) => other.queue === queue);
    expect(same.length).toBeLessThanOrEqual(queue.destination.maxInFlight);
    expect(bench.inFlight.size).toBeLessThanOrEqual(4);
    if (queue.destination.order === 'key' && event.key !== '')
      expect(same.filter((other) => other.event.key === event.key)).toHaveLength(1);
    if (!isRetry) return;
    const retries = same.filter((other) => other.isRetry).length;
    const { maxInFlight, retry } = queue.destination;
    expect(retries).toBeLessThanOrEqual(Math.max(1, Math.floor(maxInFlight * retry.maxShare)));
  }

  /** @param isAbandoned what its next owner starts over is not part of the order here. */
  end(delivery: Delivery, isAbandoned: boolean): void {
    this.ended.set(delivery, (this.ended.get(delivery) ?? 0) + 1);
    const { queue, event, record } = delivery;
    if (isAbandoned || queue.destination.order !== 'key' || event.key === '') return;
    const before = this.lastOfKey.get(event.key) ?? -1;
    expect(record.origin.sequence, `order of ${event.key}`).toBeGreaterThan(before);
    this.lastOfKey.set(event.key, record.origin.sequence);
  }

  run(one: Step): void {
    switch (one.kind) {
      case 'add':
        this.#add(one);
        break;
      case 'end':
        this.#end(one);
        break;
      case 'pass':
        vi.advanceTimersByTime(one.ms);
        break;
      case 'pause':
        this.queues[one.queue]!.endpoint.tokens.slowUntil(systemClock.monotonicMs() + one.ms);
        break;
      case 'drop':
        this.assignments[one.assignment]!.ended = true;
        this.assignments[one.assignment] = assignmentOf(one.assignment);
        for (const queue of this.queues) queue.dropEnded();
        break;
    }
    this.expectCounts();
  }

  #add({ queue, key, isRetry, assignment, expiresInMs }: Extract<Step, { kind: 'add' }>): void {
    const of = this.assignments[assignment]!;
    const expiresAtMs = expiresInMs === null ? null : systemClock.wallMs() + expiresInMs;
    const added = { assignment: of, isRetry, event: { key, expiresAtMs } };
    this.added.push(this.bench.add(this.queues[queue]!, String(this.added.length), added));
  }

  #end({ nth, how, stays }: Extract<Step, { kind: 'end' }>): void {
    const inFlight = [...this.bench.inFlight.keys()];
    const delivery = inFlight[nth % inFlight.length];
    if (delivery === undefined) return;
    const comesBack = stays && how !== 'delivered' && !delivery.record.origin.assignment.ended;
    if (comesBack) {
      this.delayed.add(delivery);
      delivery.onDue = () => {
        this.delayed.delete(delivery);
        delivery.queue.addDelayed(delivery);
      };
      delivery.queue.addLater(delivery, systemClock.monotonicMs() + 30);
    } else this.end(delivery, delivery.record.origin.assignment.ended);
    this.bench.end(delivery, how, comesBack ? 'stays' : 'leaves');
  }

  expectCounts(): void {
    const { bench, added, ended, delayed } = this;
    const waiting = added.length - ended.size - bench.inFlight.size - delayed.size;
    expect([bench.queued, bench.waiting]).toEqual([waiting, waiting]);
    const inFlight = this.queues.reduce((sum, queue) => sum + queue.inFlight, 0);
    expect(inFlight).toBe(bench.inFlight.size);
  }

  /** Everything answers from now on: what is still there must come to its end. */
  finish(): void {
    for (let round = 0; round < 300 && this.queues.some((queue) => !queue.isIdle); round++) {
      while (this.bench.inFlight.size > 0) this.#end({ kind: 'end', nth: 0, how: 'delivered', stays: false });
      vi.advanceTimersByTime(100);
    }
    expect(this.queues.map((queue) => queue.isIdle)).toEqual([true, true, true]);
    this.expectCounts();
    for (const delivery of this.added) expect(this.ended.get(delivery), delivery.id).toBe(1);
    vi.advanceTimersByTime(10_000);
    expect(this.bench.alarm.size, 'nothing polls').toBe(0);
  }
}

function losesNothing(): fc.IProperty<[Step[]]> {
  return fc.property(fc.array(step, { maxLength: 100, size: 'max' }), (steps) => {
    const model = new Model();
    for (const one of steps) model.run(one);
    model.finish();
    model.bench.alarm.stop();
  });
}

const runs = { numRuns: 200 };
const plantedRuns = { seed: 1, numRuns: 1_000, endOnFailure: true };

test('over any operations: each delivery ends once, within the gates and in the order of its key', () => {
  fc.assert(losesNothing(), runs);
}, 60_000);

describe('the property finds', () => {
  test('a key whose next is forgotten', () => {
    const leave = KeyOrder.prototype.leave;
    vi.spyOn(KeyOrder.prototype, 'leave').mockImplementation(function (this: KeyOrder<never>, key) {
      leave.call(this, key);
      return null;
    });
    expect(fc.check(losesNothing(), plantedRuns).failed).toBe(true);
  }, 60_000);

  test('a probe whose place is not given back', () => {
    vi.spyOn(CircuitBreaker.prototype, 'onIgnored').mockImplementation(() => undefined);
    expect(fc.check(losesNothing(), plantedRuns).failed).toBe(true);
  }, 60_000);

  test('a queue that is not woken', () => {
    vi.spyOn(Alarm.prototype, 'set').mockImplementation(() => undefined);
    expect(fc.check(losesNothing(), plantedRuns).failed).toBe(true);
  }, 60_000);
});
