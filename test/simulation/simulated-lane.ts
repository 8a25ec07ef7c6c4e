import type { Dispatcher } from 'undici';
import type { Exchange } from '../../src/deliver/exchange.ts';
import { Origin, type HttpClient } from '../../src/deliver/http-client.ts';
import type { Clock } from '../../src/domain/clock.ts';
import type { FieldMapping } from '../../src/domain/event.ts';
import type { SeenEvents } from '../../src/duplicates/seen-events.ts';
import { Alarm } from '../../src/lanes/alarm.ts';
import { Attempts } from '../../src/lanes/attempts.ts';
import { DeliveryQueue } from '../../src/lanes/delivery-queue.ts';
import type { Delivery } from '../../src/lanes/delivery.ts';
import { Endpoint } from '../../src/lanes/endpoint.ts';
import type { EventReader } from '../../src/lanes/event-reader.ts';
import { Lane } from '../../src/lanes/lane.ts';
import { LedgerEntries } from '../../src/lanes/ledger-entries.ts';
import { Outbox } from '../../src/lanes/outbox.ts';
import { Outcomes } from '../../src/lanes/outcomes.ts';
import type { Settled } from '../../src/lanes/protocol.ts';
import { Tenants } from '../../src/lanes/tenants.ts';
import { BucketChain } from '../../src/limit/bucket-chain.ts';
import { createLaneCounters, LaneCounters } from '../../src/observability/lane-counters.ts';
import { RouteTable } from '../../src/route/route-table.ts';
import { clientOf as laneClientOf, eventOf as laneEventOf, type UndiciHandler } from '../lanes/lane-parts.ts';
import { destinations, eventOf } from './scenario.ts';

/** So little that some ids are forgotten, and so short that some are told too late. */
export const DUPLICATES = { windowMs: 8_000, maxRemembered: 16 };
const CONNECTIONS = 4;
const WHEEL_SLOT_MS = 20;

export interface LaneSurroundings {
  readonly clock: Clock;
  readonly instance: string;
  readonly Seen: typeof SeenEvents;
  random(): number;
  post(message: Settled): void;
  /** Plays the network and the receiver for one request. */
  onRequest(delivery: Delivery, handler: UndiciHandler): void;
}

export interface SimulatedLane {
  readonly lane: Lane;
  readonly counters: LaneCounters;
}

/** The lane of `src/lanes/thread.ts`, without its thread, sockets and Avro: the records are JSON. */
export function composeLane({
  clock,
  instance,
  Seen,
  random,
  post,
  onRequest,
}: LaneSurroundings): SimulatedLane {
  const counters = new LaneCounters(createLaneCounters(destinations.length));
  const client = clientOf(clock, onRequest);
  const outbox = new Outbox(post);
  const entries = new LedgerEntries(outbox, clock, { instance, lane: 0 });
  const clocks = { alarm: new Alarm(clock), wallMs: clock.wallMs };
  const outcomes = new Outcomes({
    clock,
    random,
    entries,
    outbox,
    counters,
    delaysMs: [1_000, 5_000],
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
    read: { maxExcerptBytes: 100, maxResponseBytes: 1_000 },
    onFewWaiting: (load) => {
      lane.unpark(load);
    },
    onNotice: () => undefined,
    onRoom: () => {
      lane.takeRecords();
    },
  });
  const tenants = new Tenants(
    new RouteTable(destinations),
    {
      openTurns: () => null,
      openQueue: (destination, { load }) =>
        new DeliveryQueue(
          destination,
          [],
          client.origin(destination.origin),
          new Endpoint(destination, new BucketChain(null, null, null), random, []),
          load,
          { destination: counters.destination(destinations.indexOf(destination)), lane: counters },
          attempts,
          clocks,
        ),
    },
    clock.monotonicMs,
  );
  const lane = new Lane({
    fields: { default: {} as FieldMapping, byTopic: {} },
    classes: {},
    weights: { first: 8, retry: 4, replay: 2, bulk: 1 },
    clock,
    reader: { define: () => undefined, read: readPlainly } as unknown as EventReader,
    seen: new Seen(DUPLICATES),
    tenants,
    client,
    entries,
    outbox,
    counters,
    onShare: () => undefined,
  });
  return { lane, counters };
}

function clientOf(clock: Clock, onRequest: LaneSurroundings['onRequest']): HttpClient {
  const dispatch = (_options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean => {
    onRequest((handler as unknown as Exchange<Delivery>).context, handler as UndiciHandler);
    return true;
  };
  return laneClientOf(
    new Origin(() => ({ dispatch }) as never, CONNECTIONS),
    clock.monotonicMs(),
    WHEEL_SLOT_MS,
  );
}

function readPlainly(record: Parameters<EventReader['read']>[0]): ReturnType<EventReader['read']> {
  const { id, tenant, type } = eventOf(String(record.bytes.value));
  return { ...laneEventOf(id, tenant, type), key: type === 'ordered.made' ? 'key' : '' };
}
