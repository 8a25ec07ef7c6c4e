import type { Origin } from '../deliver/http-client.ts';
import type { Destination } from '../domain/destination.ts';
import type { Event } from '../domain/event.ts';
import type { DestinationCounters, LaneCounters } from '../observability/lane-counters.ts';
import type { OfKey } from '../schedule/key-order.ts';
import type { Due } from './alarm.ts';
import type { Endpoint } from './endpoint.ts';
import type { OpenRecord } from './open-record.ts';

/** What a queue counts into: its destination's counters and its lane's. */
export interface QueueCounters {
  readonly destination: DestinationCounters;
  readonly lane: LaneCounters;
}

/** The queue a delivery belongs to, as the delivery and those who work on it know it: `DeliveryQueue`. */
export interface DeliveryHome {
  readonly destination: Destination;
  readonly origin: Origin;
  readonly endpoint: Endpoint;
  readonly counters: QueueCounters;
  readonly headers: readonly string[];
  readonly inFlight: number;
  add(delivery: Delivery): void;
  addLater(delivery: Delivery, dueMs: number): void;
  addDelayed(delivery: Delivery): void;
  onEnd(delivery: Delivery): void;
  leave(delivery: Delivery): void;
  pump(): void;
}

/** One event on its way to one destination. */
export class Delivery implements Due, OfKey<Delivery> {
  readonly id: string;
  readonly record: OpenRecord;
  readonly event: Event;
  readonly queue: DeliveryHome;
  /** Attempts charged so far, in whichever process. */
  attempts: number;
  /** When its first attempt was considered, Unix epoch milliseconds; 0 before. */
  firstSeenMs: number;
  /** Wall clock of the attempt in flight. */
  attemptedAtMs = 0;
  /** When it was queued last, monotonic. Written by its queue. */
  queuedAtMs = 0;
  /** Of its latest attempt, as its ledger row has them; so for the next three. */
  waitedUs = 0;
  firstByteUs = 0;
  requestBytes = 0;
  responseBytes = 0;
  /** The breaker's, of the attempt in flight. */
  ticket = 0;
  next: Delivery | null = null;
  nextOfKey: Delivery | null = null;
  /** Others of its key wait for it. Written by its queue. */
  holdsKey = false;

  constructor(id: string, record: OpenRecord, event: Event, queue: DeliveryHome) {
    this.id = id;
    this.record = record;
    this.event = event;
    this.queue = queue;
    this.attempts = record.retry?.attempts ?? 0;
    this.firstSeenMs = record.retry?.firstSeenMs ?? 0;
  }

  /** Whether it came from a delay topic, so that its destination's share for retries counts it. */
  get isRetry(): boolean {
    return this.record.retry !== null;
  }

  /** Its back-off is over. */
  onDue(): void {
    this.queue.addDelayed(this);
  }
}

/** Deliveries that wait, first in, first out. */
export class DeliveryList {
  head: Delivery | null = null;
  length = 0;
  #tail: Delivery | null = null;

  append(delivery: Delivery): void {
    if (this.#tail === null) this.head = delivery;
    else this.#tail.next = delivery;
    this.#tail = delivery;
    this.length++;
  }

  /** To be called on a list that is not empty. */
  shift(): Delivery {
    const first = this.head as Delivery;
    this.head = first.next;
    if (this.head === null) this.#tail = null;
    first.next = null;
    this.length--;
    return first;
  }
}
