import { unpackHeaders } from '../domain/packed-headers.ts';
import type { RecordHeader } from '../domain/record.ts';
import type { Delivery } from './delivery-queue.ts';
import type { OpenRecord } from './open-record.ts';
import type { Handover } from './protocol.ts';

/** A delivery that ended `dead` or `rejected`, for the dead-letter topic: the record as it came, then why. */
export function deadLetter(delivery: Delivery, outcome: string, reason: string, status: number): Handover {
  const { record, event, queue } = delivery;
  return handover('dead_letter', record, {
    'eventdispatch-outcome': outcome,
    'eventdispatch-reason': reason,
    'eventdispatch-status': String(status),
    'eventdispatch-attempts': String(delivery.attempts),
    'eventdispatch-tenant': event.tenant,
    'eventdispatch-event-id': event.id,
    'eventdispatch-event-type': event.type,
    'eventdispatch-delivery-id': delivery.id,
    'eventdispatch-destination-id': queue.destination.id,
  });
}

/** A record that is no usable event, for the bad-event topic. */
export function badEvent(record: OpenRecord, reason: string): Handover {
  return handover('bad_event', record, {
    'eventdispatch-outcome': 'invalid',
    'eventdispatch-reason': reason,
  });
}

function handover(to: Handover['to'], record: OpenRecord, ours: Readonly<Record<string, string>>): Handover {
  const { assignment, sequence, offset, timestampMs } = record.origin;
  const added = {
    ...ours,
    'eventdispatch-source-topic': assignment.topic,
    'eventdispatch-source-partition': String(assignment.partition),
    'eventdispatch-source-offset': String(offset),
    'eventdispatch-source-timestamp': String(timestampMs),
  };
  const { key, headers, value } = record.bytes;
  const original = headers === null ? [] : unpackHeaders(headers);
  return {
    to,
    assignment: assignment.id,
    sequence,
    key: ownCopy(key),
    value: ownCopy(value),
    headers: [
      ...original.map(([name, bytes]): RecordHeader => [name, ownCopy(bytes)]),
      ...Object.entries(added).map(([name, text]): RecordHeader => [
        name,
        ownCopy(Buffer.from(text, 'utf8')),
      ]),
    ],
  };
}

/** Posting a view would clone the whole buffer behind it. */
function ownCopy(bytes: Uint8Array): Uint8Array<ArrayBuffer>;
function ownCopy(bytes: Uint8Array | null): Uint8Array<ArrayBuffer> | null;
function ownCopy(bytes: Uint8Array | null): Uint8Array<ArrayBuffer> | null {
  return bytes && new Uint8Array(bytes);
}
