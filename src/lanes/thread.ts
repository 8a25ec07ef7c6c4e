import { isMainThread } from 'node:worker_threads';
import { CONTENT_TYPE } from '../deliver/body.ts';
import { guardedConnector } from '../deliver/guarded-connector.ts';
import { HttpClient } from '../deliver/http-client.ts';
import { NameResolver } from '../deliver/name-resolver.ts';
import { addressVerdict, compileRanges } from '../domain/addresses.ts';
import { systemClock } from '../domain/clock.ts';
import { limitOfTenant, type RateLimit } from '../domain/destination.ts';
import { BucketChain } from '../limit/bucket-chain.ts';
import { SharedTokenBucket } from '../limit/shared-token-bucket.ts';
import { TokenBucket } from '../limit/token-bucket.ts';
import { LaneCounters } from '../observability/lane-counters.ts';
import { laneSlots } from '../observability/lane-slots.ts';
import { SeenEvents } from '../duplicates/seen-events.ts';
import { RouteTable } from '../route/route-table.ts';
import { Alarm } from './alarm.ts';
import { Attempts } from './attempts.ts';
import { ChannelLimits } from './channel-limits.ts';
import { DeliveryQueue, type QueueClocks } from './delivery-queue.ts';
import { Endpoint } from './endpoint.ts';
import { EventReader } from './event-reader.ts';
import { Lane } from './lane.ts';
import { LedgerEntries } from './ledger-entries.ts';
import { Outbox } from './outbox.ts';
import { Outcomes } from './outcomes.ts';
import type { FromLane, LaneTask, ToLane } from './protocol.ts';
import { Tenants, type TenantMakers } from './tenants.ts';
import { TokenTurns } from './token-turns.ts';

const TICK_MS = 20;
const USER_AGENT = 'EventDispatch/1';

/** Runs one lane until it is told to close. The task is the lane's whole life, so the pool never hands it another. */
export function runLane(task: LaneTask): Promise<void> {
  if (isMainThread) throw new Error('a lane runs in a worker thread, not on the main thread');
  const { lane, client, counters } = composeLane(task);
  let tick: NodeJS.Immediate | undefined;
  const ticker = setInterval(() => {
    counters.add(laneSlots.heartbeat);
    counters.set(laneSlots.busySeconds, performance.eventLoopUtilization().active / 1000);
    // Timers come before sockets in a turn of the loop. After a standstill an answer that has long come would be
    // judged late before it is read, so deadlines are looked at when what is there has been read.
    tick = setImmediate(() => {
      lane.tick();
    });
  }, TICK_MS);
  return new Promise((resolve, reject) => {
    task.port.on('message', (message: ToLane) => {
      if (message.kind !== 'close') {
        lane.receive(message);
        return;
      }
      clearInterval(ticker);
      clearImmediate(tick);
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
  const clocks = { alarm, wallMs: clock.wallMs };
  const outcomes = new Outcomes({
    clock,
    random: Math.random,
    entries,
    outbox,
    counters,
    delaysMs: task.retryDelaysMs,
    onEnded: (delivery) => {
      delivery.queue.leave(delivery);
      lane.endDelivery(delivery);
    },
  });
  const attempts = new Attempts({
    client,
    clock,
    counters,
    outcomes,
    read: {
      maxExcerptBytes: task.ledger.responseExcerptBytes,
      maxResponseBytes: task.delivery.maxResponseBytes,
    },
    onFewWaiting: (load) => {
      lane.unpark(load);
    },
    onNotice: ({ event, queue }, notice) => {
      if (notice === 'breaker_opened') counters.add(laneSlots.breakersOpened);
      if (notice === 'disabled') counters.add(laneSlots.destinationsDisabled);
      outbox.notice({ tenant: event.tenant, destination: queue.destination.id, notice });
    },
    onRoom: () => {
      lane.takeRecords();
    },
  });
  const channels = new ChannelLimits(task.limits.channels, task.lanes, alarm);
  const makers = tenantMakers(task, { client, counters, attempts, clocks, channels });
  const tenants = new Tenants(new RouteTable(task.destinations), makers, clock.monotonicMs);
  const lane = new Lane({
    fields: task.fields,
    classes: task.classes,
    weights: task.weights,
    clock,
    reader: new EventReader(),
    seen: task.duplicates && new SeenEvents(task.duplicates),
    tenants,
    client,
    entries,
    outbox,
    counters,
    onShare: (share) => {
      channels.setShare(share);
    },
  });
  return { lane, client, counters };
}

interface QueueParts {
  readonly client: HttpClient;
  readonly counters: LaneCounters;
  readonly attempts: Attempts;
  readonly clocks: QueueClocks;
  readonly channels: ChannelLimits;
}

/** How the limits of a tenant and the queues of its destinations are made, from the configuration. */
function tenantMakers(
  task: LaneTask,
  { client, counters, attempts, clocks, channels }: QueueParts,
): TenantMakers {
  const indexOf = new Map(task.destinations.map((destination, index) => [destination, index]));
  const shared = sharedBuckets(task, clocks.alarm.nowMs());
  return {
    openTurns: (tenant, sinceMs) => {
      const ofLanes = shared.get(tenant);
      ofLanes?.startEmpty(sinceMs);
      const bucket = ofLanes ?? bucketOf(limitOfTenant(task.limits.tenants, tenant), sinceMs);
      return bucket && new TokenTurns(bucket, clocks.alarm, ({ destination }) => destination.weight);
    },
    openQueue: (destination, { load, turns, sinceMs }) => {
      const channel = channels.turnsOf(destination.channel);
      return new DeliveryQueue(
        destination,
        ['content-type', CONTENT_TYPE[destination.format], 'user-agent', USER_AGENT, ...destination.headers],
        client.origin(destination.origin),
        new Endpoint(
          destination,
          new BucketChain(
            channel?.bucket ?? null,
            turns?.bucket ?? null,
            bucketOf(destination.rateLimit, sinceMs),
          ),
          Math.random,
          [channel, turns].filter((shared) => shared !== null),
        ),
        load,
        { destination: counters.destination(indexOf.get(destination) ?? 0), lane: counters },
        attempts,
        clocks,
      );
    },
  };
}

/** The buckets of spread tenants, by tenant, as this lane holds them: one thread after another. */
function sharedBuckets(
  { lane, spreadLimits }: LaneTask,
  nowMs: number,
): ReadonlyMap<string, SharedTokenBucket> {
  const buckets = new Map<string, SharedTokenBucket>();
  for (const [tenant, { limit, memory }] of spreadLimits) {
    const bucket = new SharedTokenBucket(memory, lane, limit.ratePerSecond, limit.burst);
    bucket.takeOver(nowMs);
    buckets.set(tenant, bucket);
  }
  return buckets;
}

/** Empty as of when its partition came here: the former owner may have sent a burst just before. */
function bucketOf(limit: RateLimit | null, sinceMs: number): TokenBucket | null {
  if (limit === null) return null;
  const bucket = new TokenBucket(limit.ratePerSecond, limit.burst);
  bucket.startEmpty(sinceMs);
  return bucket;
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
