import type { FieldMapping } from '../domain/event.ts';
import type { RecordHeader, SourceRecord } from '../domain/record.ts';
import { rekeyedHeaders } from '../domain/rekeyed-from.ts';
import { partitionOfKey } from './murmur2.ts';

/** A record for the topic that is keyed by tenant. */
export interface RekeyedRecord {
  /** That of its tenant. */
  readonly partition: number;
  /** As it was, since an event's key may be taken from it. */
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: readonly RecordHeader[];
}

/** Finds a record's tenant without decoding it; what it found stays readable until its next look. */
export interface TenantFinder {
  /** 0, or the code of the reason why the record is no usable event. */
  readonly invalid: number;
  /** Whose bytes from `tenantStart` to `tenantEnd` are the tenant's name. */
  readonly tenant: Uint8Array;
  readonly tenantStart: number;
  readonly tenantEnd: number;
  readonly schemaId: number;
  /** @returns false when the record's schema is not known yet. */
  look(record: SourceRecord, mapping: FieldMapping): boolean;
}

export interface RekeyedTopic {
  readonly name: string;
  readonly partitions: number;
  /** What it takes, headers included. */
  readonly maxBytes: number;
  /** `kafka.maxRecordSize`: a larger value is no usable event. */
  readonly maxValueBytes: number;
}

/** What Kafka writes around a record and each of its headers, at most. */
const RECORD_OVERHEAD_BYTES = 1_024;
const HEADER_OVERHEAD_BYTES = 10;

/**
 * A record as it goes on: its bytes, and headers that say where it was. One that is
 * no usable event goes by its key, and the lane that gets it says what it lacks.
 *
 * @param finder has looked at it.
 * @param headers the record's own.
 */
export function rekeyedRecordOf(
  record: SourceRecord,
  headers: readonly RecordHeader[],
  finder: TenantFinder,
  topic: RekeyedTopic,
): RekeyedRecord {
  const { partition, offset, timestamp = 0, value, key = null } = record;
  const from = { topic: record.topic, partition, offset, timestampMs: Math.max(0, timestamp) };
  const whole = {
    partition: partitionOf(record, finder, topic.partitions),
    key,
    value,
    headers: rekeyedHeaders(from, headers),
  };
  if (sizeOf(whole) <= topic.maxBytes) return whole;
  const cut = withoutEndOfValue(whole, topic.maxValueBytes);
  if (sizeOf(cut) <= topic.maxBytes) return cut;
  return {
    ...cut,
    key: null,
    headers: [...rekeyedHeaders(from, []), note('omitted-headers', headers.length)],
  };
}

function partitionOf(
  { key, partition }: SourceRecord,
  { invalid, tenant, tenantStart, tenantEnd }: TenantFinder,
  partitions: number,
): number {
  if (invalid === 0) return partitionOfKey(tenant, tenantStart, tenantEnd, partitions);
  return key ? partitionOfKey(key, 0, key.length, partitions) : partition % partitions;
}

/** No topic of ours takes the whole of it, but one byte too many says as well that it is too large. */
function withoutEndOfValue(record: RekeyedRecord, maxValueBytes: number): RekeyedRecord {
  const { value, headers } = record;
  if (value === null || value.length <= maxValueBytes) return record;
  const kept = value.subarray(0, maxValueBytes + 1);
  return {
    ...record,
    value: kept,
    headers: [...headers, note('omitted-value-bytes', value.length - kept.length)],
  };
}

function note(name: string, count: number): RecordHeader {
  return [`eventdispatch-${name}`, Buffer.from(String(count))];
}

/** What Kafka makes of it, at most. */
export function sizeOf({ key, value, headers }: RekeyedRecord): number {
  let bytes = RECORD_OVERHEAD_BYTES + (key?.length ?? 0) + (value?.length ?? 0);
  // Base64 makes four bytes of three.
  for (const [name, { length }] of headers)
    bytes += HEADER_OVERHEAD_BYTES + 2 * name.length + Math.ceil((length * 4) / 3);
  return bytes;
}
