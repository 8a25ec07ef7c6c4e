import type { Clock } from '../domain/clock.ts';
import { classify, outcomeOf, type Verdict } from '../deliver/classify.ts';
import { Exchange, type ExchangeListener, type ReadBounds } from '../deliver/exchange.ts';
import type { HttpClient } from '../deliver/http-client.ts';
import type { LaneCounters } from '../observability/lane-counters.ts';
import { attemptSlots, destinationSlots, laneSlots } from '../observability/lane-slots.ts';
import { backoffMs } from '../retry/backoff.ts';
import type { Delivery, DeliverySender } from './delivery-queue.ts';
import { deadLetter } from './handovers.ts';
import type { LedgerEntries } from './ledger-entries.ts';
import type { Outbox } from './outbox.ts';

export interface AttemptsOptions {
  readonly client: HttpClient;
  readonly clock: Clock;
  readonly random: () => number;
  readonly entries: LedgerEntries;
  readonly outbox: Outbox;
  readonly counters: LaneCounters;
  readonly read: ReadBounds;
  /** The delivery has ended, one way or the other. */
  onEnded(delivery: Delivery): void;
  /** Connections are free that nothing waited for. */
  onRoom(): void;
}

/** Makes attempts: sends a delivery, judges how it went, writes it down, and decides what follows. */
export class Attempts implements DeliverySender, ExchangeListener<Delivery> {
  readonly #options: AttemptsOptions;
  /** Queues that got a connection or a place back; pumped once undici has finished with the sockets it reads. */
  #released: Exchange<Delivery>[] = [];

  constructor(options: AttemptsOptions) {
    this.#options = options;
  }

  send(delivery: Delivery): void {
    const { client, clock, counters, read } = this.#options;
    const { queue, record, event } = delivery;
    const { destination } = queue;
    const body = record.body(event, destination.format);
    const exchange = new Exchange(this, delivery, clock.monotonicMs(), destination.timeoutMs, read);
    delivery.attemptedAtMs = clock.wallMs();
    counters.add(laneSlots.inFlight);
    counters.add(laneSlots.requestBytes, body.length);
    queue.counters.destination.add(destinationSlots.inFlight);
    client.watch(exchange);
    queue.origin.post(destination.path, [...queue.headers, 'webhook-id', delivery.id], body, exchange);
  }

  abandon(delivery: Delivery): void {
    this.#options.onEnded(delivery);
  }

  onSpent(exchange: Exchange<Delivery>): void {
    exchange.context.queue.bucket?.spend(this.#options.clock.monotonicMs());
  }

  onEnd(exchange: Exchange<Delivery>): void {
    const { client, clock, counters } = this.#options;
    const delivery = exchange.context;
    const { queue } = delivery;
    client.unwatch(exchange);
    queue.inFlight--;
    counters.add(laneSlots.inFlight, -1);
    counters.add(laneSlots.responseBytes, exchange.responseBytes);
    queue.counters.destination.add(destinationSlots.inFlight, -1);
    const durationMs = clock.monotonicMs() - exchange.startedMs;
    const verdict = classify(exchange);
    this.#count(verdict, durationMs);
    this.#conclude(delivery, exchange, verdict, durationMs);
  }

  onRelease(exchange: Exchange<Delivery>): void {
    if (this.#released.length === 0) setImmediate(this.#pumpReleased);
    this.#released.push(exchange);
  }

  readonly #pumpReleased = (): void => {
    const released = this.#released;
    this.#released = [];
    for (const { connection, context } of released) {
      context.queue.origin.release(connection);
      context.queue.pump();
    }
    this.#options.onRoom();
  };

  #conclude(delivery: Delivery, exchange: Exchange<Delivery>, verdict: Verdict, durationMs: number): void {
    const { entries, outbox, counters } = this.#options;
    const { destination } = delivery.queue;
    const charged = verdict.class !== 'local';
    const attempt = delivery.attempts + 1;
    if (charged) delivery.attempts = attempt;
    // Whoever owns the partition now starts this delivery over, so nothing here may end it for good.
    const isGivenUp = delivery.record.origin.assignment.ended;
    const judged = outcomeOf(verdict.class, delivery.attempts < destination.retry.maxAttempts);
    const outcome = isGivenUp && judged !== 'delivered' ? 'retrying' : judged;
    const delayMs =
      outcome === 'retrying'
        ? backoffMs(destination.retry, Math.max(1, delivery.attempts), this.#options.random())
        : 0;
    entries.attempt(delivery, {
      attempt,
      outcome,
      reason: verdict.reason,
      status: exchange.status,
      durationMs,
      nextAttemptAtMs: outcome === 'retrying' ? this.#options.clock.wallMs() + delayMs : 0,
      response: exchange.excerpt,
    });
    if (outcome !== 'delivered') delivery.queue.counters.destination.add(destinationSlots.failed);
    if (outcome === 'retrying' && !isGivenUp) {
      counters.add(laneSlots.retriesScheduled);
      delivery.queue.addLater(delivery, this.#options.clock.monotonicMs() + delayMs);
      return;
    }
    if (outcome === 'delivered') this.#countDelivered(delivery);
    else if (outcome === 'dead' || outcome === 'rejected') {
      counters.add(outcome === 'dead' ? laneSlots.deliveriesDead : laneSlots.deliveriesRejected);
      delivery.queue.counters.destination.add(destinationSlots.dead);
      outbox.handover(deadLetter(delivery, outcome, verdict.reason, exchange.status));
    }
    this.#options.onEnded(delivery);
  }

  #countDelivered(delivery: Delivery): void {
    const { counters, clock } = this.#options;
    counters.add(laneSlots.deliveriesDelivered);
    delivery.queue.counters.destination.add(destinationSlots.delivered);
    counters.observeReceipt((clock.wallMs() - delivery.record.origin.timestampMs) / 1000);
  }

  #count(verdict: Verdict, durationMs: number): void {
    const { counters } = this.#options;
    counters.add(verdict.reason === 'deadline' ? attemptSlots.timed_out : attemptSlots[verdict.class]);
    counters.observeAttempt(durationMs / 1000);
  }
}
