import { unpackHeaders } from '../domain/packed-headers.ts';
import type { RecordHeader } from '../domain/record.ts';
import type { RetryHeaders } from '../domain/retry-headers.ts';
import { encodeFacts, encodeRetryHeaders, ownHeaders } from '../retry/retry-headers.ts';
import type { Delivery } from './delivery.ts';
import type { AttemptEntry } from './ledger-entries.ts';
import type { OpenRecord } from './open-record.ts';
import type { Handover } from './protocol.ts';

type Row = Uint8Array<ArrayBuffer>;

const NO_HEADERS: readonly RecordHeader[] = [];

/** A delivery that is tried again later, for a delay topic. */
export function retry(delivery: Delivery, entry: AttemptEntry, dueAtMs: number, row: Row): Handover {
  const headers = encodeRetryHeaders(headersOf(delivery, entry, dueAtMs), originalOf(delivery.record));
  return handover('retry', delivery.record, headers, dueAtMs, row);
}

/** A delivery that ended `dead` or `rejected`, for the dead-letter topic: the record as it came, then why. */
export function deadLetter(delivery: Delivery, entry: AttemptEntry, row: Row): Handover {
  const headers = encodeFacts(headersOf(delivery, entry, 0), originalOf(delivery.record));
  headers.push(text('outcome', entry.outcome));
  return handover('dead_letter', delivery.record, headers, 0, row);
}

/** A record that is no usable event, for the bad-event topic. */
export function badEvent(record: OpenRecord, reason: string, row: Row): Handover {
  const headers = [
    ...ownHeaders(originalOf(record)),
    text('outcome', 'invalid'),
    text('reason', reason),
    text('source-topic', record.topic),
    text('source-partition', String(record.partition)),
    text('source-offset', String(record.offset)),
    text('source-timestamp', String(record.producedAtMs)),
  ];
  return handover('bad_event', record, headers, 0, row);
}

function headersOf(
  { id, record, event, queue, attempts, firstSeenMs }: Delivery,
  entry: AttemptEntry,
  dueMs: number,
): RetryHeaders {
  return {
    sourceTopic: record.topic,
    sourcePartition: record.partition,
    sourceOffset: record.offset,
    sourceTimestampMs: record.producedAtMs,
    tenant: event.tenant,
    eventId: event.id,
    eventType: event.type,
    deliveryId: id,
    destinationId: queue.destination.id,
    attempts,
    firstSeenMs,
    dueMs,
    hops: 0,
    reason: entry.reason,
    status: entry.status,
  };
}

function originalOf({ bytes: { headers } }: OpenRecord): readonly RecordHeader[] {
  return headers === null ? NO_HEADERS : unpackHeaders(headers);
}

function text(name: string, value: string): RecordHeader {
  return [`eventdispatch-${name}`, new Uint8Array(Buffer.from(value, 'utf8'))];
}

function handover(
  to: Handover['to'],
  record: OpenRecord,
  headers: readonly RecordHeader[],
  dueAtMs: number,
  row: Row,
): Handover {
  const { key, value } = record.bytes;
  return {
    to,
    assignment: record.origin.assignment.id,
    sequence: record.origin.sequence,
    key: ownCopy(key),
    value: ownCopy(value),
    headers: headers.map(([name, bytes]): RecordHeader => [name, ownCopy(bytes)]),
    dueAtMs,
    row,
  };
}

/** Posting a view would clone the whole buffer behind it. */
function ownCopy(bytes: Uint8Array): Uint8Array<ArrayBuffer>;
function ownCopy(bytes: Uint8Array | null): Uint8Array<ArrayBuffer> | null;
function ownCopy(bytes: Uint8Array | null): Uint8Array<ArrayBuffer> | null {
  return bytes && new Uint8Array(bytes);
}
