import type { Clock } from '../domain/clock.ts';
import type { Event } from '../domain/event.ts';
import type { Outcome } from '../domain/outcome.ts';
import {
  AttemptRows,
  encodeRecord,
  NOTHING_SENT,
  type AttemptRow,
  type EventRow,
  type TakenRows,
} from '../ledger/rows.ts';
import type { Delivery } from './delivery.ts';
import type { OpenRecord } from './open-record.ts';
import type { Outbox } from './outbox.ts';
import type { Handover } from './protocol.ts';
import { traceIdOf } from './trace-id.ts';

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
  /** As `deliver/classify.ts` names it; empty when nothing was sent. */
  readonly attemptClass: string;
  readonly ambiguous: boolean;
  /** By which topic the delivery left; empty when it did not. */
  readonly handOver: HandOver;
}

export type HandOver = '' | Handover['to'];

/** Fills ledger rows from what a lane knows; one row object of each kind serves them all. */
export class LedgerEntries {
  readonly #outbox: Outbox;
  readonly #clock: Clock;
  readonly #identity: { readonly instance: string; readonly lane: number };
  /** For rows that leave one by one. */
  readonly #rows = new AttemptRows();
  readonly #event: EventRow = {
    version: '',
    source: '',
    key: '',
    aggregateType: '',
    aggregateId: '',
    aggregateVersion: '',
    deliveries: 0,
    ingestedAtMs: 0,
    data: new Uint8Array(0),
  };
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
    attemptClass: '',
    ambiguous: false,
    handOver: '',
    retryTopic: '',
    retryPartition: 0,
    retryOffset: 0,
    ...NOTHING_SENT,
  };

  constructor(outbox: Outbox, clock: Clock, identity: { readonly instance: string; readonly lane: number }) {
    this.#outbox = outbox;
    this.#clock = clock;
    this.#identity = identity;
  }

  /** Begins the rows of a record whose event the ledger has from before. */
  again(event: Event, record: OpenRecord): void {
    this.#identify(record, event.tenant, event);
  }

  /**
   * The event itself, once per record, before any row about it.
   * @param deliveries to how many destinations it goes, those of other lanes included.
   */
  event(event: Event, record: OpenRecord, deliveries: number): void {
    this.#identify(record, event.tenant, event);
    const row = this.#event;
    row.version = event.version;
    row.source = event.source;
    row.key = event.key;
    row.aggregateType = event.aggregateType;
    row.aggregateId = event.aggregateId;
    row.aggregateVersion = event.aggregateVersion;
    row.deliveries = deliveries;
    row.ingestedAtMs = this.#clock.wallMs();
    row.data = event.data;
    this.#outbox.event(record.encodedRow, row);
  }

  /** One attempt of a delivery. */
  attempt(delivery: Delivery, entry: AttemptEntry): void {
    this.#fill(delivery, entry);
    this.#outbox.attempt(delivery.record.encodedRow, this.#attempt);
  }

  /** The same as a row of its own, for a hand-over to carry. */
  attemptRow(delivery: Delivery, entry: AttemptEntry): Uint8Array<ArrayBuffer> {
    this.#fill(delivery, entry);
    return this.#single(delivery.record);
  }

  #fill(delivery: Delivery, entry: AttemptEntry): void {
    const { record, queue } = delivery;
    const row = this.#attempt;
    const wasSent = entry.attemptClass !== '';
    row.deliveryId = delivery.id;
    row.destinationId = queue.destination.id;
    row.channel = queue.destination.channel;
    row.attempt = entry.attempt;
    row.outcome = entry.outcome;
    row.isFinal = entry.outcome !== 'retrying' && entry.outcome !== 'breaker_open';
    row.reason = entry.reason;
    row.status = entry.status;
    row.attemptedAtMs = delivery.attemptedAtMs;
    row.durationUs = Math.round(entry.durationMs * 1000);
    row.nextAttemptAtMs = entry.nextAttemptAtMs;
    row.response = entry.response;
    row.attemptClass = entry.attemptClass;
    row.ambiguous = entry.ambiguous;
    row.handOver = entry.handOver;
    row.waitedUs = wasSent ? delivery.waitedUs : 0;
    row.firstByteUs = wasSent ? delivery.firstByteUs : 0;
    row.requestBytes = wasSent ? delivery.requestBytes : 0;
    row.responseBytes = wasSent ? delivery.responseBytes : 0;
    this.#placeOfRetry(record);
  }

  /** A record whose event goes nowhere: `filtered`, `no_route`. */
  undelivered(record: OpenRecord, outcome: Outcome, reason: string): void {
    this.#fillUndelivered(record, outcome, reason, '');
    this.#outbox.attempt(record.encodedRow, this.#attempt);
  }

  #fillUndelivered(record: OpenRecord, outcome: Outcome, reason: string, handOver: HandOver): void {
    const row = this.#attempt;
    row.deliveryId = record.retry?.deliveryId ?? '';
    row.destinationId = record.retry?.destinationId ?? '';
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
    row.attemptClass = '';
    row.ambiguous = false;
    row.handOver = handOver;
    row.waitedUs = 0;
    row.firstByteUs = 0;
    row.requestBytes = 0;
    row.responseBytes = 0;
    this.#placeOfRetry(record);
  }

  /** The row of a record that is no event; with its tenant when that could be told. */
  invalidRow(record: OpenRecord, tenant: string, reason: string): Uint8Array<ArrayBuffer> {
    this.#identify(record, tenant, null);
    this.#fillUndelivered(record, 'invalid', reason, 'bad_event');
    return this.#single(record);
  }

  #single(record: OpenRecord): Uint8Array<ArrayBuffer> {
    this.#rows.append(record.encodedRow, this.#attempt);
    return (this.#rows.take() as TakenRows).bytes;
  }

  /** Which record of a delay topic it is, so that a later owner finds it there. */
  #placeOfRetry({ retry, origin }: OpenRecord): void {
    const row = this.#attempt;
    row.retryTopic = retry === null ? '' : origin.assignment.topic;
    row.retryPartition = retry === null ? 0 : origin.assignment.partition;
    row.retryOffset = retry === null ? 0 : origin.offset;
  }

  #identify(record: OpenRecord, tenant: string, event: Event | null): void {
    record.encodedRow = encodeRecord({
      tenant,
      eventId: event?.id ?? '',
      eventType: event?.type ?? '',
      eventTimeMs: event?.timeMs ?? record.producedAtMs,
      correlationId: event?.correlationId ?? '',
      topic: record.topic,
      partition: record.partition,
      offset: record.offset,
      producedAtMs: record.producedAtMs,
      instance: this.#identity.instance,
      lane: this.#identity.lane,
      epoch: record.origin.assignment.id,
      traceId: traceIdOf(record.bytes.headers),
    });
  }
}
