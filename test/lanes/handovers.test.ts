/** Proves that what leaves by a Kafka topic is the record as it came, says why, and drags no batch along. */
import { describe, expect, test } from 'vitest';
import { packHeaders } from '../../src/domain/packed-headers.ts';
import { Delivery, type DeliveryQueue } from '../../src/lanes/delivery-queue.ts';
import { badEvent, deadLetter } from '../../src/lanes/handovers.ts';
import { OpenRecord } from '../../src/lanes/open-record.ts';
import type { Handover } from '../../src/lanes/protocol.ts';
import { assignmentOf, destinationOf, eventOf, recordBytesOf } from './lane-parts.ts';

/** A record whose parts are views on a batch, as a lane has them. */
function recordInBatch(
  headers: Buffer | null = null,
  key = 'the key',
  value: string | null = 'the value',
): OpenRecord {
  return new OpenRecord(
    { assignment: assignmentOf(7), sequence: 3, offset: 2 ** 40, timestampMs: 99, bytes: 16 },
    recordBytesOf(
      value === null ? null : Buffer.from(key),
      headers,
      value === null ? null : Buffer.from(value),
    ),
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
    const handover = badEvent(recordInBatch(headers), 'truncated');
    expect(handover).toMatchObject({ to: 'bad_event', assignment: 7, sequence: 3 });
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
    expect(badEvent(recordInBatch(null, '', null), 'null_value')).toMatchObject({ key: null, value: null });
  });

  test('owns exactly its bytes: posting a view would copy the batch behind it', () => {
    const { key, value, headers } = badEvent(
      recordInBatch(packHeaders([['a', Buffer.from('b')]])),
      'malformed',
    );
    for (const bytes of [key!, value!, ...headers.map(([, header]) => header)]) {
      expect(bytes.buffer.byteLength).toBe(bytes.byteLength);
    }
  });
});

test('a dead letter says which delivery it was, and how it ended', () => {
  const queue = { destination: destinationOf('crm') } as unknown as DeliveryQueue;
  const delivery = new Delivery('dlv_x', recordInBatch(), eventOf('evt-1', 'acme', 'contact.created'), queue);
  delivery.attempts = 3;
  const headers = Object.fromEntries(textOf(deadLetter(delivery, 'dead', 'http_503', 503)));
  expect(headers).toMatchObject({
    'eventdispatch-outcome': 'dead',
    'eventdispatch-reason': 'http_503',
    'eventdispatch-status': '503',
    'eventdispatch-attempts': '3',
    'eventdispatch-tenant': 'acme',
    'eventdispatch-event-id': 'evt-1',
    'eventdispatch-event-type': 'contact.created',
    'eventdispatch-delivery-id': 'dlv_x',
    'eventdispatch-destination-id': 'crm',
    'eventdispatch-source-offset': '1099511627776',
  });
});
