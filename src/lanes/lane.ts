import type { Clock } from '../domain/clock.ts';
import type { Event } from '../domain/event.ts';
import { deliveryId } from '../domain/ids.ts';
import { INVALID_REASONS } from '../domain/outcome.ts';
import type { HttpClient } from '../deliver/http-client.ts';
import type { LaneCounters } from '../observability/lane-counters.ts';
import { laneSlots } from '../observability/lane-slots.ts';
import { BatchReader } from './batch-reader.ts';
import { Delivery } from './delivery-queue.ts';
import type { EventReader } from './event-reader.ts';
import { badEvent } from './handovers.ts';
import type { LedgerEntries } from './ledger-entries.ts';
import { OpenRecord, type LaneAssignment } from './open-record.ts';
import type { Outbox } from './outbox.ts';
import type { LaneTask, ToLane } from './protocol.ts';
import type { Tenant, Tenants } from './tenants.ts';

/**
 * Records are decoded while fewer deliveries than this wait for their turn. What
 * is ahead stays packed, since a thousand decoded events that wait are a thousand
 * objects the garbage collector copies from generation to generation.
 */
const WAITING_DELIVERIES = 128;
/**
 * How many records a tick decodes whatever waits, so that a tenant whose
 * destinations are slow holds up the others of its lane for a moment only.
 */
const RECORDS_PER_TICK = 256;

export interface LaneOptions {
  readonly fields: LaneTask['fields'];
  readonly clock: Clock;
  readonly reader: EventReader;
  readonly tenants: Tenants;
  readonly client: HttpClient;
  readonly entries: LedgerEntries;
  readonly outbox: Outbox;
  readonly counters: LaneCounters;
}

/**
 * The single owner of its tenants: takes packed records, makes events of them,
 * queues a delivery for every destination that wants one, and reports each record
 * once, when the last of its deliveries has ended.
 */
export class Lane {
  readonly #options: LaneOptions;
  readonly #assignments = new Map<number, LaneAssignment>();
  /** Batches with records that are not decoded yet, oldest first; the first one stands on its next record. */
  readonly #inbox: BatchReader[] = [];
  #openRecords = 0;
  #openBytes = 0;

  constructor(options: LaneOptions) {
    this.#options = options;
  }

  /** Everything but `close`, which is the thread's to act on. */
  receive(message: Exclude<ToLane, { kind: 'close' }>): void {
    switch (message.kind) {
      case 'schema':
        this.#options.reader.define(message.id, message.source);
        break;
      case 'assignment':
        this.#begin(message);
        break;
      case 'batch':
        this.#inbox.push(new BatchReader(message.buffer, message.count));
        this.takeRecords();
        break;
      case 'abandon':
        this.#abandon(message.assignments);
        break;
    }
  }

  /** To be called every few milliseconds: ends what is overdue and reports what has ended. */
  tick(): void {
    const { client, clock, counters, outbox } = this.#options;
    client.tick(clock.monotonicMs());
    for (let i = 0; i < RECORDS_PER_TICK && this.#takeNextRecord(); i++);
    counters.set(laneSlots.openRecords, this.#openRecords);
    counters.set(laneSlots.openBytes, this.#openBytes);
    counters.set(laneSlots.connections, client.inFlight);
    outbox.post();
  }

  /** A delivery of this record has ended; after the last one the record has. */
  endDelivery(record: OpenRecord): void {
    record.deliveriesLeft--;
    if (record.deliveriesLeft === 0) this.#endRecord(record);
  }

  #begin({ assignment: id, topic, partition, recovered }: Extract<ToLane, { kind: 'assignment' }>): void {
    const mapping = this.#options.fields.byTopic[topic] ?? this.#options.fields.default;
    this.#assignments.set(id, { id, topic, partition, mapping, recovered, ended: false });
  }

  #abandon(ids: readonly number[]): void {
    for (const id of ids) {
      const assignment = this.#assignments.get(id);
      if (assignment !== undefined) assignment.ended = true;
      this.#assignments.delete(id);
    }
    for (const queue of this.#options.tenants.queues()) queue.dropEnded();
    this.#options.outbox.post();
  }

  /** Decodes what there is work for. To be called when deliveries have left. */
  takeRecords(): void {
    const { counters } = this.#options;
    while (counters.get(laneSlots.queuedDeliveries) < WAITING_DELIVERIES && this.#takeNextRecord());
  }

  /** @returns false when the inbox is empty. */
  #takeNextRecord(): boolean {
    for (let batch = this.#inbox[0]; batch !== undefined; batch = this.#inbox[0]) {
      if (batch.next()) {
        this.#takeRecord(batch);
        return true;
      }
      this.#inbox.shift();
    }
    return false;
  }

  #takeRecord(batch: BatchReader): void {
    const assignment = this.#assignments.get(batch.assignment);
    if (assignment === undefined) {
      this.#options.outbox.letGo(batch.payloadBytes);
      return;
    }
    const record = new OpenRecord(
      {
        assignment,
        sequence: batch.sequence,
        offset: batch.offset,
        timestampMs: batch.timestampMs,
        bytes: batch.payloadBytes,
      },
      batch.bytes,
    );
    this.#openRecords++;
    this.#openBytes += record.origin.bytes;
    this.#options.counters.add(laneSlots.recordsReceived);
    if (batch.invalid !== 0) {
      this.#endInvalid(record, batch.tenant, INVALID_REASONS[batch.invalid] ?? 'malformed');
      return;
    }
    const event = this.#options.reader.read(record, batch.schemaId, batch.tenant);
    if (typeof event === 'string') this.#endInvalid(record, batch.tenant, event);
    else this.#route(record, event);
  }

  #route(record: OpenRecord, event: Event): void {
    const { entries, tenants, counters } = this.#options;
    entries.event(event, record);
    const tenant = tenants.get(event.tenant);
    const wanted = tenant.routes.match(event.type);
    if (wanted.length === 0) {
      const hasRoutes = tenant.routes.destinations.length > 0;
      counters.add(hasRoutes ? laneSlots.recordsFiltered : laneSlots.recordsUnrouted);
      if (hasRoutes) entries.undelivered(record, 'filtered', 'no_filter_matches');
      else entries.undelivered(record, 'no_route', 'tenant_has_no_destination');
      this.#endRecord(record);
      return;
    }
    this.#deliver(record, event, tenant, wanted);
  }

  #deliver(record: OpenRecord, event: Event, tenant: Tenant, wanted: readonly number[]): void {
    const recovered = recoveredOf(record);
    const deliveries: Delivery[] = [];
    for (const index of wanted) {
      const queue = tenant.queue(index);
      const id = deliveryId(event.tenant, event.id, queue.destination.id);
      if (recovered?.has(id) !== true) deliveries.push(new Delivery(id, record, event, queue));
    }
    if (deliveries.length === 0) this.#endRecord(record);
    record.deliveriesLeft = deliveries.length;
    for (const delivery of deliveries) delivery.queue.add(delivery);
  }

  #endInvalid(record: OpenRecord, tenant: string, reason: string): void {
    const { entries, outbox, counters } = this.#options;
    counters.add(laneSlots.recordsInvalid);
    entries.invalid(record, tenant, reason);
    outbox.handover(badEvent(record, reason));
    this.#endRecord(record);
  }

  #endRecord(record: OpenRecord): void {
    this.#openRecords--;
    this.#openBytes -= record.origin.bytes;
    if (record.origin.assignment.ended) {
      this.#options.outbox.abandoned(record);
    } else {
      this.#options.counters.add(laneSlots.recordsDone);
      this.#options.outbox.done(record);
    }
    this.#options.outbox.postIfFull();
  }
}

/** Ids of what a former owner delivered of this record; forgotten once the partition is past all of it. */
function recoveredOf({ origin: { assignment, offset } }: OpenRecord): ReadonlySet<string> | undefined {
  const { recovered } = assignment;
  if (recovered === null) return undefined;
  if (offset > recovered.lastOffset) assignment.recovered = null;
  return recovered.deliveryIds.get(offset);
}
