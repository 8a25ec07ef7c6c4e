/** Proves that what leaves by a Kafka topic is the record as it came, says why, and drags no batch along. */
import { describe, expect, test } from 'vitest';
import { packHeaders } from '../../src/domain/packed-headers.ts';
import { Delivery } from '../../src/lanes/delivery.ts';
import type { DeliveryQueue } from '../../src/lanes/delivery-queue.ts';
import { badEvent, deadLetter, retry } from '../../src/lanes/handovers.ts';
import type { AttemptEntry } from '../../src/lanes/ledger-entries.ts';
import { OpenRecord } from '../../src/lanes/open-record.ts';
import type { Handover } from '../../src/lanes/protocol.ts';
import type { RetryHeaders } from '../../src/domain/retry-headers.ts';
import { decodeRetryHeaders } from '../../src/retry/retry-headers.ts';
import {
  assignmentOf,
  destinationOf,
  eventOf,
  openRecordOf,
  recordBytesOf,
  retryHeadersOf,
} from './lane-parts.ts';

const row = new Uint8Array(Buffer.from('a row\n'));
const entry: AttemptEntry = {
  attempt: 3,
  outcome: 'dead',
  reason: 'http_503',
  status: 503,
  durationMs: 1,
  nextAttemptAtMs: 0,
  response: '',
  attemptClass: 'failed_after_send',
  ambiguous: true,
  handOver: 'dead_letter',
};

/** Of a tenant that is in one lane. */
const WHOLE = { part: 0, parts: 1 };

/** A record whose parts are views on a batch, as a lane has them. */
function recordInBatch(
  headers: Buffer | null = null,
  key = 'the key',
  value: string | null = 'the value',
): OpenRecord {
  return new OpenRecord(
    { assignment: assignmentOf(7), sequence: 3, offset: 2 ** 40, timestampMs: 99, ...WHOLE, bytes: 16 },
    recordBytesOf(
      value === null ? null : Buffer.from(key),
      headers,
      value === null ? null : Buffer.from(value),
    ),
    null,
  );
}

function textOf(of: Handover): [string, string][] {
  return of.headers.map(([name, value]) => [name, Buffer.from(value).toString()]);
}

describe('a bad event', () => {
  test('has its own bytes and headers, then ours: why, and where it was', () => {
    const headers = packHeaders([
      ['trace', Buffer.from('1')],
      ['trace', Buffer.from('2')],
    ]);
    const handover = badEvent(recordInBatch(headers), 'truncated', row);
    expect(handover).toMatchObject({ to: 'bad_event', assignment: 7, sequence: 3, dueAtMs: 0, row });
    expect([String(Buffer.from(handover.key!)), String(Buffer.from(handover.value!))]).toEqual([
      'the key',
      'the value',
    ]);
    expect(textOf(handover)).toEqual([
      ['trace', '1'],
      ['trace', '2'],
      ['eventdispatch-outcome', 'invalid'],
      ['eventdispatch-reason', 'truncated'],
      ['eventdispatch-source-topic', 't'],
      ['eventdispatch-source-partition', '7'],
      ['eventdispatch-source-offset', '1099511627776'],
      ['eventdispatch-source-timestamp', '99'],
    ]);
  });

  test('without key, headers and value has none', () => {
    expect(badEvent(recordInBatch(null, '', null), 'null_value', row)).toMatchObject({
      key: null,
      value: null,
    });
  });

  test('owns exactly its bytes: posting a view would copy the batch behind it', () => {
    const { key, value, headers } = badEvent(
      recordInBatch(packHeaders([['a', Buffer.from('b')]])),
      'malformed',
      row,
    );
    for (const bytes of [key!, value!, ...headers.map(([, header]) => header)]) {
      expect(bytes.buffer.byteLength).toBe(bytes.byteLength);
    }
  });
});

/** @param record as it came from a source topic, or from a delay topic. */
function deliveryOf(record: OpenRecord): Delivery {
  const queue = { destination: destinationOf('crm') } as unknown as DeliveryQueue;
  const delivery = new Delivery('dlv_x', record, eventOf('evt-1', 'acme', 'contact.created'), queue);
  delivery.attempts = 3;
  delivery.firstSeenMs = 1_234;
  return delivery;
}

const identity = {
  'eventdispatch-attempts': '3',
  'eventdispatch-first-seen': '1234',
  'eventdispatch-reason': 'http_503',
  'eventdispatch-status': '503',
  'eventdispatch-tenant': 'acme',
  'eventdispatch-event-id': 'evt-1',
  'eventdispatch-event-type': 'contact.created',
  'eventdispatch-delivery-id': 'dlv_x',
  'eventdispatch-destination-id': 'crm',
};
/** The same in the header of a retry. */
const waiting: RetryHeaders = {
  sourceTopic: 't',
  sourcePartition: 7,
  sourceOffset: 2 ** 40,
  sourceTimestampMs: 99,
  tenant: 'acme',
  eventId: 'evt-1',
  eventType: 'contact.created',
  deliveryId: 'dlv_x',
  destinationId: 'crm',
  attempts: 3,
  firstSeenMs: 1_234,
  dueMs: 5_000,
  hops: 0,
  reason: 'http_503',
  status: 503,
};
const place = {
  'eventdispatch-source-topic': 't',
  'eventdispatch-source-partition': '7',
  'eventdispatch-source-offset': '1099511627776',
  'eventdispatch-source-timestamp': '99',
};

test('a dead letter says which delivery it was, and how it ended', () => {
  const handover = deadLetter(deliveryOf(recordInBatch()), entry, row);
  expect(handover).toMatchObject({ to: 'dead_letter', assignment: 7, sequence: 3, dueAtMs: 0, row });
  expect(Object.fromEntries(textOf(handover))).toEqual({
    ...identity,
    ...place,
    'eventdispatch-outcome': 'dead',
    'eventdispatch-due': '0',
    'eventdispatch-hops': '0',
  });
});

describe('a retry', () => {
  test('is the record as it came, and says which delivery it is, when it is due and how often it was tried', () => {
    const headers = packHeaders([['trace', Buffer.from('1')]]);
    const handover = retry(deliveryOf(recordInBatch(headers)), { ...entry, outcome: 'retrying' }, 5_000, row);
    expect(handover).toMatchObject({ to: 'retry', assignment: 7, sequence: 3, dueAtMs: 5_000, row });
    expect(String(Buffer.from(handover.value!))).toBe('the value');
    expect(textOf(handover)[0]).toEqual(['trace', '1']);
    expect(handover.headers).toHaveLength(2);
    expect(decodeRetryHeaders(handover.headers)).toEqual(waiting);
  });

  test('of a retry names the source’s place, not the delay topic’s, and has its header once', () => {
    const first = retry(deliveryOf(recordInBatch()), entry, 5_000, row);
    const decoded = decodeRetryHeaders(first.headers) as RetryHeaders;
    const again = new OpenRecord(
      { assignment: assignmentOf(9, true), sequence: 0, offset: 12, timestampMs: 777, ...WHOLE, bytes: 1 },
      recordBytesOf(
        null,
        packHeaders([['own', Buffer.from('x')], ...first.headers]),
        Buffer.from('the value'),
      ),
      decoded,
    );
    const delivery = deliveryOf(again);
    delivery.attempts = 4;
    const second = retry(delivery, { ...entry, reason: 'reset', status: 0 }, 9_000, row);
    expect(second).toMatchObject({ to: 'retry', assignment: 9, sequence: 0, dueAtMs: 9_000 });
    expect(second.headers).toHaveLength(first.headers.length + 1);
    expect(textOf(second)[0]).toEqual(['own', 'x']);
    expect(decodeRetryHeaders(second.headers)).toEqual({
      ...waiting,
      attempts: 4,
      reason: 'reset',
      status: 0,
      dueMs: 9_000,
    });
  });

  test('starts a delivery where it stood', () => {
    const headers = retryHeadersOf({ attempts: 2, firstSeenMs: 950 });
    const record = openRecordOf(assignmentOf(1, true), 0, headers);
    const queue = { destination: destinationOf('crm') } as unknown as DeliveryQueue;
    expect(new Delivery('dlv', record, eventOf('e'), queue)).toMatchObject({
      attempts: 2,
      firstSeenMs: 950,
      isRetry: true,
    });
  });
});
