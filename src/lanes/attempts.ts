import type { Clock } from '../domain/clock.ts';
import { CLASS_RULES, classify, isAmbiguous, type Verdict } from '../deliver/classify.ts';
import { Exchange, type ExchangeListener, type ReadBounds } from '../deliver/exchange.ts';
import type { HttpClient } from '../deliver/http-client.ts';
import type { LaneCounters } from '../observability/lane-counters.ts';
import { attemptSlots, destinationSlots, laneSlots } from '../observability/lane-slots.ts';
import { parseRetryAfter } from '../retry/retry-after.ts';
import type { DeliverySender, Refusal } from './delivery-queue.ts';
import type { Delivery } from './delivery.ts';
import type { EndpointNotice } from './endpoint.ts';
import type { AttemptResult, Outcomes } from './outcomes.ts';
import type { TenantLoad } from './tenant-load.ts';

export interface AttemptsOptions {
  readonly client: HttpClient;
  readonly clock: Clock;
  readonly counters: LaneCounters;
  readonly outcomes: Outcomes;
  readonly read: ReadBounds;
  /** Few of a parked tenant's deliveries wait. */
  onFewWaiting(load: TenantLoad): void;
  /** The operator should hear of it. */
  onNotice(delivery: Delivery, notice: EndpointNotice): void;
  /** Connections are free that nothing waited for. */
  onRoom(): void;
}

interface Delivered {
  readonly delivery: Delivery;
  readonly result: AttemptResult;
}

/** Makes attempts: sends a delivery and judges how it went; what follows is for `Outcomes` to say. */
export class Attempts implements DeliverySender, ExchangeListener<Delivery> {
  readonly #options: AttemptsOptions;
  /** Exchanges that failed; undici is still about to end their connections. */
  #broken: Exchange<Delivery>[] = [];
  /** Answered, and not written down yet. */
  #delivered: Delivered[] = [];
  #areReadsUnderWay = false;

  constructor(options: AttemptsOptions) {
    this.#options = options;
  }

  send(delivery: Delivery): void {
    const { client, clock, counters, read } = this.#options;
    const { queue, record, event } = delivery;
    const { destination } = queue;
    const body = record.body(event, destination.format);
    // Before the monotonic time: should the thread be put aside in between, no wait looks shorter than it was.
    delivery.attemptedAtMs = clock.wallMs();
    const exchange = new Exchange(this, delivery, clock.monotonicMs(), destination.timeoutMs, read);
    delivery.waitedUs = Math.round((exchange.startedMs - delivery.queuedAtMs) * 1000);
    delivery.firstByteUs = 0;
    delivery.requestBytes = body.length;
    if (delivery.firstSeenMs === 0) delivery.firstSeenMs = delivery.attemptedAtMs;
    counters.add(laneSlots.inFlight);
    counters.add(laneSlots.requestBytes, body.length);
    queue.counters.destination.add(destinationSlots.inFlight);
    client.watch(exchange);
    queue.origin.post(destination.path, [...queue.headers, 'webhook-id', delivery.id], body, exchange);
  }

  refuse(delivery: Delivery, why: Refusal): void {
    this.#options.outcomes.refused(delivery, why);
  }

  unpark(load: TenantLoad): void {
    this.#options.onFewWaiting(load);
  }

  onSpent(exchange: Exchange<Delivery>): void {
    exchange.context.queue.endpoint.tokens.spend(this.#options.clock.monotonicMs());
  }

  onAnswer({ context, startedMs }: Exchange<Delivery>): void {
    context.firstByteUs = Math.round((this.#options.clock.monotonicMs() - startedMs) * 1000);
  }

  onEnd(exchange: Exchange<Delivery>): void {
    const { client, clock, counters } = this.#options;
    const delivery = exchange.context;
    const { queue } = delivery;
    client.unwatch(exchange);
    counters.add(laneSlots.inFlight, -1);
    counters.add(laneSlots.responseBytes, exchange.responseBytes);
    delivery.responseBytes = exchange.responseBytes;
    queue.counters.destination.add(destinationSlots.inFlight, -1);
    const nowMs = clock.monotonicMs();
    const durationMs = nowMs - exchange.startedMs;
    const verdict = classify(exchange);
    const retryAfterMs = exchange.hasRetryAfter ? this.#retryAfterMs(exchange) : null;
    const seen = { durationMs, inFlight: queue.inFlight, retryAfterMs };
    const notice = queue.endpoint.onEnd(delivery.ticket, verdict, seen, nowMs);
    queue.onEnd(delivery);
    this.#count(verdict, durationMs);
    this.#conclude(delivery, {
      verdict,
      isCharged: CLASS_RULES[verdict.class].charged,
      ambiguous: isAmbiguous(verdict.class, exchange.requestSent),
      status: exchange.status,
      durationMs,
      retryAfterMs,
      response: exchange.excerpt,
    });
    if (notice !== null) this.#options.onNotice(delivery, notice);
  }

  /**
   * After an answer the next delivery is given to the same connection at once: undici then sends it in the turn of the
   * event loop that it takes in any case, instead of seeing whether a connection that lay idle is still good, which
   * costs two turns more. What is to be decoded waits until undici has finished with the sockets it reads.
   */
  onRelease(exchange: Exchange<Delivery>): void {
    this.#afterReadsOnce();
    if (exchange.errorCode !== '') {
      this.#broken.push(exchange);
      return;
    }
    try {
      refill(exchange);
    } catch (error) {
      // undici would take it for the request's and go on; it is the lane's.
      queueMicrotask(() => {
        throw error;
      });
    }
  }

  /**
   * What was delivered is written down when all that has come was read: dozens of answers come in one turn of the event
   * loop, and to do one thing for all of them and then the next keeps the processor's caches warm (some 8 % of the
   * lane's time, over ten alternating runs). What a key or a retry waits for does not wait for that.
   */
  #conclude(delivery: Delivery, result: AttemptResult): void {
    if (result.verdict.class !== 'delivered' || delivery.holdsKey) {
      this.#options.outcomes.ended(delivery, result);
      return;
    }
    this.#delivered.push({ delivery, result });
    this.#afterReadsOnce();
  }

  #afterReadsOnce(): void {
    if (this.#areReadsUnderWay) return;
    this.#areReadsUnderWay = true;
    setImmediate(this.#afterReads);
  }

  readonly #afterReads = (): void => {
    this.#areReadsUnderWay = false;
    const delivered = this.#delivered;
    this.#delivered = [];
    for (const { delivery, result } of delivered) this.#options.outcomes.ended(delivery, result);
    const broken = this.#broken;
    this.#broken = [];
    for (const exchange of broken) refill(exchange);
    this.#options.onRoom();
  };

  #retryAfterMs({ retryAfter, context }: Exchange<Delivery>): number | null {
    const askedMs = parseRetryAfter(retryAfter, this.#options.clock.wallMs());
    return askedMs === null ? null : Math.min(askedMs, context.queue.destination.retry.maxRetryAfterMs);
  }

  #count(verdict: Verdict, durationMs: number): void {
    const { counters } = this.#options;
    counters.add(verdict.reason === 'deadline' ? attemptSlots.timed_out : attemptSlots[verdict.class]);
    counters.observeAttempt(durationMs / 1000);
  }
}

/** The connection and the place in flight are for the next. */
function refill({ connection, context }: Exchange<Delivery>): void {
  context.queue.origin.release(connection);
  context.queue.pump();
}
