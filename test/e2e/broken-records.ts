import { AvroEncoder } from '../../src/decode/avro-encoder.ts';
import { encodeConfluent } from '../../src/decode/wire.ts';
import type { InvalidReason } from '../../src/domain/outcome.ts';

export const NOTE_SCHEMA_ID = 7;
const UNKNOWN_SCHEMA_ID = 8;

/** A schema with every kind of place at which bytes can be wrong; `text` comes last, so that its length is the record's. */
export const NOTE_SCHEMA = {
  type: 'record',
  name: 'Note',
  namespace: 'eventdispatch.test',
  fields: [
    { name: 'eventId', type: 'string' },
    { name: 'eventType', type: 'string' },
    { name: 'timestamp', type: { type: 'long', logicalType: 'timestamp-millis' } },
    { name: 'version', type: 'int' },
    { name: 'tenantId', type: 'string' },
    { name: 'source', type: 'string' },
    { name: 'correlationId', type: ['null', 'string'], default: null },
    { name: 'tags', type: { type: 'array', items: 'string' }, default: [] },
    { name: 'marks', type: { type: 'array', items: 'null' }, default: [] },
    {
      name: 'parent',
      type: [
        'null',
        { type: 'record', name: 'Link', fields: [{ name: 'next', type: ['null', 'Link'], default: null }] },
      ],
      default: null,
    },
    { name: 'text', type: 'string' },
  ],
};

export interface Note {
  readonly eventId: string;
  readonly tenantId: string;
  readonly text?: string;
}

export interface BrokenRecord {
  readonly value: Buffer | null;
  readonly reason: InvalidReason;
}

const encoder = new AvroEncoder(NOTE_SCHEMA_ID, JSON.stringify(NOTE_SCHEMA));
const TIMESTAMP_MS = Date.UTC(2026, 0, 1);
const TEXT = 'forty-two';
const EMPTY_ARRAY = Buffer.of(0);
const NULL_BRANCH = Buffer.of(0);

/** A record in the Confluent wire format with nothing wrong. */
export function encodeNote({ eventId, tenantId, text = TEXT }: Note): Buffer {
  return encoder.encode({
    ...{
      eventId,
      tenantId,
      text,
      eventType: 'note.taken',
      timestamp: TIMESTAMP_MS,
      version: 1,
      source: 'test',
    },
    ...{ correlationId: null, tags: [], marks: [], parent: null },
  });
}

/** One record of each kind that cannot be read, by what is wrong with it. */
export function brokenRecords(maxRecordBytes: number): Record<string, BrokenRecord> {
  const good = encodeNote({ eventId: 'good', tenantId: 'tenant-1' });
  const textLengthAt = good.length - TEXT.length - 1;
  return {
    'a null value': { value: null, reason: 'null_value' },
    'no bytes': { value: Buffer.alloc(0), reason: 'too_short' },
    'four bytes': { value: good.subarray(0, 4), reason: 'too_short' },
    'the header alone': { value: good.subarray(0, 5), reason: 'truncated' },
    'a wrong magic byte': { value: Buffer.concat([Buffer.of(1), good.subarray(1)]), reason: 'not_avro' },
    JSON: { value: Buffer.from('{"eventId":"good"}'), reason: 'not_avro' },
    'an unknown schema id': {
      value: encodeConfluent(UNKNOWN_SCHEMA_ID, good.subarray(5)),
      reason: 'unknown_schema',
    },
    'a missing end': { value: good.subarray(0, -3), reason: 'truncated' },
    'bytes after its end': { value: Buffer.concat([good, Buffer.of(0)]), reason: 'trailing_bytes' },
    'a union branch that is none': { value: written({ correlationId: zigzag(2) }), reason: 'malformed' },
    'an array longer than the record': { value: written({ tags: zigzag(2 ** 40) }), reason: 'truncated' },
    'a block whose size is a lie': {
      value: written({ tags: Buffer.concat([zigzag(-1), zigzag(5), text('abc'), EMPTY_ARRAY]) }),
      reason: 'malformed',
    },
    'an array of two billion nothings': {
      value: written({ marks: Buffer.concat([zigzag(2 ** 31), EMPTY_ARRAY]) }),
      reason: 'malformed',
    },
    'records nested a thousand deep': {
      value: written({ parent: Buffer.concat([Buffer.alloc(1_000, 2), NULL_BRANCH]) }),
      reason: 'malformed',
    },
    'a value over the size limit': {
      value: encodeNote({ eventId: 'large', tenantId: 'tenant-1', text: 'x'.repeat(maxRecordBytes) }),
      reason: 'oversize',
    },
    'no tenant': { value: encodeNote({ eventId: 'nobody', tenantId: '' }), reason: 'no_tenant' },
    'a tenant of 600 letters': {
      value: encodeNote({ eventId: 'long', tenantId: 't'.repeat(600) }),
      reason: 'malformed',
    },
    'an event id of 600 letters': {
      value: encodeNote({ eventId: 'e'.repeat(600), tenantId: 'tenant-1' }),
      reason: 'malformed',
    },
    'a flipped bit that lengthens its text': {
      value: flipped(good, textLengthAt, 0x40),
      reason: 'truncated',
    },
    'a flipped bit that shortens its text': {
      value: flipped(good, textLengthAt, 0x10),
      reason: 'trailing_bytes',
    },
    'a flipped bit that makes a length negative': {
      value: flipped(good, textLengthAt, 0x01),
      reason: 'malformed',
    },
  };
}

interface Parts {
  readonly correlationId?: Buffer;
  readonly tags?: Buffer;
  readonly marks?: Buffer;
  readonly parent?: Buffer;
}

/** A note written byte by byte, with parts that no encoder would write. */
function written({
  correlationId = NULL_BRANCH,
  tags = EMPTY_ARRAY,
  marks = EMPTY_ARRAY,
  parent = NULL_BRANCH,
}: Parts): Buffer {
  const head = [
    text('broken'),
    text('note.taken'),
    zigzag(TIMESTAMP_MS),
    zigzag(1),
    text('tenant-1'),
    text('test'),
  ];
  return encodeConfluent(
    NOTE_SCHEMA_ID,
    Buffer.concat([...head, correlationId, tags, marks, parent, text(TEXT)]),
  );
}

function text(value: string): Buffer {
  return Buffer.concat([zigzag(Buffer.byteLength(value)), Buffer.from(value)]);
}

function zigzag(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value < 0 ? -2n * BigInt(value) - 1n : 2n * BigInt(value);
  for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  return Buffer.from([...bytes, Number(rest)]);
}

function flipped(bytes: Buffer, at: number, bit: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] = copy.readUInt8(at) ^ bit;
  return copy;
}
