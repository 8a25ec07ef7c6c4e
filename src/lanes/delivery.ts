import type { Event } from '../domain/event.ts';
import type { OfKey } from '../schedule/key-order.ts';
import type { Due } from './alarm.ts';
import type { DeliveryQueue } from './delivery-queue.ts';
import type { OpenRecord } from './open-record.ts';

/** One event on its way to one destination. */
export class Delivery implements Due, OfKey<Delivery> {
  readonly id: string;
  readonly record: OpenRecord;
  readonly event: Event;
  readonly queue: DeliveryQueue;
  /** Attempts charged so far, in whichever process. */
  attempts: number;
  /** When its first attempt was considered, Unix epoch milliseconds; 0 before. */
  firstSeenMs: number;
  /** Wall clock of the attempt in flight. */
  attemptedAtMs = 0;
  /** The breaker's, of the attempt in flight. */
  ticket = 0;
  next: Delivery | null = null;
  nextOfKey: Delivery | null = null;
  /** Others of its key wait for it. Written by its queue. */
  holdsKey = false;

  constructor(id: string, record: OpenRecord, event: Event, queue: DeliveryQueue) {
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

  isLast(delivery: Delivery): boolean {
    return this.#tail === delivery;
  }
}
