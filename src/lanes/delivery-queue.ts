import type { Destination } from '../domain/destination.ts';
import type { Event } from '../domain/event.ts';
import type { ConnectionWaiter, Origin } from '../deliver/http-client.ts';
import type { TokenBucket } from '../limit/token-bucket.ts';
import type { DestinationCounters, LaneCounters } from '../observability/lane-counters.ts';
import { laneSlots } from '../observability/lane-slots.ts';
import type { OpenRecord } from './open-record.ts';
import type { Alarm, Due } from './alarm.ts';

/** One event on its way to one destination. */
export class Delivery implements Due {
  readonly id: string;
  readonly record: OpenRecord;
  readonly event: Event;
  readonly queue: DeliveryQueue;
  /** Attempts charged so far. */
  attempts = 0;
  /** Wall clock of the attempt in flight. */
  attemptedAtMs = 0;
  next: Delivery | null = null;

  constructor(id: string, record: OpenRecord, event: Event, queue: DeliveryQueue) {
    this.id = id;
    this.record = record;
    this.event = event;
    this.queue = queue;
  }

  /** Its back-off is over. */
  onDue(): void {
    this.queue.addDelayed(this);
  }
}

/** Who sends what a queue lets through, and hears of what it gives up. */
export interface DeliverySender {
  send(delivery: Delivery): void;
  /** Its assignment has ended: it was not sent and never will be. */
  abandon(delivery: Delivery): void;
}

/** What a queue counts into: its destination's counters and its lane's. */
export interface QueueCounters {
  readonly destination: DestinationCounters;
  readonly lane: LaneCounters;
}

/**
 * What one destination of one tenant has waiting: first in, first out, let through
 * by three gates in turn: the concurrency cap, a free connection, a token. Whichever
 * is shut wakes the queue when it opens, so nothing polls.
 */
export class DeliveryQueue implements ConnectionWaiter, Due {
  readonly destination: Destination;
  readonly origin: Origin;
  readonly bucket: TokenBucket | null;
  readonly counters: QueueCounters;
  /** Request headers that are the same for every delivery: flat name, value list. */
  readonly headers: readonly string[];
  waitsForConnection = false;
  inFlight = 0;
  readonly #sender: DeliverySender;
  readonly #alarm: Alarm;
  #waitsForToken = false;
  #head: Delivery | null = null;
  #tail: Delivery | null = null;
  #length = 0;
  /** Deliveries whose back-off runs. */
  #delayed = 0;

  constructor(
    destination: Destination,
    headers: readonly string[],
    origin: Origin,
    bucket: TokenBucket | null,
    counters: QueueCounters,
    sender: DeliverySender,
    alarm: Alarm,
  ) {
    this.destination = destination;
    this.headers = headers;
    this.origin = origin;
    this.bucket = bucket;
    this.counters = counters;
    this.#sender = sender;
    this.#alarm = alarm;
  }

  get length(): number {
    return this.#length;
  }

  /** Whether nothing is on its way by this queue: queued, in flight, or in its back-off. */
  get isIdle(): boolean {
    return this.#length === 0 && this.inFlight === 0 && this.#delayed === 0;
  }

  /** Queues a delivery and sends what may be sent; one that stays lets go of its batch. */
  add(delivery: Delivery): void {
    this.#append(delivery);
    this.pump();
    if (this.#tail === delivery) delivery.record.detach();
  }

  /** Queues a delivery when its back-off is over; until then it lets go of its batch, too. */
  addLater(delivery: Delivery, dueMs: number): void {
    this.#delayed++;
    delivery.record.detach();
    this.#alarm.set(delivery, dueMs);
  }

  /** For the delivery itself, when its back-off is over. */
  addDelayed(delivery: Delivery): void {
    this.#delayed--;
    this.add(delivery);
  }

  /** Sends while all gates are open. */
  pump(): void {
    while (this.#head !== null && !this.#waitsForToken && this.inFlight < this.destination.maxInFlight) {
      if (this.#head.record.origin.assignment.ended) {
        this.#sender.abandon(this.#shift());
        continue;
      }
      if (!this.origin.hasFreeConnection) {
        this.counters.lane.add(laneSlots.originWaits);
        this.origin.waitForConnection(this);
        return;
      }
      if (!this.#takeToken()) return;
      this.inFlight++;
      this.#sender.send(this.#shift());
    }
  }

  onConnectionFree(): void {
    this.pump();
  }

  /** The time of the next token has come. */
  onDue(): void {
    this.#waitsForToken = false;
    this.pump();
  }

  /** Gives up everything queued whose assignment has ended. */
  dropEnded(): void {
    for (let left = this.#length; left > 0; left--) {
      const delivery = this.#shift();
      if (delivery.record.origin.assignment.ended) this.#sender.abandon(delivery);
      else this.#append(delivery);
    }
  }

  #takeToken(): boolean {
    if (this.bucket === null) return true;
    const nowMs = this.#alarm.nowMs();
    if (this.bucket.tryReserve(nowMs)) return true;
    this.#waitsForToken = true;
    this.counters.lane.add(laneSlots.tokenWaits);
    this.#alarm.set(this, nowMs + this.bucket.waitMs(nowMs));
    return false;
  }

  #append(delivery: Delivery): void {
    if (this.#tail === null) this.#head = delivery;
    else this.#tail.next = delivery;
    this.#tail = delivery;
    this.#length++;
    this.counters.lane.add(laneSlots.queuedDeliveries);
  }

  #shift(): Delivery {
    const first = this.#head as Delivery;
    this.#head = first.next;
    if (this.#head === null) this.#tail = null;
    first.next = null;
    this.#length--;
    this.counters.lane.add(laneSlots.queuedDeliveries, -1);
    return first;
  }
}
