import type { Outcome } from '../domain/outcome.ts';
import { LEDGER_COLUMNS, RECORD_COLUMNS } from './columns.ts';
import { RowBuffer } from './row-buffer.ts';

/**
 * The lane-side row codec: ledger rows as TabSeparated bytes, made where the
 * attempt was made so that the main thread only passes them on. It runs in lane
 * threads and therefore must not reach an import of @clickhouse/client.
 *
 * Columns are written in the order of `columns.ts`; the caller bounds strings.
 */

const MAX_UINT8 = 0xff;
const MAX_UINT16 = 0xffff;
const MAX_UINT32 = 0xffff_ffff;
const EVENT_COLUMNS = LEDGER_COLUMNS.events.length - RECORD_COLUMNS.length;
const ATTEMPT_COLUMNS = LEDGER_COLUMNS.attempts.length - RECORD_COLUMNS.length;

/** Which record a row is about; what an invalid record does not tell is empty or 0. */
export interface RecordColumns {
  readonly tenant: string;
  readonly eventId: string;
  readonly eventType: string;
  /** Times are Unix epoch milliseconds. */
  readonly eventTimeMs: number;
  readonly correlationId: string;
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly producedAtMs: number;
  /** The process and the lane that have the record. */
  readonly instance: string;
  readonly lane: number;
  /** Which of the process's assignments of the partition it came under; 0 where it came under none. */
  readonly epoch: number;
  /** 32 hexadecimal digits; empty where the record had no trace. */
  readonly traceId: string;
}

/** What `events` holds beyond the record's columns. Mutable: a lane keeps one and fills it again. */
export interface EventRow {
  version: string;
  source: string;
  key: string;
  /** Empty, like the next two, when the event did not tell. */
  aggregateType: string;
  aggregateId: string;
  aggregateVersion: string;
  /** To how many destinations it goes, whatever becomes of it there. */
  deliveries: number;
  ingestedAtMs: number;
  /** JSON text, UTF-8. */
  data: Uint8Array;
}

/** What `attempts` holds beyond the record's columns. Mutable, for the same reason. */
export interface AttemptRow {
  /** Empty, like the next two, for a record that never became a delivery. */
  deliveryId: string;
  destinationId: string;
  channel: string;
  /** From 1; 0 for a record that never became a delivery. */
  attempt: number;
  outcome: Outcome;
  isFinal: boolean;
  reason: string;
  /** HTTP status, 0 when there was no answer. */
  status: number;
  attemptedAtMs: number;
  durationUs: number;
  /** 0 when no attempt follows. */
  nextAttemptAtMs: number;
  /** An excerpt of the receiver's answer. */
  response: string;
  /** What the attempt was judged to be; empty where there was no attempt. */
  attemptClass: string;
  /** The receiver may have taken it although it failed. */
  ambiguous: boolean;
  /** Where the delivery went instead: `retry`, `dead_letter`, `bad_event`; empty when it stayed or ended. */
  handOver: string;
  /** The place of the delay topic's record that was tried; empty and 0 for a record of a source topic. */
  retryTopic: string;
  retryPartition: number;
  retryOffset: number;
  /** From its queue to the sending: limits, breaker, connections, order. This and the next three are 0 where nothing was sent. */
  waitedUs: number;
  /** From the sending to the head of the answer; 0 when there was none. */
  firstByteUs: number;
  /** Of the bodies; so for the next. */
  requestBytes: number;
  responseBytes: number;
}

/** For rows that are no attempt. */
export const NOTHING_SENT = { waitedUs: 0, firstByteUs: 0, requestBytes: 0, responseBytes: 0 } as const;

/** Rows in an ArrayBuffer of their own, ready to be transferred. */
export interface TakenRows {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly rows: number;
}

/** A record's columns as bytes, each with its tab. */
export type EncodedRecord = Uint8Array;

/** What a record is encoded in, one at a time. */
const recordCells = new RowBuffer();

/**
 * The record's columns, encoded. A lane makes this once per record and begins
 * the event's row and each attempt's row with it: half of a row's cost.
 */
export function encodeRecord(record: RecordColumns): EncodedRecord {
  const b = recordCells;
  b.reserve(recordTextUnits(record), RECORD_COLUMNS.length);
  b.text(record.tenant);
  b.text(record.eventId);
  b.text(record.eventType);
  b.time(record.eventTimeMs);
  b.text(record.correlationId);
  b.text(record.topic);
  b.uint(record.partition, MAX_UINT32);
  b.uint(record.offset, Number.MAX_SAFE_INTEGER);
  b.time(record.producedAtMs);
  b.text(record.instance);
  b.uint(record.lane, MAX_UINT8);
  b.uint(record.epoch, MAX_UINT32);
  b.text(record.traceId);
  return b.takeCells();
}

export class EventRows {
  readonly #buffer = new RowBuffer();

  get rows(): number {
    return this.#buffer.rows;
  }

  get bytes(): number {
    return this.#buffer.bytes;
  }

  /** @param record from `encodeRecord`. */
  append(record: EncodedRecord, row: EventRow): void {
    const b = this.#buffer;
    b.reserve(record.length + eventTextUnits(row), EVENT_COLUMNS);
    b.cells(record);
    b.text(row.version);
    b.text(row.source);
    b.text(row.key);
    b.text(row.aggregateType);
    b.text(row.aggregateId);
    b.text(row.aggregateVersion);
    b.uint(row.deliveries, MAX_UINT16);
    b.time(row.ingestedAtMs);
    b.json(row.data);
    b.endRow();
  }

  take(): TakenRows | null {
    return this.#buffer.take();
  }
}

export class AttemptRows {
  readonly #buffer = new RowBuffer();

  get rows(): number {
    return this.#buffer.rows;
  }

  get bytes(): number {
    return this.#buffer.bytes;
  }

  /** @param record from `encodeRecord`. */
  append(record: EncodedRecord, row: AttemptRow): void {
    const b = this.#buffer;
    b.reserve(record.length + attemptTextUnits(row), ATTEMPT_COLUMNS);
    b.cells(record);
    b.text(row.deliveryId);
    b.text(row.destinationId);
    b.text(row.channel);
    b.uint(row.attempt, MAX_UINT16);
    b.text(row.outcome);
    b.bool(row.isFinal);
    b.text(row.reason);
    b.uint(row.status, MAX_UINT16);
    b.time(row.attemptedAtMs);
    b.uint(row.durationUs, MAX_UINT32);
    if (row.nextAttemptAtMs > 0) b.time(row.nextAttemptAtMs);
    else b.null();
    b.text(row.response);
    b.text(row.attemptClass);
    b.bool(row.ambiguous);
    b.text(row.handOver);
    b.text(row.retryTopic);
    b.uint(row.retryPartition, MAX_UINT32);
    b.uint(row.retryOffset, Number.MAX_SAFE_INTEGER);
    b.uint(row.waitedUs, MAX_UINT32);
    b.uint(row.firstByteUs, MAX_UINT32);
    b.uint(row.requestBytes, MAX_UINT32);
    b.uint(row.responseBytes, MAX_UINT32);
    b.endRow();
  }

  take(): TakenRows | null {
    return this.#buffer.take();
  }
}

function recordTextUnits(record: RecordColumns): number {
  return (
    record.tenant.length +
    record.eventId.length +
    record.eventType.length +
    record.correlationId.length +
    record.topic.length +
    record.instance.length +
    record.traceId.length
  );
}

function eventTextUnits(row: EventRow): number {
  return (
    row.version.length +
    row.source.length +
    row.key.length +
    row.aggregateType.length +
    row.aggregateId.length +
    row.aggregateVersion.length +
    row.data.length
  );
}

function attemptTextUnits(row: AttemptRow): number {
  return (
    row.deliveryId.length +
    row.destinationId.length +
    row.channel.length +
    row.outcome.length +
    row.reason.length +
    row.response.length +
    row.attemptClass.length +
    row.handOver.length +
    row.retryTopic.length
  );
}
