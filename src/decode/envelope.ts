import { isUtf8 } from 'node:buffer';
import type { Priority } from '../domain/destination.ts';
import type { Event, FieldMapping, FieldSource } from '../domain/event.ts';
import { limits } from '../domain/limits.ts';
import type { RecordHeader } from '../domain/record.ts';
import { InvalidRecord } from './errors.ts';
import { epochMs } from './time-scale.ts';

/** A record's content, as the decoder gives it. */
export interface DecodedRecord {
  /** All of it, as UTF-8 JSON. */
  readonly data: Buffer;
  /** Full name of its schema. */
  readonly schemaName: string;
  /** The field a source names: a string, an int's or long's digits, an enum's symbol; '' when there is none, or it is anything else. */
  text(source: AvroSource): string;
  /** The same for a time: Unix epoch milliseconds, null when there is none that makes sense. */
  timeMs(source: AvroSource): number | null;
}

/** A field of the record itself. */
export type AvroSource = Extract<FieldSource, { from: 'avro' }>;

/** Where a record came from, and what it carried beside its value. */
export interface RecordOrigin {
  readonly place: { readonly topic: string; readonly partition: number; readonly offset: number };
  /** Unix epoch milliseconds. */
  readonly timestampMs: number;
  readonly key: Buffer | null;
  readonly headers: readonly RecordHeader[];
}

/** CloudEvents attributes as headers, in binary mode: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md */
const CLOUD_EVENTS = {
  id: 'ce_id',
  type: 'ce_type',
  source: 'ce_source',
  time: 'ce_time',
  key: 'ce_subject',
} as const;

/**
 * The event that a record is. CloudEvents headers win, then what the mapping
 * says, then: for the id the record's place `topic/partition/offset`, for the
 * type the schema's name, for the time the record's own, for the priority
 * `normal`, for the rest nothing.
 *
 * @param tenant as ingest found it.
 * @throws InvalidRecord `malformed` when an identifier is longer than `limits.identifierMaxBytes`.
 */
export function buildEvent(
  decoded: DecodedRecord,
  mapping: FieldMapping,
  origin: RecordOrigin,
  tenant: string,
): Event {
  const { headers } = origin;
  return {
    id: identifier(
      'id',
      headerText(headers, CLOUD_EVENTS.id) || textAt(mapping.id, decoded, origin) || placeOf(origin),
    ),
    type: identifier(
      'type',
      headerText(headers, CLOUD_EVENTS.type) || textAt(mapping.type, decoded, origin) || decoded.schemaName,
    ),
    tenant,
    timeMs: timeOf(decoded, mapping.time, origin),
    version: identifier('version', textAt(mapping.version, decoded, origin)),
    source: identifier(
      'source',
      headerText(headers, CLOUD_EVENTS.source) || textAt(mapping.source, decoded, origin),
    ),
    key: identifier('key', headerText(headers, CLOUD_EVENTS.key) || textAt(mapping.key, decoded, origin)),
    correlationId: identifier('correlationId', textAt(mapping.correlationId, decoded, origin)),
    aggregateType: told('aggregateType', mapping.aggregateType, decoded, origin),
    aggregateId: told('aggregateId', mapping.aggregateId, decoded, origin),
    aggregateVersion: told('aggregateVersion', mapping.aggregateVersion, decoded, origin),
    priority: priorityOf(decoded, mapping, origin),
    expiresAtMs: mapping.expiresAt === null ? null : timeAt(mapping.expiresAt, decoded, origin),
    data: decoded.data,
  };
}

function told(
  name: string,
  source: FieldSource | null,
  decoded: DecodedRecord,
  origin: RecordOrigin,
): string {
  return source === null ? '' : identifier(name, textAt(source, decoded, origin));
}

function timeOf(decoded: DecodedRecord, source: FieldSource, origin: RecordOrigin): number {
  return (
    epochMs(headerText(origin.headers, CLOUD_EVENTS.time), 'millis') ??
    timeAt(source, decoded, origin) ??
    Math.max(0, origin.timestampMs)
  );
}

function timeAt(source: FieldSource, decoded: DecodedRecord, origin: RecordOrigin): number | null {
  return source.from === 'avro' ? decoded.timeMs(source) : epochMs(textAt(source, decoded, origin), 'millis');
}

/** A priority's name in any case, since an Avro enum's symbols are often capitals; anything else is `normal`. */
function priorityOf(decoded: DecodedRecord, { priority }: FieldMapping, origin: RecordOrigin): Priority {
  if (priority === null) return 'normal';
  if (priority.from === 'constant') return priority.value;
  const name = textAt(priority, decoded, origin).toLowerCase();
  return name === 'high' || name === 'low' ? name : 'normal';
}

function placeOf({ place: { topic, partition, offset } }: RecordOrigin): string {
  return `${topic}/${partition}/${offset}`;
}

function textAt(source: FieldSource, decoded: DecodedRecord, origin: RecordOrigin): string {
  switch (source.from) {
    case 'avro':
      return decoded.text(source);
    case 'header':
      return headerText(origin.headers, source.name);
    case 'key':
      return origin.key === null ? '' : bytesText(origin.key);
  }
}

/** The last header of that name, as Kafka's own `lastHeader` reads a repeated one. */
function headerText(headers: readonly RecordHeader[], name: string): string {
  for (let i = headers.length - 1; i >= 0; i--) {
    const header = headers[i] as RecordHeader;
    if (header[0] === name) return bytesText(header[1]);
  }
  return '';
}

/** UTF-8, or hexadecimal where the bytes are not: a binary key stays distinct from every other one. */
function bytesText(bytes: Uint8Array): string {
  const buffer = Buffer.isBuffer(bytes)
    ? bytes
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return buffer.toString(isUtf8(buffer) ? 'utf8' : 'hex');
}

/** A character takes at most 3 bytes a UTF-16 unit, so most identifiers need no counting. */
const MOST_BYTES_PER_UNIT = 3;

function identifier(name: string, text: string): string {
  const isShort = text.length * MOST_BYTES_PER_UNIT <= limits.identifierMaxBytes;
  if (isShort || Buffer.byteLength(text) <= limits.identifierMaxBytes) return text;
  throw new InvalidRecord('malformed', `the ${name} is longer than ${limits.identifierMaxBytes} bytes`);
}
