/** Proves that a lane's tenants are bounded, and that forgetting one never forgets a limit or a delivery on its way. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { systemClock } from '../../src/domain/clock.ts';
import { Alarm } from '../../src/lanes/alarm.ts';
import { Delivery } from '../../src/lanes/delivery.ts';
import { DeliveryQueue } from '../../src/lanes/delivery-queue.ts';
import { Endpoint } from '../../src/lanes/endpoint.ts';
import { TokenTurns } from '../../src/lanes/token-turns.ts';
import { Tenants, type Tenant, type TenantMakers } from '../../src/lanes/tenants.ts';
import { BucketChain } from '../../src/limit/bucket-chain.ts';
import { TokenBucket } from '../../src/limit/token-bucket.ts';
import { createLaneCounters, LaneCounters } from '../../src/observability/lane-counters.ts';
import { RouteTable } from '../../src/route/route-table.ts';
import { assignmentOf, destinationOf, eventOf, FakeOrigin, openRecordOf } from './lane-parts.ts';
import { ENDS } from './queue-bench.ts';

const REMEMBERED = 10_000;

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

interface Opened {
  readonly tenants: Tenants;
  readonly opened: string[];
  readonly sent: Delivery[];
  /** Of each tenant, in the order they came. */
  readonly buckets: TokenBucket[];
}

function open(): Opened {
  const opened: string[] = [];
  const sent: Delivery[] = [];
  const buckets: TokenBucket[] = [];
  const lane = new LaneCounters(createLaneCounters(1));
  const clocks = { alarm: new Alarm(systemClock), wallMs: systemClock.wallMs };
  const { origin } = new FakeOrigin(1e6);
  const sender = {
    send: (delivery: Delivery) => sent.push(delivery),
    refuse: () => undefined,
    unpark: () => undefined,
  };
  const routes = new RouteTable([
    destinationOf('a'),
    destinationOf('b', { rateLimit: { ratePerSecond: 1, burst: 1 } }),
  ]);
  const makers: TenantMakers = {
    openTurns: () => {
      const bucket = new TokenBucket(1, 1);
      buckets.push(bucket);
      return new TokenTurns(bucket, clocks.alarm, () => 1);
    },
    openQueue: (destination, { load, turns }) => {
      opened.push(destination.id);
      const own = destination.rateLimit && new TokenBucket(destination.rateLimit.ratePerSecond, 1);
      const endpoint = new Endpoint(
        destination,
        new BucketChain(null, destination.rateLimit === null ? null : (turns?.bucket ?? null), own),
        () => 0,
      );
      const counters = { destination: lane.destination(0), lane };
      return new DeliveryQueue(destination, [], origin, endpoint, load, counters, sender, clocks);
    },
  };
  return { tenants: new Tenants(routes, makers, systemClock.monotonicMs), opened, sent, buckets };
}

function deliver(queue: DeliveryQueue): Delivery {
  const delivery = new Delivery('id', openRecordOf(assignmentOf(1), 0), eventOf('e'), queue);
  queue.add(delivery);
  return delivery;
}

function get(tenants: Tenants, name: string, partition = 1): Tenant {
  return tenants.get(name, partition, 0);
}

/** Its attempt was answered; what follows is not written down yet. */
function answer(queue: DeliveryQueue, delivery: Delivery): void {
  queue.endpoint.tokens.spend(systemClock.monotonicMs());
  queue.onEnd(delivery);
}

/** Enough others that those at rest are forgotten. */
function crowd(tenants: Tenants, from: number): void {
  for (let i = 0; i < REMEMBERED; i++) get(tenants, `other-${from + i}`);
}

describe('a tenant', () => {
  test('is the same one each time, with a queue per destination it used', () => {
    const { tenants, opened } = open();
    const tenant = get(tenants, 'acme');
    expect(get(tenants, 'acme')).toBe(tenant);
    expect(tenant.queue(1)).toBe(tenant.queue(1));
    expect([opened, [...tenants.queues()].length]).toEqual([['b'], 1]);
    expect(get(tenants, 'other').queue(1)).not.toBe(tenant.queue(1));
  });

  test('at rest is forgotten when there are many, and starts anew', () => {
    const { tenants } = open();
    const tenant = get(tenants, 'acme');
    tenant.queue(0);
    crowd(tenants, 0);
    expect(get(tenants, 'acme')).not.toBe(tenant);
    expect([...tenants.queues()]).toEqual([]);
  });
});

describe('a tenant is kept', () => {
  test('while a delivery is in flight', () => {
    const { tenants } = open();
    const tenant = get(tenants, 'acme');
    const queue = tenant.queue(0);
    const delivery = deliver(queue);
    crowd(tenants, 0);
    expect(get(tenants, 'acme')).toBe(tenant);
    answer(queue, delivery);
    queue.leave(delivery);
    crowd(tenants, REMEMBERED);
    crowd(tenants, REMEMBERED * 2);
    expect(get(tenants, 'acme')).not.toBe(tenant);
  });

  test('while what was answered is not written down: the delivery still needs its queue', () => {
    const { tenants } = open();
    const tenant = get(tenants, 'acme');
    const queue = tenant.queue(0);
    answer(queue, deliver(queue));
    crowd(tenants, 0);
    expect(get(tenants, 'acme')).toBe(tenant);
  });

  test('while a delivery is in its back-off: forgotten, its limits would count from nothing', () => {
    const { tenants, sent } = open();
    const tenant = get(tenants, 'acme');
    const queue = tenant.queue(0);
    const delivery = deliver(queue);
    answer(queue, delivery);
    queue.addLater(delivery, systemClock.monotonicMs() + 60_000);
    crowd(tenants, 0);
    expect(get(tenants, 'acme')).toBe(tenant);
    vi.advanceTimersByTime(60_000);
    expect(sent).toHaveLength(2);
  });

  test.each<[string, (opened: Opened, tenant: Tenant) => void]>([
    [
      'a destination’s bucket is not full',
      (_, tenant) => {
        const { tokens } = tenant.queue(1).endpoint;
        tokens.tryReserve(systemClock.monotonicMs());
        tokens.spend(systemClock.monotonicMs());
      },
    ],
    [
      'its own bucket is not full',
      ({ buckets }) => {
        buckets[0]!.tryReserve(systemClock.monotonicMs());
        buckets[0]!.spend(systemClock.monotonicMs());
      },
    ],
    [
      'a destination has asked for a pause',
      (_, tenant) => {
        tenant.queue(0).endpoint.tokens.slowUntil(systemClock.monotonicMs() + 1_000);
      },
    ],
  ])('while %s: forgotten, it would get a burst too many', (_what, use) => {
    const opened = open();
    const { tenants } = opened;
    const tenant = get(tenants, 'acme');
    use(opened, tenant);
    crowd(tenants, 0);
    expect(get(tenants, 'acme')).toBe(tenant);
    vi.advanceTimersByTime(1_000);
    crowd(tenants, REMEMBERED);
    crowd(tenants, REMEMBERED * 2);
    expect(get(tenants, 'acme')).not.toBe(tenant);
  });

  test('while a destination of it is failing, or is disabled: forgotten, it would get a fresh storm', () => {
    for (const how of ['failed', 'gone'] as const) {
      const { tenants } = open();
      const tenant = get(tenants, 'acme');
      const queue = tenant.queue(0);
      const delivery = deliver(queue);
      const seen = { durationMs: 1, inFlight: 1, retryAfterMs: null };
      queue.endpoint.onEnd(delivery.ticket, ENDS[how], seen, systemClock.monotonicMs());
      answer(queue, delivery);
      queue.leave(delivery);
      vi.advanceTimersByTime(60_000);
      crowd(tenants, 0);
      expect(get(tenants, 'acme')).toBe(tenant);
    }
  });
});

test('a partition that leaves takes the tenants it brought, and no others', () => {
  const { tenants } = open();
  const [one, two] = [get(tenants, 'acme', 1), get(tenants, 'beta', 2)];
  tenants.forgetPartition(1);
  expect(get(tenants, 'acme', 1)).not.toBe(one);
  expect(get(tenants, 'beta', 2)).toBe(two);
});

test('a destination is found by its id while the configuration has it', () => {
  const tenant = get(open().tenants, 'acme');
  expect(tenant.queueOf('b')).toBe(tenant.queue(1));
  expect(tenant.queueOf('gone')).toBeUndefined();
});
