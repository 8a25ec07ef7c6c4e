import type { Clock } from '../domain/clock.ts';
import type { Event } from '../domain/event.ts';
import type { Outcome } from '../domain/outcome.ts';
import { encodeRecord, type AttemptRow, type EventRow } from '../ledger/rows.ts';
import type { Delivery } from './delivery-queue.ts';
import type { OpenRecord } from './open-record.ts';
import type { Outbox } from './outbox.ts';

/** How one attempt went, as its row says it. */
export interface AttemptEntry {
  readonly attempt: number;
  readonly outcome: Outcome;
  readonly reason: string;
  readonly status: number;
  readonly durationMs: number;
  /** Wall clock; 0 when no attempt follows. */
  readonly nextAttemptAtMs: number;
  readonly response: string;
}

/** Fills ledger rows from what a lane knows; one row object of each kind serves them all. */
export class LedgerEntries {
  readonly #outbox: Outbox;
  readonly #clock: Clock;
  readonly #identity: { readonly instance: string; readonly lane: number };
  readonly #event: EventRow = { version: '', source: '', key: '', ingestedAtMs: 0, data: new Uint8Array(0) };
  readonly #attempt: AttemptRow = {
    deliveryId: '',
    destinationId: '',
    channel: '',
    attempt: 0,
    outcome: 'delivered',
    isFinal: false,
    reason: '',
    status: 0,
    attemptedAtMs: 0,
    durationUs: 0,
    nextAttemptAtMs: 0,
    response: '',
  };

  constructor(outbox: Outbox, clock: Clock, identity: { readonly instance: string; readonly lane: number }) {
    this.#outbox = outbox;
    this.#clock = clock;
    this.#identity = identity;
  }

  /** The event itself, once per record, before any row about it. */
  event(event: Event, record: OpenRecord): void {
    this.#identify(record, event.tenant, event);
    const row = this.#event;
    row.version = event.version;
    row.source = event.source;
    row.key = event.key;
    row.ingestedAtMs = this.#clock.wallMs();
    row.data = event.data;
    this.#outbox.event(record.encodedRow, row);
  }

  /** One attempt of a delivery. */
  attempt({ id, record, queue, attemptedAtMs }: Delivery, entry: AttemptEntry): void {
    const row = this.#attempt;
    row.deliveryId = id;
    row.destinationId = queue.destination.id;
    row.channel = queue.destination.channel;
    row.attempt = entry.attempt;
    row.outcome = entry.outcome;
    row.isFinal = entry.outcome !== 'retrying';
    row.reason = entry.reason;
    row.status = entry.status;
    row.attemptedAtMs = attemptedAtMs;
    row.durationUs = Math.round(entry.durationMs * 1000);
    row.nextAttemptAtMs = entry.nextAttemptAtMs;
    row.response = entry.response;
    this.#outbox.attempt(record.encodedRow, row);
  }

  /** A record whose event goes nowhere: `filtered`, `no_route`. */
  undelivered(record: OpenRecord, outcome: Outcome, reason: string): void {
    const row = this.#attempt;
    row.deliveryId = '';
    row.destinationId = '';
    row.channel = '';
    row.attempt = 0;
    row.outcome = outcome;
    row.isFinal = true;
    row.reason = reason;
    row.status = 0;
    row.attemptedAtMs = this.#clock.wallMs();
    row.durationUs = 0;
    row.nextAttemptAtMs = 0;
    row.response = '';
    this.#outbox.attempt(record.encodedRow, row);
  }

  /** A record that is no event; with its tenant when that could be told. */
  invalid(record: OpenRecord, tenant: string, reason: string): void {
    this.#identify(record, tenant, null);
    this.undelivered(record, 'invalid', reason);
  }

  #identify(record: OpenRecord, tenant: string, event: Event | null): void {
    const { assignment, offset, timestampMs } = record.origin;
    record.encodedRow = encodeRecord({
      tenant,
      eventId: event?.id ?? '',
      eventType: event?.type ?? '',
      eventTimeMs: event?.timeMs ?? timestampMs,
      correlationId: event?.correlationId ?? '',
      topic: assignment.topic,
      partition: assignment.partition,
      offset,
      producedAtMs: timestampMs,
      instance: this.#identity.instance,
      lane: this.#identity.lane,
    });
  }
}
