/** Proves that a lane's tenants are bounded, and that forgetting one never forgets a limit or a delivery on its way. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { systemClock } from '../../src/domain/clock.ts';
import { Alarm } from '../../src/lanes/alarm.ts';
import { Delivery, DeliveryQueue } from '../../src/lanes/delivery-queue.ts';
import { Tenants } from '../../src/lanes/tenants.ts';
import { TokenBucket } from '../../src/limit/token-bucket.ts';
import { createLaneCounters, LaneCounters } from '../../src/observability/lane-counters.ts';
import { RouteTable } from '../../src/route/route-table.ts';
import { assignmentOf, destinationOf, eventOf, FakeOrigin, openRecordOf } from './lane-parts.ts';

const REMEMBERED = 10_000;

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

function open(): { tenants: Tenants; opened: string[]; sent: Delivery[] } {
  const opened: string[] = [];
  const sent: Delivery[] = [];
  const lane = new LaneCounters(createLaneCounters(1));
  const alarm = new Alarm(systemClock);
  const { origin } = new FakeOrigin(1e6);
  const sender = { send: (delivery: Delivery) => sent.push(delivery), abandon: () => undefined };
  const routes = new RouteTable([
    destinationOf('a'),
    destinationOf('b', { rateLimit: { ratePerSecond: 1, burst: 1 } }),
  ]);
  const tenants = new Tenants(
    routes,
    (destination) => {
      opened.push(destination.id);
      const bucket = destination.rateLimit && new TokenBucket(destination.rateLimit.ratePerSecond, 1);
      return new DeliveryQueue(
        destination,
        [],
        origin,
        bucket,
        { destination: lane.destination(0), lane },
        sender,
        alarm,
      );
    },
    systemClock.monotonicMs,
  );
  return { tenants, opened, sent };
}

function deliver(queue: DeliveryQueue): Delivery {
  const delivery = new Delivery('id', openRecordOf(assignmentOf(1), 0), eventOf('e'), queue);
  queue.add(delivery);
  return delivery;
}

/** Enough others that those at rest are forgotten. */
function crowd(tenants: Tenants, from: number): void {
  for (let i = 0; i < REMEMBERED; i++) tenants.get(`other-${from + i}`);
}

describe('a tenant', () => {
  test('is the same one each time, with a queue per destination it used', () => {
    const { tenants, opened } = open();
    const tenant = tenants.get('acme');
    expect(tenants.get('acme')).toBe(tenant);
    expect(tenant.queue(1)).toBe(tenant.queue(1));
    expect([opened, [...tenants.queues()].length]).toEqual([['b'], 1]);
    expect(tenants.get('other').queue(1)).not.toBe(tenant.queue(1));
  });

  test('at rest is forgotten when there are many, and starts anew', () => {
    const { tenants } = open();
    const tenant = tenants.get('acme');
    tenant.queue(0);
    crowd(tenants, 0);
    expect(tenants.get('acme')).not.toBe(tenant);
    expect([...tenants.queues()]).toEqual([]);
  });
});

describe('a tenant is kept', () => {
  test('while a delivery is in flight', () => {
    const { tenants } = open();
    const tenant = tenants.get('acme');
    const queue = tenant.queue(0);
    deliver(queue);
    crowd(tenants, 0);
    expect(tenants.get('acme')).toBe(tenant);
    queue.inFlight--;
    crowd(tenants, REMEMBERED);
    crowd(tenants, REMEMBERED * 2);
    expect(tenants.get('acme')).not.toBe(tenant);
  });

  test('while a delivery is in its back-off: forgotten, its limits would count from nothing', () => {
    const { tenants, sent } = open();
    const tenant = tenants.get('acme');
    const queue = tenant.queue(0);
    const delivery = deliver(queue);
    queue.inFlight--;
    queue.addLater(delivery, systemClock.monotonicMs() + 60_000);
    crowd(tenants, 0);
    expect(tenants.get('acme')).toBe(tenant);
    vi.advanceTimersByTime(60_000);
    expect(sent).toHaveLength(2);
  });

  test('while its bucket is not full: forgotten, it would get a burst too many', () => {
    const { tenants } = open();
    const tenant = tenants.get('acme');
    const { bucket } = tenant.queue(1);
    bucket!.tryReserve(systemClock.monotonicMs());
    bucket!.spend(systemClock.monotonicMs());
    crowd(tenants, 0);
    expect(tenants.get('acme')).toBe(tenant);
    vi.advanceTimersByTime(1_000);
    crowd(tenants, REMEMBERED);
    crowd(tenants, REMEMBERED * 2);
    expect(tenants.get('acme')).not.toBe(tenant);
  });
});
