import { isMainThread } from 'node:worker_threads';
import { CONTENT_TYPE } from '../deliver/body.ts';
import { guardedConnector } from '../deliver/guarded-connector.ts';
import { HttpClient } from '../deliver/http-client.ts';
import { NameResolver } from '../deliver/name-resolver.ts';
import { addressVerdict, compileRanges } from '../domain/addresses.ts';
import { systemClock } from '../domain/clock.ts';
import type { Destination } from '../domain/destination.ts';
import { TokenBucket } from '../limit/token-bucket.ts';
import { LaneCounters } from '../observability/lane-counters.ts';
import { laneSlots } from '../observability/lane-slots.ts';
import { RouteTable } from '../route/route-table.ts';
import { Alarm } from './alarm.ts';
import { Attempts } from './attempts.ts';
import { DeliveryQueue } from './delivery-queue.ts';
import { EventReader } from './event-reader.ts';
import { Lane } from './lane.ts';
import { LedgerEntries } from './ledger-entries.ts';
import { Outbox } from './outbox.ts';
import type { FromLane, LaneTask, ToLane } from './protocol.ts';
import { Tenants } from './tenants.ts';

const TICK_MS = 20;
const USER_AGENT = 'EventDispatch/1';

/** Runs one lane until it is told to close. The task is the lane's whole life, so the pool never hands it another. */
export function runLane(task: LaneTask): Promise<void> {
  if (isMainThread) throw new Error('a lane runs in a worker thread, not on the main thread');
  const { lane, client, counters } = composeLane(task);
  const ticker = setInterval(() => {
    counters.set(laneSlots.busySeconds, performance.eventLoopUtilization().active / 1000);
    lane.tick();
  }, TICK_MS);
  return new Promise((resolve, reject) => {
    task.port.on('message', (message: ToLane) => {
      if (message.kind !== 'close') {
        lane.receive(message);
        return;
      }
      clearInterval(ticker);
      task.port.close();
      client.destroy().then(resolve, reject);
    });
    task.port.postMessage({ kind: 'ready' } satisfies FromLane);
  });
}

interface ComposedLane {
  readonly lane: Lane;
  readonly client: HttpClient;
  readonly counters: LaneCounters;
}

/** The stages of a lane, chained: decode → route → limit → deliver → classify → report. */
function composeLane(task: LaneTask): ComposedLane {
  const clock = systemClock;
  const counters = new LaneCounters(task.counters);
  const outbox = new Outbox((message, transfer) => {
    task.port.postMessage(message satisfies FromLane, transfer);
  });
  const entries = new LedgerEntries(outbox, clock, { instance: task.instance, lane: task.lane });
  const client = new HttpClient(task.delivery, connectorOf(task), clock.monotonicMs());
  const alarm = new Alarm(clock);
  const attempts = new Attempts({
    client,
    clock,
    random: Math.random,
    entries,
    outbox,
    counters,
    read: {
      maxExcerptBytes: task.ledger.responseExcerptBytes,
      maxResponseBytes: task.delivery.maxResponseBytes,
    },
    onEnded: (delivery) => {
      lane.endDelivery(delivery.record);
    },
    onRoom: () => {
      lane.takeRecords();
    },
  });
  const indexOf = new Map(task.destinations.map((destination, index) => [destination, index]));
  const openQueue = (destination: Destination): DeliveryQueue =>
    new DeliveryQueue(
      destination,
      ['content-type', CONTENT_TYPE[destination.format], 'user-agent', USER_AGENT, ...destination.headers],
      client.origin(destination.origin),
      destination.rateLimit &&
        new TokenBucket(destination.rateLimit.ratePerSecond, destination.rateLimit.burst),
      { destination: counters.destination(indexOf.get(destination) ?? 0), lane: counters },
      attempts,
      alarm,
    );
  const tenants = new Tenants(new RouteTable(task.destinations), openQueue, clock.monotonicMs);
  const lane = new Lane({
    fields: task.fields,
    clock,
    reader: new EventReader(),
    tenants,
    client,
    entries,
    outbox,
    counters,
  });
  return { lane, client, counters };
}

function connectorOf({ delivery }: LaneTask): ReturnType<typeof guardedConnector> {
  const allowed = compileRanges(delivery.allowAddresses);
  return guardedConnector(
    new NameResolver(delivery.dns, systemClock),
    (address) => {
      const verdict = addressVerdict(address, allowed);
      return verdict === 'allowed' ? null : verdict.blocked;
    },
    { connectTimeoutMs: delivery.connectTimeoutMs },
  );
}
