/**
 * Proves that a record which kills its thread leaves as it came: with its own key,
 * value and headers, told where it was first and, where it is a retry, which delivery it was.
 */
import { describe, expect, test } from 'vitest';
import { partName } from '../../src/domain/spread.ts';
import { packHeaders } from '../../src/domain/packed-headers.ts';
import type { RecordHeader } from '../../src/domain/record.ts';
import { LanePacker } from '../../src/ingest/lane-packer.ts';
import { BatchReader } from '../../src/lanes/batch-reader.ts';
import type { Handover } from '../../src/lanes/protocol.ts';
import { crashDeadLetter } from '../../src/lanes/worker-crash.ts';
import { LEDGER_COLUMNS } from '../../src/ledger/columns.ts';
import type { RetryHeaders } from '../../src/domain/retry-headers.ts';
import { encodeRetryHeaders } from '../../src/retry/retry-headers.ts';

const OWN: readonly RecordHeader[] = [
  ['ce_id', Buffer.from('e-1')],
  ['binary', Buffer.from([0, 255])],
];

function letterOf(
  headers: readonly RecordHeader[],
  isRetry: boolean,
  value: Buffer | null,
  [part, parts] = [0, 1],
): Handover {
  const packer = new LanePacker();
  const tenant = Buffer.from('acme');
  packer.add({
    assignment: 4,
    sequence: 9,
    offset: 77,
    timestampMs: 1_500,
    schemaId: 1,
    invalid: 0,
    part,
    parts,
    tenant,
    tenantStart: 0,
    tenantEnd: tenant.length,
    key: Buffer.from('key'),
    headers: packHeaders(headers),
    value,
  });
  const { buffer, count } = packer.take()!;
  const reader = new BatchReader(buffer, count);
  reader.next();
  const assignment = { assignment: 4, topic: isRetry ? 'retry.30s' : 'events', partition: 3, isRetry };
  return crashDeadLetter(reader, { assignment, instance: 'host-1', lane: 2, nowMs: 9_000 });
}

function headersOf({ headers }: Handover): Record<string, string> {
  return Object.fromEntries(headers.map(([name, bytes]) => [name, Buffer.from(bytes).toString('latin1')]));
}

function rowOf({ row }: Handover): Record<string, string | undefined> {
  const cells = Buffer.from(row!).toString().trimEnd().split('\t');
  return Object.fromEntries(LEDGER_COLUMNS.attempts.map(([name], i) => [name, cells[i]]));
}

describe('the dead letter of a record that kills its thread', () => {
  test('carries the bytes as they came and the place they came from', () => {
    const letter = letterOf(OWN, false, Buffer.from([1, 2, 3]));
    expect(letter).toMatchObject({ to: 'dead_letter', assignment: 4, sequence: 9, dueAtMs: 0 });
    expect([letter.key, letter.value]).toEqual([
      new Uint8Array(Buffer.from('key')),
      new Uint8Array([1, 2, 3]),
    ]);
    expect(headersOf(letter)).toEqual({
      ce_id: 'e-1',
      binary: '\u0000ÿ',
      'eventdispatch-outcome': 'dead',
      'eventdispatch-reason': 'worker_crash',
      'eventdispatch-status': '0',
      'eventdispatch-attempts': '0',
      'eventdispatch-tenant': 'acme',
      'eventdispatch-source-topic': 'events',
      'eventdispatch-source-partition': '3',
      'eventdispatch-source-offset': '77',
      'eventdispatch-source-timestamp': '1500',
    });
    expect(rowOf(letter)).toMatchObject({
      tenant: 'acme',
      topic: 'events',
      partition: '3',
      offset: '77',
      instance: 'host-1',
      lane: '2',
      delivery_id: '',
      outcome: 'dead',
      reason: 'worker_crash',
      attempted_at: '0000000009.000',
      hand_over: 'dead_letter',
      retry_topic: '',
    });
    expect(letterOf([], false, null).value).toBeNull();
  });

  test('of a spread tenant ends in the ledger the part whose lane died, and no other', () => {
    const [first, last] = [0, 2].map((part) => rowOf(letterOf(OWN, false, null, [part, 3])));
    expect([first!['delivery_id'], last!['delivery_id']]).toEqual([partName(0, 3), partName(2, 3)]);
  });

  test('of a delay topic is about the delivery its headers name, with our headers once', () => {
    const retry: RetryHeaders = {
      sourceTopic: 'events',
      sourcePartition: 3,
      sourceOffset: 12,
      sourceTimestampMs: 800,
      tenant: 'acme',
      eventId: 'e-1',
      eventType: 'contact.created',
      deliveryId: 'dlv_1',
      destinationId: 'crm',
      attempts: 2,
      firstSeenMs: 900,
      dueMs: 31_500,
      hops: 2,
      reason: 'http_503',
      status: 503,
    };
    const letter = letterOf(encodeRetryHeaders(retry, OWN), true, Buffer.from([1]));
    expect(new Set(letter.headers.map(([name]) => name)).size).toBe(letter.headers.length);
    const headers = headersOf(letter);
    expect(headers).toMatchObject({
      ce_id: 'e-1',
      'eventdispatch-reason': 'worker_crash',
      'eventdispatch-attempts': '2',
      'eventdispatch-delivery-id': 'dlv_1',
      'eventdispatch-destination-id': 'crm',
      'eventdispatch-source-offset': '12',
    });
    expect(headers).not.toHaveProperty('eventdispatch-due');
    expect(rowOf(letter)).toMatchObject({
      event_id: 'e-1',
      topic: 'events',
      offset: '12',
      delivery_id: 'dlv_1',
      destination_id: 'crm',
      attempt: '2',
      retry_topic: 'retry.30s',
      retry_partition: '3',
      retry_offset: '77',
    });
  });

  test('of a delay topic whose headers somebody broke is about its place there', () => {
    const letter = letterOf([['eventdispatch-attempts', Buffer.from('many')]], true, null);
    expect(headersOf(letter)).toMatchObject({
      'eventdispatch-attempts': '0',
      'eventdispatch-source-topic': 'retry.30s',
      'eventdispatch-source-offset': '77',
    });
  });
});
