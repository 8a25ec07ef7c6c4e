/**
 * Proves that tenants of a lane do not pay for one another: neither for a flood, nor for
 * a destination that hangs; and that a partition that leaves takes with it what is known
 * of its tenants, while what a former owner did is skipped in whatever order records come.
 */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Destination } from '../../src/domain/destination.ts';
import { deliveryId } from '../../src/domain/ids.ts';
import { laneSlots } from '../../src/observability/lane-slots.ts';
import { eventIdOf, LaneBench, retryAssignment, type LaneRecord, type Treatment } from './lane-bench.ts';
import { destinationOf, type SentRequest } from './lane-parts.ts';

const ok: Treatment = { kind: 'answer', status: 200, afterMs: 5 };

let benches: LaneBench[] = [];

beforeEach(() => {
  vi.useFakeTimers();
  benches = [];
});

afterEach(() => {
  for (const bench of benches) bench.stop();
  vi.useRealTimers();
});

/** Each tenant has a destination of its own name. */
function open(
  tenants: readonly string[],
  treatmentOf: (request: SentRequest) => Treatment = () => ok,
  change: Partial<Destination> = {},
  connections = 1_000,
): LaneBench {
  const destinations = tenants.map((tenant) => destinationOf(tenant, { tenant, ...change }));
  const bench = new LaneBench(destinations, connections, treatmentOf);
  benches.push(bench);
  bench.begin(1);
  return bench;
}

function records(tenant: string, count: number, key = ''): LaneRecord[] {
  return new Array<LaneRecord>(count).fill({ tenant, type: 'contact.created', key });
}

/** How many requests were sent before the first of this tenant; Infinity when there is none. */
function sentBefore({ receiver }: LaneBench, tenant: string): number {
  const index = receiver.sent.findIndex(({ path }) => path === `/${tenant}`);
  return index < 0 ? Infinity : index;
}

describe('a flood of one tenant', () => {
  test('does not delay another’s one record of the same batch by more than a few turns', async () => {
    const bench = open(['flood', 'single'], () => ({ kind: 'silence' }), { maxInFlight: 5_000 }, 5_000);
    bench.send(1, [...records('flood', 2_000), ...records('single', 1)]);
    await bench.pass(100);
    expect(bench.receiver.sent).toHaveLength(2_001);
    // A turn is some kilobytes, of some sixty bytes each here.
    expect(sentBefore(bench, 'single')).toBeLessThan(150);
  });

  test('that waits for its destination lets another’s one record pass at once', async () => {
    const bench = open(['flood', 'single']);
    bench.send(1, records('flood', 1_000));
    bench.send(1, [...records('flood', 1_000), ...records('single', 1)]);
    expect(sentBefore(bench, 'single'), 'the hundred that may be in flight').toBe(100);
    await bench.pass(1_000);
    expect(bench.done).toHaveLength(2_001);
  });

  test('that fills its line stops being decoded, and others are decoded as they come', async () => {
    const bench = open(['flood', 'single'], ({ path }) => (path === '/flood' ? { kind: 'silence' } : ok), {
      maxInFlight: 10,
      timeoutMs: 60_000,
    });
    bench.send(1, records('flood', 2_000));
    expect(bench.counters.get(laneSlots.recordsReceived), 'ten in flight, 32 in line').toBe(42);
    for (let i = 0; i < 20; i++) {
      bench.send(1, records('single', 1));
      await bench.pass(50);
    }
    expect(bench.receiver.sent.filter(({ path }) => path === '/single')).toHaveLength(20);
    expect(bench.done).toHaveLength(20);
    expect(bench.counters.get(laneSlots.recordsReceived)).toBe(62);
  });

  test('goes on when its line is half empty, and all of it is delivered', async () => {
    const bench = open(['flood'], () => ok, { maxInFlight: 2 });
    bench.send(1, records('flood', 500));
    const waiting: number[] = [];
    for (let i = 0; i < 100; i++) {
      await bench.pass(20);
      waiting.push(bench.counters.get(laneSlots.queuedDeliveries));
    }
    expect(Math.max(...waiting)).toBeLessThanOrEqual(32);
    await bench.pass(5_000);
    expect(bench.done).toHaveLength(500);
  });

  test('behind one key of an ordered destination is bounded, too, and all of it is delivered in order', async () => {
    const bench = open(['ordered', 'single'], () => ok, { order: 'key' });
    bench.send(1, records('ordered', 300, 'k'));
    bench.send(1, records('single', 1));
    expect(bench.counters.get(laneSlots.queuedDeliveries)).toBeLessThanOrEqual(32);
    expect(sentBefore(bench, 'single')).toBe(1);
    await bench.pass(10_000);
    const offsets = bench.rows
      .filter(({ destination_id: to }) => to === 'ordered')
      .map(({ offset }) => Number(offset));
    expect(offsets).toEqual(Array.from({ length: 300 }, (_, offset) => offset));
  });
});

test('a hundred tenants whose destinations hang hold up no other', async () => {
  const hanging = Array.from({ length: 100 }, (_, i) => `hang${i}`);
  const bench = open([...hanging, 'single'], ({ path }) => (path === '/single' ? ok : { kind: 'silence' }), {
    maxInFlight: 2,
    timeoutMs: 60_000,
  });
  for (const tenant of hanging) bench.send(1, records(tenant, 50));
  bench.send(1, records('single', 1));
  await bench.pass(1_000);
  expect(sentBefore(bench, 'single')).toBeLessThan(Infinity);
});

describe('a destination that is slow, or a key of it that is stuck', () => {
  /** All destinations are of one tenant, and each gets all of its events. */
  function openShared(order: Destination['order']): LaneBench {
    const destinations = ['slow', 'fast'].map((id) =>
      destinationOf(id, {
        tenant: 'acme',
        maxInFlight: 4,
        timeoutMs: 60_000,
        order: id === 'slow' ? order : 'none',
      }),
    );
    const bench = new LaneBench(destinations, 1_000, ({ path }) =>
      path === '/slow' ? { kind: 'answer', status: 200, afterMs: 1_000 } : ok,
    );
    benches.push(bench);
    bench.begin(1);
    return bench;
  }

  const sentTo = ({ receiver }: LaneBench, path: string): number =>
    receiver.sent.filter((request) => request.path === path).length;

  test.each([
    ['key', laneSlots.deliveriesBehindKeys, 4],
    ['none', laneSlots.backloggedDeliveries, 16],
  ] as const)(
    'order %s: holds up no other destination of its tenant, until a thousand events wait',
    async (order, slot, sent) => {
      const bench = openShared(order);
      bench.send(1, records('acme', 3_000, 'k'));
      await bench.pass(3_000);
      expect(sentTo(bench, '/slow')).toBeLessThanOrEqual(sent);
      expect(sentTo(bench, '/fast')).toBeGreaterThanOrEqual(960);
      expect(sentTo(bench, '/fast')).toBeLessThan(1_200);
      expect(bench.counters.get(slot)).toBeLessThanOrEqual(1_024);
      expect(bench.handovers).toEqual([]);
    },
  );

  test('is all delivered, and what waits for it is bounded until then', async () => {
    const bench = openShared('none');
    bench.send(1, records('acme', 1_200));
    await bench.pass(30_000);
    expect(bench.counters.get(laneSlots.backloggedDeliveries)).toBeGreaterThan(900);
    expect(bench.counters.get(laneSlots.backloggedDeliveries)).toBeLessThanOrEqual(1_024);
    await bench.pass(300_000);
    expect(bench.counters.get(laneSlots.backloggedDeliveries)).toBe(0);
    expect(bench.counters.get(laneSlots.queuedDeliveries)).toBe(0);
    expect(bench.done).toHaveLength(1_200);
  });
});

describe('what a former owner delivered', () => {
  test('is skipped although a later record of another tenant comes first', async () => {
    const bench = open(['flood', 'single']);
    const recovered = new Map<number, Set<string>>();
    for (let offset = 0; offset < 400; offset++)
      recovered.set(offset, new Set([deliveryId('flood', eventIdOf(2, offset), 'flood')]));
    bench.begin(2, { deliveryIds: recovered });
    bench.send(2, [...records('flood', 400), ...records('single', 1)]);
    await bench.pass(500);
    expect(bench.receiver.sent.map(({ path }) => path)).toEqual(['/single']);
    expect(bench.done).toHaveLength(401);
  });
});

describe('a partition that leaves', () => {
  test('takes its tenants with it, once source and delay topic have both left', () => {
    const bench = open(['acme', 'beta']);
    bench.begin(2);
    bench.beginRetries(1);
    bench.send(1, records('acme', 1));
    bench.send(2, records('beta', 1));
    const [acme, beta] = [bench.tenants.get('acme', 1, 0), bench.tenants.get('beta', 2, 0)];
    bench.lane.receive({ kind: 'abandon', assignments: [1] });
    expect(bench.tenants.get('acme', 1, 0), 'its retries are still here').toBe(acme);
    bench.lane.receive({ kind: 'abandon', assignments: [retryAssignment(1)] });
    expect(bench.tenants.get('acme', 1, 0)).not.toBe(acme);
    expect(bench.tenants.get('beta', 2, 0)).toBe(beta);
  });

  test('and comes back is served although its tenant was parked when it left', async () => {
    const bench = open(['acme'], () => ({ ...ok, afterMs: 500 }), { maxInFlight: 1 });
    bench.send(1, records('acme', 200));
    bench.lane.receive({ kind: 'abandon', assignments: [1] });
    bench.begin(3);
    bench.send(3, records('acme', 5));
    await bench.pass(5_000);
    expect(bench.done).toEqual([0, 1, 2, 3, 4].map((sequence) => `3/${sequence}`));
  });
});
