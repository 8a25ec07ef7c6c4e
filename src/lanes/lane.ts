import type { Clock } from '../domain/clock.ts';
import type { Event } from '../domain/event.ts';
import { deliveryId } from '../domain/ids.ts';
import { INVALID_REASONS, type Outcome } from '../domain/outcome.ts';
import { unpackHeaders } from '../domain/packed-headers.ts';
import { rekeyedFrom, type RekeyedFrom } from '../domain/rekeyed-from.ts';
import type { HttpClient } from '../deliver/http-client.ts';
import type { LaneCounters } from '../observability/lane-counters.ts';
import { laneSlots, type LaneSlot } from '../observability/lane-slots.ts';
import type { RetryHeaders } from '../domain/retry-headers.ts';
import { decodeRetryHeaders } from '../retry/retry-headers.ts';
import type { SeenEvents } from '../duplicates/seen-events.ts';
import { FairInbox } from '../schedule/fair-inbox.ts';
import { BatchReader } from './batch-reader.ts';
import { BatchRepacker } from './batch-repacker.ts';
import { DecodingTurns } from './decoding-turns.ts';
import { Delivery } from './delivery.ts';
import type { EventReader } from './event-reader.ts';
import { badEvent } from './handovers.ts';
import type { LedgerEntries } from './ledger-entries.ts';
import { OpenRecord, type LaneAssignment } from './open-record.ts';
import type { Outbox } from './outbox.ts';
import type { LaneTask, ToLane } from './protocol.ts';
import type { RecordBytes } from './record-bytes.ts';
import { hasEnded, recoveredOf } from './recovered.ts';
import { SourceTopics, type SourceTopic } from './source-topics.ts';
import type { Tenant, Tenants } from './tenants.ts';
import type { TenantLoad } from './tenant-load.ts';

/** Bytes a tenant may take in its turn: several usual records. */
const QUANTUM_BYTES = 4_096;
/** What is left of more batches than this is put into one of its own. */
const MOST_BATCHES = 128;
const PRIORITY_WEIGHTS = { high: 8, normal: 4, low: 1 };

export interface LaneOptions {
  readonly fields: LaneTask['fields'];
  readonly classes: LaneTask['classes'];
  readonly weights: LaneTask['weights'];
  readonly clock: Clock;
  readonly reader: EventReader;
  /** Tells duplicates; null: they are events like others. */
  readonly seen: SeenEvents | null;
  readonly tenants: Tenants;
  readonly client: HttpClient;
  readonly entries: LedgerEntries;
  readonly outbox: Outbox;
  readonly counters: LaneCounters;
  /** The process has another part of all partitions. */
  onShare(share: number): void;
}

/**
 * The single owner of its tenants: takes packed records, makes events of them,
 * queues a delivery for every destination that wants one, and reports each record
 * once, when the last of its deliveries has ended.
 *
 * Of a tenant that is spread over lanes it has a part of the destinations, and gets a copy
 * of each record. What is to be said of the event rather than of a delivery is said by the
 * lane of the first part alone; the others end their copy in silence.
 */
export class Lane {
  readonly #options: LaneOptions;
  readonly #assignments = new Map<number, LaneAssignment>();
  readonly #topics: SourceTopics;
  /** Records that are not decoded yet, taken in turn tenant by tenant. */
  readonly #inbox: FairInbox<BatchReader>;
  /** Bytes of the records in the inbox. */
  #inboxBytes = 0;
  #openRecords = 0;
  #openBytes = 0;
  readonly #turns: DecodingTurns;
  /** Decoded since the last tick, ended or not. */
  #fresh: OpenRecord[] = [];

  constructor(options: LaneOptions) {
    this.#options = options;
    this.#topics = new SourceTopics(options.fields, options.classes);
    this.#inbox = new FairInbox({
      quantumBytes: QUANTUM_BYTES,
      tenantWeight: () => 1,
      weights: { classes: options.weights, priorities: PRIORITY_WEIGHTS },
    });
    const { counters } = options;
    this.#turns = new DecodingTurns({
      waiting: () => counters.get(laneSlots.queuedDeliveries) - counters.get(laneSlots.backloggedDeliveries),
      takeNext: () => this.#takeNextRecord(),
    });
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
        this.#receiveBatch(new BatchReader(message.buffer, message.count));
        this.takeRecords();
        break;
      case 'abandon':
        this.#abandon(message.assignments);
        break;
      case 'share':
        this.#options.onShare(message.share);
        break;
    }
  }

  /** To be called every few milliseconds: ends what is overdue and reports what has ended. */
  tick(): void {
    const { client, clock, counters, outbox } = this.#options;
    client.tick(clock.monotonicMs());
    this.#detachFresh();
    this.#turns.tick();
    counters.set(laneSlots.openRecords, this.#openRecords);
    counters.set(laneSlots.openBytes, this.#openBytes);
    counters.set(laneSlots.connections, client.inFlight);
    outbox.post();
  }

  /** A delivery of this record has ended; after the last one the record has. */
  endDelivery({ record }: Delivery): void {
    record.deliveriesLeft--;
    if (record.deliveriesLeft === 0) this.#endRecord(record);
  }

  /** So few deliveries of a parked tenant wait that more of it may be decoded. */
  unpark(load: TenantLoad): void {
    if (!load.mayGoOn) return;
    load.isParked = false;
    this.#inbox.unpark(load.tenant);
  }

  /** Most records end within a tick; what is still open lets go of its batch, whatever it waits for. */
  #detachFresh(): void {
    const fresh = this.#fresh;
    this.#fresh = [];
    for (const record of fresh) if (record.deliveriesLeft > 0) record.detach();
  }

  #begin(message: Extract<ToLane, { kind: 'assignment' }>): void {
    const { assignment: id, topic, partition, isRetry } = message;
    const recovered = new Map(message.recovered.deliveryIds);
    const sinceMs = this.#options.clock.monotonicMs();
    this.#assignments.set(id, { id, topic, partition, isRetry, sinceMs, recovered, ended: false });
    if (!isRetry) this.#options.seen?.begin(id, message.recovered.seen, sinceMs);
  }

  #rekeyedFrom(sourceTopic: string | undefined, record: Pick<OpenRecord, 'bytes'>): RekeyedFrom | null {
    if (sourceTopic === undefined || sourceTopic !== this.#options.fields.rekeyedTopic) return null;
    const { headers } = record.bytes;
    return headers === null ? null : rekeyedFrom(unpackHeaders(headers));
  }

  #receiveBatch(batch: BatchReader): void {
    while (batch.next()) {
      const assignment = this.#assignments.get(batch.assignment);
      const source = this.#rekeyedFrom(assignment?.topic, batch)?.topic ?? assignment?.topic ?? '';
      const { workClass, priority } = this.#topics.of(source);
      this.#inbox.add(
        batch,
        batch.index,
        batch.payloadStart,
        batch.payloadBytes,
        batch.tenant,
        assignment?.isRetry === true ? 'retry' : workClass,
        priority,
      );
      this.#inboxBytes += batch.payloadBytes;
    }
    if (this.#inbox.batches > MOST_BATCHES) this.#repackInbox();
  }

  #repackInbox(): void {
    const repacker = new BatchRepacker(this.#inbox.size, this.#inboxBytes);
    this.#inbox.repack(repacker.reader, (batch, index, start, bytes) =>
      repacker.place(batch, index, start, bytes),
    );
  }

  #abandon(ids: readonly number[]): void {
    const { tenants, outbox } = this.#options;
    const left = new Set<number>();
    for (const id of ids) {
      const assignment = this.#assignments.get(id);
      if (assignment === undefined) continue;
      assignment.ended = true;
      this.#options.seen?.end(id);
      left.add(assignment.partition);
      this.#assignments.delete(id);
    }
    for (const queue of tenants.queues()) queue.dropEnded();
    for (const { partition } of this.#assignments.values()) left.delete(partition);
    for (const partition of left) tenants.forgetPartition(partition);
    outbox.post();
  }

  /** Decodes what there is work for. To be called when deliveries have left. */
  takeRecords(): void {
    this.#turns.take();
  }

  /** @returns false when nothing may be decoded now. */
  #takeNextRecord(): boolean {
    const inbox = this.#inbox;
    if (!inbox.next()) return false;
    const { batch, tenant } = inbox;
    this.#inboxBytes -= inbox.bytes;
    batch.seek(inbox.recordIndex, inbox.position);
    this.#suspect(batch.assignment, batch.sequence);
    this.#takeRecord(batch, tenant);
    this.#suspect(0, 0);
    return true;
  }

  /** Not to be cleared when something throws: it tells main which record the thread died of. */
  #suspect(assignment: number, sequence: number): void {
    const { counters } = this.#options;
    counters.set(laneSlots.suspectSequence, sequence);
    counters.set(laneSlots.suspectAssignment, assignment);
  }

  #takeRecord(batch: BatchReader, tenant: string): void {
    const assignment = this.#assignments.get(batch.assignment);
    if (assignment === undefined) {
      this.#options.outbox.letGo(batch.payloadBytes);
      return;
    }
    const { bytes } = batch;
    const retry = assignment.isRetry ? retryOf(bytes) : null;
    const record = new OpenRecord(
      {
        assignment,
        sequence: batch.sequence,
        offset: batch.offset,
        timestampMs: batch.timestampMs,
        part: batch.part,
        parts: batch.parts,
        bytes: batch.payloadBytes,
      },
      bytes,
      retry === 'malformed' ? null : retry,
    );
    this.#fresh.push(record);
    this.#openRecords++;
    this.#openBytes += record.origin.bytes;
    if (record.speaksForEvent) this.#options.counters.add(laneSlots.recordsReceived);
    if (batch.invalid !== 0 || retry === 'malformed') {
      this.#endInvalid(record, tenant, INVALID_REASONS[batch.invalid || MALFORMED] ?? 'malformed');
      return;
    }
    record.rekeyed = this.#rekeyedFrom(record.topic, record);
    const source = this.#topics.of((record.rekeyed ?? record).topic);
    const event = this.#options.reader.read(record, batch.schemaId, tenant, source.mapping);
    if (typeof event === 'string') this.#endInvalid(record, tenant, event);
    else if (record.retry === null) this.#route(record, event, source);
    else this.#deliverAgain(record, record.retry, event);
  }

  #route(record: OpenRecord, event: Event, source: SourceTopic): void {
    const { entries } = this.#options;
    if (hasEnded(record)) {
      this.#endRecord(record);
      return;
    }
    if (this.#isDuplicate(record, event, source)) {
      // The ledger has the event from the record that was first.
      entries.again(event, record);
      this.#endUndelivered(record, laneSlots.recordsDuplicate, 'duplicate', 'event_seen_before');
      return;
    }
    const tenant = this.#tenantOf(record, event);
    const wanted = tenant.routes.match(event.type);
    if (record.speaksForEvent) entries.event(event, record, wanted.length);
    else entries.again(event, record);
    if (wanted.length > 0) this.#deliver(record, event, tenant, wanted);
    else if (tenant.routes.destinations.length > 0)
      this.#endUndelivered(record, laneSlots.recordsFiltered, 'filtered', 'no_filter_matches');
    else this.#endUndelivered(record, laneSlots.recordsUnrouted, 'no_route', 'tenant_has_no_destination');
  }

  #endUndelivered(record: OpenRecord, counter: LaneSlot, outcome: Outcome, reason: string): void {
    if (record.speaksForEvent) {
      this.#options.counters.add(counter);
      this.#options.entries.undelivered(record, outcome, reason);
    }
    this.#endRecord(record);
  }

  /**
   * The lanes of a spread tenant judge each for itself, and must take the same record for
   * the first: what one takes for a duplicate another may not have sent yet. They take the records of
   * one class and priority in the same order and no others, so these alone are compared.
   */
  #isDuplicate({ origin }: OpenRecord, { tenant, id }: Event, { flow }: SourceTopic): boolean {
    const { seen, clock } = this.#options;
    const { assignment, offset, parts } = origin;
    const name = parts === 1 || flow === '' ? id : `${id}\n${flow}`;
    return seen?.see(tenant, name, assignment.id, offset, clock.monotonicMs()) === true;
  }

  #deliver(record: OpenRecord, event: Event, tenant: Tenant, wanted: readonly number[]): void {
    const recovered = recoveredOf(record);
    const deliveries: Delivery[] = [];
    for (const index of wanted) {
      if (!tenant.has(index)) continue;
      const queue = tenant.queue(index);
      const id = deliveryId(event.tenant, event.id, queue.destination.id);
      if (recovered?.has(id) !== true) deliveries.push(new Delivery(id, record, event, queue));
    }
    if (deliveries.length === 0) this.#endRecord(record);
    record.deliveriesLeft = deliveries.length;
    for (const delivery of deliveries) delivery.queue.add(delivery);
    this.#parkIfFull(tenant);
  }

  /** The one delivery that a record of a delay topic is. */
  #deliverAgain(record: OpenRecord, retry: RetryHeaders, event: Event): void {
    const { entries, clock } = this.#options;
    entries.again(event, record);
    const tenant = this.#tenantOf(record, event);
    const queue = tenant.queueOf(retry.destinationId);
    if (recoveredOf(record)?.has(retry.deliveryId) === true) {
      this.#endRecord(record);
      return;
    }
    if (queue === undefined) {
      entries.undelivered(record, 'cancelled', 'destination_removed');
      this.#endRecord(record);
      return;
    }
    queue.endpoint.suspectFailing(clock.monotonicMs());
    record.deliveriesLeft = 1;
    queue.add(new Delivery(retry.deliveryId, record, event, queue));
    this.#parkIfFull(tenant);
  }

  #tenantOf({ origin }: OpenRecord, { tenant }: Event): Tenant {
    const { partition, sinceMs } = origin.assignment;
    return this.#options.tenants.get(tenant, partition, sinceMs, origin);
  }

  #parkIfFull({ load }: Tenant): void {
    if (load.isParked || !load.isFull) return;
    load.isParked = true;
    this.#inbox.park(load.tenant);
  }

  #endInvalid(record: OpenRecord, tenant: string, reason: string): void {
    const { entries, outbox, counters } = this.#options;
    if (hasEnded(record) || !record.speaksForEvent) {
      this.#endRecord(record);
      return;
    }
    counters.add(laneSlots.recordsInvalid);
    outbox.handover(badEvent(record, reason, entries.invalidRow(record, tenant, reason)));
    this.#endRecord(record);
  }

  #endRecord(record: OpenRecord): void {
    this.#openRecords--;
    this.#openBytes -= record.origin.bytes;
    if (record.origin.assignment.ended) {
      this.#options.outbox.abandoned(record);
    } else {
      if (record.speaksForEvent) this.#options.counters.add(laneSlots.recordsDone);
      this.#options.outbox.done(record);
    }
    this.#options.outbox.postIfFull();
  }
}

const MALFORMED = INVALID_REASONS.indexOf('malformed');

function retryOf({ headers }: RecordBytes): RetryHeaders | 'malformed' {
  const retry = decodeRetryHeaders(headers === null ? [] : unpackHeaders(headers));
  return 'problem' in retry ? 'malformed' : retry;
}
