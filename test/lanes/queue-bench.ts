import { classify, type Verdict } from '../../src/deliver/classify.ts';
import type { ConnectionHolder } from '../../src/deliver/http-client.ts';
import { systemClock } from '../../src/domain/clock.ts';
import type { Destination } from '../../src/domain/destination.ts';
import type { Event } from '../../src/domain/event.ts';
import { Alarm } from '../../src/lanes/alarm.ts';
import { Delivery } from '../../src/lanes/delivery.ts';
import { DeliveryQueue, type Refusal } from '../../src/lanes/delivery-queue.ts';
import { Endpoint, type EndpointNotice } from '../../src/lanes/endpoint.ts';
import type { LaneAssignment } from '../../src/lanes/open-record.ts';
import { TenantLoad } from '../../src/lanes/tenant-load.ts';
import { BucketChain } from '../../src/limit/bucket-chain.ts';
import { TokenTurns } from '../../src/lanes/token-turns.ts';
import { TokenBucket, type Tokens } from '../../src/limit/token-bucket.ts';
import { createLaneCounters, LaneCounters } from '../../src/observability/lane-counters.ts';
import { laneSlots } from '../../src/observability/lane-slots.ts';
import {
  assignmentOf,
  destinationOf,
  eventOf,
  FakeOrigin,
  openRecordOf,
  retryHeadersOf,
} from './lane-parts.ts';

/** How the test says that an attempt ended. */
export const ENDS = {
  delivered: verdictOf(200),
  throttled: verdictOf(429),
  failed: verdictOf(500),
  gone: verdictOf(410),
  local: { class: 'local', reason: 'no_descriptors' },
} as const satisfies Record<string, Verdict>;
export type End = keyof typeof ENDS;

export interface Added {
  readonly assignment?: LaneAssignment;
  /** A delivery from a delay topic. */
  readonly isRetry?: boolean;
  readonly event?: Partial<Event>;
}

/** Queues of one origin and one tenant, without HTTP: their requests end when and as the test says. */
export class QueueBench {
  /** Ids as sent; of those refused, why and the id. */
  readonly log: string[] = [];
  readonly counters = new LaneCounters(createLaneCounters(1));
  readonly alarm = new Alarm(systemClock);
  readonly load = new TenantLoad('acme', 1);
  readonly inFlight = new Map<Delivery, number>();
  readonly notices: EndpointNotice[] = [];
  unparked = 0;
  /** Called with each delivery that leaves unsent. */
  onRefuse: (delivery: Delivery, why: Refusal) => void = () => undefined;
  onSend: (delivery: Delivery) => void = () => undefined;
  readonly #origin: FakeOrigin;
  #next = 0;

  constructor(connections = 100) {
    this.#origin = new FakeOrigin(connections);
  }

  /** @param tenant bucket of its tenant. */
  queue(change: Partial<Destination> = {}, tenant: Tokens | null = null): DeliveryQueue {
    const destination = destinationOf('d', change);
    const { rateLimit } = destination;
    const bucket = rateLimit && new TokenBucket(rateLimit.ratePerSecond, rateLimit.burst);
    const turns = tenant === null ? [] : [new TokenTurns(tenant, this.alarm, () => 1)];
    return new DeliveryQueue(
      destination,
      [],
      this.#origin.origin,
      new Endpoint(destination, new BucketChain(null, tenant, bucket), () => 0, turns),
      this.load,
      { destination: this.counters.destination(0), lane: this.counters },
      {
        send: (delivery) => {
          this.#send(delivery);
        },
        refuse: (delivery, why) => {
          this.log.push(`${why} ${delivery.id}`);
          this.onRefuse(delivery, why);
          delivery.queue.leave(delivery);
        },
        unpark: () => this.unparked++,
      },
      { alarm: this.alarm, wallMs: systemClock.wallMs },
    );
  }

  #send(delivery: Delivery): void {
    const { queue } = delivery;
    const holder = { connection: -1 } as ConnectionHolder;
    this.log.push(delivery.id);
    queue.origin.post('/', [], Buffer.alloc(0), holder);
    this.inFlight.set(delivery, holder.connection);
    queue.endpoint.tokens.spend(systemClock.monotonicMs());
    this.onSend(delivery);
  }

  add(queue: DeliveryQueue, id: string, added: Added = {}): Delivery {
    const { isRetry = false, assignment = assignmentOf(1, isRetry), event = {} } = added;
    const record = openRecordOf(assignment, this.#next++, isRetry ? retryHeadersOf() : null);
    const delivery = new Delivery(id, record, { ...eventOf(id), ...event }, queue);
    queue.add(delivery);
    return delivery;
  }

  /** The attempt of a delivery has ended, and its connection is free again; it has ended, too, unless it stays. */
  end(delivery: Delivery, how: End = 'delivered', stays: 'stays' | 'leaves' = 'leaves'): void {
    const { queue } = delivery;
    const connection = this.inFlight.get(delivery);
    if (connection === undefined) throw new Error(`${delivery.id} is not in flight`);
    this.inFlight.delete(delivery);
    const nowMs = systemClock.monotonicMs();
    const seen = { durationMs: 1, inFlight: queue.inFlight, retryAfterMs: null };
    const notice = queue.endpoint.onEnd(delivery.ticket, ENDS[how], seen, nowMs);
    if (notice !== null) this.notices.push(notice);
    queue.onEnd(delivery);
    if (stays === 'leaves') queue.leave(delivery);
    queue.origin.release(connection);
    queue.pump();
  }

  /** Ends the attempt in flight that was sent first. */
  endFirst(how: End = 'delivered'): void {
    const [first] = this.inFlight.keys();
    if (first === undefined) throw new Error('nothing is in flight');
    this.end(first, how);
  }

  /** All that waits of the tenant, as its load counts it. */
  get waiting(): number {
    return this.load.deliveries;
  }

  get queued(): number {
    return this.counters.get(laneSlots.queuedDeliveries) + this.counters.get(laneSlots.deliveriesBehindKeys);
  }
}

function verdictOf(status: number): Verdict {
  return classify({ status, hasRetryAfter: false, retryAfter: '', errorCode: '', requestSent: true });
}
