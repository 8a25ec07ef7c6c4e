import type { Destination } from '../domain/destination.ts';
import type { ConnectionWaiter, Origin } from '../deliver/http-client.ts';
import { laneSlots } from '../observability/lane-slots.ts';
import type { Alarm, Due } from './alarm.ts';
import { DeliveryList, type Delivery, type DeliveryHome, type QueueCounters } from './delivery.ts';
import type { Endpoint } from './endpoint.ts';
import { QueueLoad, type TenantLoad } from './tenant-load.ts';
import { KeyOrder } from '../schedule/key-order.ts';

/**
 * Why a delivery leaves its queue unsent.
 *
 * - `abandoned`     its assignment has ended: whoever owns the partition now starts it over.
 * - `disabled`      its destination is disabled.
 * - `expired`       its time is over.
 * - `breaker_open`  its destination's breaker lets nothing through.
 * - `throttled`     its destination asked for a pause that is too long to wait here.
 */
export type Refusal = 'abandoned' | 'disabled' | 'expired' | 'breaker_open' | 'throttled';

/** A pause that ends sooner is waited for in the lane; what waits longer leaves. */
const LONGEST_PAUSE_MS = 2_000;

/** How soon a queue looks again whether this process still owns what it is to send; that takes a round trip. */
const LEASE_CHECK_MS = 50;

/** Who sends what a queue lets through, and hears of what it does not. */
export interface DeliverySender {
  send(delivery: Delivery): void;
  refuse(delivery: Delivery, why: Refusal): void;
  /** So few of a parked tenant's deliveries wait that more may be decoded. */
  unpark(load: TenantLoad): void;
}

/** The clocks a queue looks at. */
export interface QueueClocks {
  readonly alarm: Alarm;
  wallMs(): number;
}

/**
 * What one destination of one tenant has waiting: first in, first out, let through
 * by four gates in turn: the concurrency cap, a free connection, the breaker, a token of
 * each bucket. Whichever is shut wakes the queue when it opens, so nothing polls; what the
 * breaker refuses leaves, since it would wait too long here.
 *
 * Retries have a line of their own. Alone they may hold `retry.maxShare` of the slots.
 * While first attempts wait, one retry may be in flight, and of what is sent no more
 * than that share is retries: a destination of one slot or of few tokens has nothing
 * else to share. So neither starves.
 */
export class DeliveryQueue implements DeliveryHome, ConnectionWaiter, Due {
  readonly destination: Destination;
  readonly origin: Origin;
  readonly endpoint: Endpoint;
  readonly counters: QueueCounters;
  /** Request headers that are the same for every delivery: flat name, value list. */
  readonly headers: readonly string[];
  waitsForConnection = false;
  inFlight = 0;
  readonly #sender: DeliverySender;
  readonly #clocks: QueueClocks;
  readonly #firsts = new DeliveryList();
  readonly #retries = new DeliveryList();
  /** Null: the destination does not ask for order. */
  readonly #order: KeyOrder<Delivery> | null;
  readonly #tenantLoad: TenantLoad;
  readonly #load: QueueLoad;
  #retriesInFlight = 0;
  /** First attempts that go before a retry may, while both wait. */
  readonly #firstsPerRetry: number;
  #firstsSinceRetry = Infinity;
  #isAsleep = false;
  /** Deliveries that have come and not ended: queued, in flight, in their back-off, or about to be written down. */
  #open = 0;

  constructor(
    destination: Destination,
    headers: readonly string[],
    origin: Origin,
    endpoint: Endpoint,
    load: TenantLoad,
    counters: QueueCounters,
    sender: DeliverySender,
    clocks: QueueClocks,
  ) {
    this.destination = destination;
    this.headers = headers;
    this.origin = origin;
    this.endpoint = endpoint;
    this.counters = counters;
    this.#sender = sender;
    this.#clocks = clocks;
    this.#tenantLoad = load;
    this.#load = new QueueLoad(load);
    this.#firstsPerRetry = Math.max(1, Math.ceil(1 / destination.retry.maxShare) - 1);
    // What waits behind others of its key is counted of its tenant, which bounds it.
    this.#order = destination.order === 'key' ? new KeyOrder() : null;
  }

  get length(): number {
    return this.#firsts.length + this.#retries.length;
  }

  /** Whether nothing that came by this queue is still to end. */
  get isIdle(): boolean {
    return this.#open === 0;
  }

  /** Queues a delivery and sends what may be sent. */
  add(delivery: Delivery): void {
    this.#open++;
    delivery.queuedAtMs = this.#clocks.alarm.nowMs();
    if (this.#order !== null && !this.#entersOrder(this.#order, delivery)) {
      this.#countBehindKeys(1);
      return;
    }
    this.#countIn();
    this.#enqueue(delivery);
  }

  /** @returns false when it waits behind another of its key; what has no key is not ordered. */
  #entersOrder(order: KeyOrder<Delivery>, delivery: Delivery): boolean {
    const { key } = delivery.event;
    if (key === '') return true;
    delivery.holdsKey = order.tryEnter(key, delivery) === 'go';
    return delivery.holdsKey;
  }

  #enqueue(delivery: Delivery): void {
    this.#listOf(delivery).append(delivery);
    this.pump();
  }

  /** Queues a delivery when its back-off is over. */
  addLater(delivery: Delivery, dueMs: number): void {
    this.#clocks.alarm.set(delivery, dueMs);
  }

  /** For the delivery itself, when its back-off is over. */
  addDelayed(delivery: Delivery): void {
    delivery.queuedAtMs = this.#clocks.alarm.nowMs();
    this.#countIn();
    this.#enqueue(delivery);
  }

  /**
   * To be called when a delivery has ended, in whatever way: the next one of its key
   * is queued. `pump` follows, now or when its connection is free.
   */
  leave(delivery: Delivery): void {
    this.#open--;
    if (this.#order === null || !delivery.holdsKey) return;
    delivery.holdsKey = false;
    const next = this.#order.leave(delivery.event.key);
    if (next === null) return;
    next.holdsKey = true;
    this.#countBehindKeys(-1);
    this.#countIn();
    this.#listOf(next).append(next);
  }

  /** Sends while all gates are open. */
  pump(): void {
    for (let list = this.#next(); list !== null; list = this.#next()) {
      const delivery = list.head as Delivery;
      const nowMs = this.#clocks.alarm.nowMs();
      const refusal = this.#refusalOf(delivery);
      if (refusal !== null) {
        this.#refuse(list, refusal);
        continue;
      }
      if (!this.#hasLease(nowMs)) {
        this.#wakeAt(nowMs + LEASE_CHECK_MS);
        continue;
      }
      if (this.#isShut(nowMs)) {
        if (this.#mayLeave) this.#refuse(list, this.endpoint.isOpen(nowMs) ? 'breaker_open' : 'throttled');
        else this.#wakeAt(nowMs + this.endpoint.shutForMs(nowMs));
        continue;
      }
      if (this.inFlight >= this.endpoint.maxInFlight) return;
      if (!this.origin.hasFreeConnection) {
        this.counters.lane.add(laneSlots.originWaits);
        this.origin.waitForConnection(this);
        return;
      }
      const ticket = this.endpoint.tryAcquire(nowMs);
      if (ticket === 0) {
        // Its probe is under way, whose end pumps.
        if (!this.#mayLeave) return;
        this.#refuse(list, 'breaker_open');
        continue;
      }
      if (!this.#takeToken(nowMs)) {
        this.endpoint.giveBack(ticket);
        return;
      }
      this.#send(list, ticket);
    }
  }

  /** To be called when the attempt of one of its deliveries has ended; `pump` comes later, when its connection is free. */
  onEnd(delivery: Delivery): void {
    this.inFlight--;
    if (delivery.isRetry) this.#retriesInFlight--;
  }

  onConnectionFree(): void {
    this.pump();
  }

  /** The time it waited for has come: the next token, or the end of a pause. */
  onDue(): void {
    this.#isAsleep = false;
    this.pump();
  }

  /** Gives up everything queued whose assignment has ended. */
  dropEnded(): void {
    this.#order?.dropWaiting((delivery) => {
      if (!delivery.record.origin.assignment.ended) return false;
      this.#countBehindKeys(-1);
      this.#sender.refuse(delivery, 'abandoned');
      return true;
    });
    for (const list of [this.#firsts, this.#retries]) {
      for (let left = list.length; left > 0; left--) {
        const delivery = list.shift();
        if (delivery.record.origin.assignment.ended) {
          this.#countOut();
          this.#sender.refuse(delivery, 'abandoned');
        } else list.append(delivery);
      }
    }
  }

  #countIn(): void {
    const { lane } = this.counters;
    lane.add(laneSlots.queuedDeliveries);
    if (this.#load.add()) lane.add(laneSlots.backloggedDeliveries);
  }

  #countOut(): void {
    const { lane } = this.counters;
    lane.add(laneSlots.queuedDeliveries, -1);
    if (this.#load.remove()) lane.add(laneSlots.backloggedDeliveries, -1);
    this.#unpark();
  }

  #countBehindKeys(change: 1 | -1): void {
    this.counters.lane.add(laneSlots.deliveriesBehindKeys, change);
    this.#tenantLoad.onBacklog(change);
    this.#unpark();
  }

  #unpark(): void {
    if (this.#tenantLoad.isParked) this.#sender.unpark(this.#tenantLoad);
  }

  /** The line whose head is next; null when nothing is, or the queue sleeps. */
  #next(): DeliveryList | null {
    if (this.#isAsleep) return null;
    const firsts = this.#firsts;
    const retries = this.#retries;
    if (retries.head === null) return firsts.head === null ? null : firsts;
    if (firsts.head !== null) {
      const isTheirTurn = this.#retriesInFlight === 0 && this.#firstsSinceRetry >= this.#firstsPerRetry;
      return isTheirTurn ? retries : firsts;
    }
    const share = Math.max(1, Math.floor(this.endpoint.maxInFlight * this.destination.retry.maxShare));
    return this.#retriesInFlight < share ? retries : null;
  }

  #refusalOf({ record, event }: Delivery): Refusal | null {
    if (record.origin.assignment.ended) return 'abandoned';
    if (this.endpoint.isDisabled) return 'disabled';
    if (event.expiresAtMs !== null || this.destination.expireAfterMs !== null) {
      const wallMs = this.#clocks.wallMs();
      if (event.expiresAtMs !== null && wallMs > event.expiresAtMs) return 'expired';
      const { expireAfterMs } = this.destination;
      if (expireAfterMs !== null && wallMs > event.timeMs + expireAfterMs) return 'expired';
    }
    return null;
  }

  /** Whether main was heard of lately: a process that stood still may have lost its partitions meanwhile. */
  #hasLease(nowMs: number): boolean {
    const untilMs = this.counters.lane.get(laneSlots.leaseUntilMs);
    return untilMs === 0 || nowMs <= untilMs;
  }

  #isShut(nowMs: number): boolean {
    return this.endpoint.isOpen(nowMs) || this.endpoint.tokens.pausedMs(nowMs) > LONGEST_PAUSE_MS;
  }

  /** An ordered delivery waits here whatever it waits for: elsewhere a later one could overtake it. */
  get #mayLeave(): boolean {
    return this.destination.order === 'none';
  }

  #refuse(list: DeliveryList, why: Refusal): void {
    const delivery = list.shift();
    this.#countOut();
    this.#sender.refuse(delivery, why);
  }

  #send(list: DeliveryList, ticket: number): void {
    const delivery = list.shift();
    this.#countOut();
    delivery.ticket = ticket;
    this.inFlight++;
    if (delivery.isRetry) {
      this.#retriesInFlight++;
      this.#firstsSinceRetry = 0;
    } else this.#firstsSinceRetry++;
    this.#sender.send(delivery);
  }

  #takeToken(nowMs: number): boolean {
    const { tokens, turns } = this.endpoint;
    for (const shared of turns) {
      if (shared.isTurnOf(this)) continue;
      shared.join(this);
      return false;
    }
    if (tokens.tryReserve(nowMs)) {
      for (const shared of turns) shared.onTaken();
      return true;
    }
    this.counters.lane.add(laneSlots.tokenWaits);
    const ownMs = tokens.ownWaitMs(nowMs);
    // A token that another lane took and gave back is in nobody's way any more; it was the tenant's, which come last.
    if (ownMs > 0) this.#wakeAt(nowMs + ownMs);
    else (turns.find(({ bucket }) => bucket.waitMs(nowMs) > 0) ?? turns.at(-1))?.join(this);
    return false;
  }

  /** Until then nothing is sent. */
  #wakeAt(dueMs: number): void {
    this.#isAsleep = true;
    this.#clocks.alarm.set(this, dueMs);
  }

  #listOf(delivery: Delivery): DeliveryList {
    return delivery.isRetry ? this.#retries : this.#firsts;
  }
}
