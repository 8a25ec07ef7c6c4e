/**
 * Proves that a record is moved as it is: bytes, key and headers, with its own place
 * beside them; that nothing a producer writes passes for that place; and that what no
 * topic takes still arrives, as the unusable event that it is.
 */
import { describe, expect, test } from 'vitest';
import type { RecordHeader, SourceRecord } from '../../src/domain/record.ts';
import { rekeyedFrom } from '../../src/domain/rekeyed-from.ts';
import { partitionOfKey } from '../../src/rekey/murmur2.ts';
import { rekeyedRecordOf, sizeOf, type TenantFinder } from '../../src/rekey/rekeyed-record.ts';

const TOPIC = { name: 'rekeyed', partitions: 12, maxBytes: 10_000, maxValueBytes: 1_000 };

function found(tenant: string): TenantFinder {
  const bytes = Buffer.from(`>${tenant}<`);
  return {
    invalid: 0,
    schemaId: 1,
    tenant: bytes,
    tenantStart: 1,
    tenantEnd: bytes.length - 1,
    look: () => true,
  };
}

const NO_EVENT: TenantFinder = { ...found(''), invalid: 3, tenantStart: 0, tenantEnd: 0 };

function partitionOf(key: string): number {
  return partitionOfKey(Buffer.from(key), 0, Buffer.byteLength(key), TOPIC.partitions);
}

const RECORD: SourceRecord = {
  topic: 'orders',
  partition: 7,
  offset: 42,
  timestamp: 1_700_000_000_123,
  key: Buffer.from('order-9'),
  value: Buffer.from([0, 0, 0, 0, 1, 255, 254]),
};
const OWN: readonly RecordHeader[] = [
  ['traceparent', Buffer.from('00-ab')],
  ['binary', Buffer.from([0xff, 0])],
  ['traceparent', Buffer.from('again')],
];
const FROM = { topic: 'orders', partition: 7, offset: 42, timestampMs: 1_700_000_000_123 };

describe('a usable event', () => {
  test('goes to its tenant’s partition with its own bytes, key and headers, and its place', () => {
    const moved = rekeyedRecordOf(RECORD, OWN, found('acme'), TOPIC);
    expect(moved.partition).toBe(partitionOf('acme'));
    expect(moved.key).toBe(RECORD.key);
    expect(moved.value).toBe(RECORD.value);
    expect(moved.headers.slice(0, OWN.length)).toEqual(OWN);
    expect(rekeyedFrom(moved.headers)).toEqual(FROM);
  });

  test('of one tenant goes to one partition, whatever its topic, key and partition', () => {
    const other: SourceRecord = { ...RECORD, topic: 'invoices', partition: 0, key: null };
    expect(rekeyedRecordOf(other, [], found('acme'), TOPIC).partition).toBe(partitionOf('acme'));
  });

  test('whose producer claims another place is believed in none of it', () => {
    const claims: RecordHeader[] = [
      ['eventdispatch-origin-topic', Buffer.from('secrets')],
      ['eventdispatch-origin-offset', Buffer.from('1')],
      ...OWN,
    ];
    const moved = rekeyedRecordOf(RECORD, claims, found('acme'), TOPIC);
    expect(rekeyedFrom(moved.headers)).toEqual(FROM);
    expect(moved.headers.filter(([name]) => name === 'eventdispatch-origin-topic')).toHaveLength(1);
  });

  test.each([undefined, -1])('without a time (%s) has the time 0', (timestamp) => {
    const moved = rekeyedRecordOf({ ...RECORD, timestamp }, [], found('acme'), TOPIC);
    expect(rekeyedFrom(moved.headers)?.timestampMs).toBe(0);
  });
});

describe('a record that is no usable event', () => {
  test('goes by its key, unchanged', () => {
    const moved = rekeyedRecordOf(RECORD, OWN, NO_EVENT, TOPIC);
    expect(moved).toMatchObject({ partition: partitionOf('order-9'), key: RECORD.key, value: RECORD.value });
  });

  test('and has no key, goes by the number of its partition', () => {
    expect(rekeyedRecordOf({ ...RECORD, partition: 31, key: null }, [], NO_EVENT, TOPIC).partition).toBe(7);
  });

  test('and has no value, still has none', () => {
    expect(rekeyedRecordOf({ ...RECORD, value: null }, [], NO_EVENT, TOPIC).value).toBeNull();
  });
});

describe('what the topic does not take', () => {
  test('loses the end of its value, stays too large an event, and says how much is gone', () => {
    const value = Buffer.alloc(50_000, 'v');
    const moved = rekeyedRecordOf({ ...RECORD, value }, OWN, NO_EVENT, TOPIC);
    expect(moved.value).toHaveLength(TOPIC.maxValueBytes + 1);
    expect(String(moved.headers.at(-1))).toBe('eventdispatch-omitted-value-bytes,48999');
    expect(moved.key).toBe(RECORD.key);
    expect(sizeOf(moved)).toBeLessThanOrEqual(TOPIC.maxBytes);
  });

  test('for its headers loses these and its key, and keeps its place', () => {
    const large: RecordHeader[] = [['large', Buffer.alloc(20_000)], ...OWN];
    const moved = rekeyedRecordOf(RECORD, large, found('acme'), TOPIC);
    expect(moved).toMatchObject({ key: null, value: RECORD.value });
    expect(String(moved.headers.at(-1))).toBe('eventdispatch-omitted-headers,4');
    expect(rekeyedFrom(moved.headers)).toEqual(FROM);
    expect(sizeOf(moved)).toBeLessThanOrEqual(TOPIC.maxBytes);
  });
});
