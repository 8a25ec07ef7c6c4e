/**
 * Proves that a retry's headers come back as they were written, through any number
 * of hand-overs and whatever the record's own headers are; and that headers which
 * somebody else made are a named problem at worst, never an exception.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { RecordHeader } from '../../src/domain/record.ts';
import { rekeyedFrom, rekeyedHeaders } from '../../src/domain/rekeyed-from.ts';
import * as codec from '../../src/retry/retry-headers.ts';
import type { RetryHeaders } from '../../src/domain/retry-headers.ts';
import { variantOf } from '../domain/planted-bug.ts';
import { retryHeadersOf } from '../lanes/lane-parts.ts';

type Codec = typeof codec;

const MAX_TIME_MS = 8.64e15;
/** Any text, and what a codec trips over: a zero byte, which makes it Base64 on the way, and a byte order mark. */
const identifier = fc.oneof(
  fc.string({ unit: 'binary', minLength: 1, maxLength: 128 }),
  fc.constantFrom('\0', 'a\0b', '\ufeffacme', '\ufeff'),
);
const time = fc.oneof(fc.nat(), fc.integer({ min: 0, max: MAX_TIME_MS }));
const retryOf = fc.record<RetryHeaders>({
  sourceTopic: fc.stringMatching(/^[a-z0-9._-]{1,249}$/),
  sourcePartition: fc.oneof(fc.nat(64), fc.nat()),
  sourceOffset: fc.maxSafeNat(),
  sourceTimestampMs: time,
  tenant: identifier,
  eventId: identifier,
  eventType: fc.string({ unit: 'binary', maxLength: 128 }),
  deliveryId: fc.stringMatching(/^dlv_[A-Za-z0-9_-]{22}$/),
  destinationId: fc.stringMatching(/^[A-Za-z0-9_.-]{1,64}$/),
  attempts: fc.nat(65_535),
  firstSeenMs: time,
  dueMs: time,
  hops: fc.nat(1_000),
  reason: fc.constantFrom('', 'http_503', 'connect_refused'),
  status: fc.constantFrom(0, 200, 503, 999),
});

/** Bytes that are not always UTF-8, under names that are sometimes nearly ours. */
const headerName = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 12 }),
  fc.constantFrom(
    'traceparent',
    'ce_id',
    'eventdispatch',
    'Eventdispatch-tenant',
    '',
    '__proto__',
    'constructor',
  ),
);
const ownHeader = fc.tuple(headerName, fc.uint8Array({ maxLength: 24 }));
const own = fc.array(ownHeader, { maxLength: 6 });

/** The names under which anything of ours may come, of this version and of others. */
const ourName = fc.constantFrom(
  'eventdispatch-source-topic',
  'eventdispatch-source-partition',
  'eventdispatch-source-offset',
  'eventdispatch-tenant',
  'eventdispatch-attempts',
  'eventdispatch-due',
  'eventdispatch-status',
  'eventdispatch-outcome',
  'eventdispatch-omitted-value-bytes',
  'eventdispatch-',
  'eventdispatch-base64.eventdispatch-tenant',
  'eventdispatch-base64.eventdispatch-due',
);

/** What node-rdkafka's producer makes of a header; see `kafka/producer.ts`. */
function throughKafka(headers: readonly RecordHeader[]): RecordHeader[] {
  return headers.map(([name, bytes]) => {
    const value = Buffer.from(bytes);
    const isText = Buffer.from(value.toString('utf8'), 'utf8').equals(value) && !value.includes(0);
    return isText ? [name, value] : [`eventdispatch-base64.${name}`, Buffer.from(value.toString('base64'))];
  });
}

function shown(headers: readonly RecordHeader[]): string[] {
  return headers.map(([name, bytes]) => `${name}=${Buffer.from(bytes).toString('hex')}`);
}

function roundTrip(tested: Codec): fc.IProperty<[RetryHeaders, RetryHeaders, RecordHeader[], boolean]> {
  return fc.property(retryOf, retryOf, own, fc.boolean(), (first, second, original, isHanded) => {
    const transport = isHanded ? throughKafka : (headers: readonly RecordHeader[]) => [...headers];
    const once = transport(tested.encodeRetryHeaders(first, original));
    expect(tested.decodeRetryHeaders(once)).toEqual(first);
    const twice = transport(tested.encodeRetryHeaders(second, once));
    expect(tested.decodeRetryHeaders(twice)).toEqual(second);
    expect(twice).toHaveLength(once.length);
    expect(shown(tested.ownHeaders(twice))).toEqual(shown(transport(original)));
    expect(shown(tested.originalHeaders(twice))).toEqual(shown(original));
  });
}

/** Headers of a good retry with something done to them, or any at all. */
const hostile: fc.Arbitrary<RecordHeader[]> = fc.oneof(
  fc.array(fc.tuple(fc.oneof(ourName, headerName), fc.uint8Array({ maxLength: 24 })), { maxLength: 40 }),
  fc
    .tuple(
      retryOf,
      fc.nat(13),
      fc.oneof(
        fc.uint8Array({ maxLength: 24 }),
        fc
          .constantFrom(
            '-1',
            '1.5',
            '1e3',
            '0x10',
            '',
            ' 1',
            '+1',
            '01',
            'NaN',
            'Infinity',
            '9'.repeat(16),
            '99999',
          )
          .map((text): Uint8Array => Buffer.from(text)),
        fc.integer({ min: 1_025, max: 3_000 }).map((length) => Buffer.alloc(length, '7')),
      ),
      fc.constantFrom('replace', 'repeat', 'drop', 'wrap'),
    )
    .map(([retry, at, bytes, how]) => {
      const headers = codec.encodeRetryHeaders(retry, []);
      const name = headers[at]![0];
      if (how === 'drop') headers.splice(at, 1);
      else if (how === 'repeat') headers.push([name, bytes]);
      else headers[at] = [how === 'wrap' ? `eventdispatch-base64.${name}` : name, bytes];
      return headers;
    }),
);

function totality(tested: Codec): fc.IProperty<[RecordHeader[]]> {
  return fc.property(hostile, (headers) => {
    const decoded = tested.decodeRetryHeaders(headers);
    if ('problem' in decoded) {
      expect(decoded.problem).toMatch(/^[a-z_]{1,20}_(?:missing|repeated|malformed|too_long)$/);
      return;
    }
    for (const value of Object.values(decoded) as (string | number)[]) {
      if (typeof value === 'number') expect(Number.isSafeInteger(value) && value >= 0).toBe(true);
      else expect(Buffer.byteLength(value)).toBeLessThanOrEqual(1_024);
    }
    expect(decoded.attempts).toBeLessThanOrEqual(65_535);
    expect(decoded.status).toBeLessThanOrEqual(999);
    // What was taken for good says the very same when it is written again.
    const names = new Set(codec.encodeRetryHeaders(decoded, []).map(([name]) => name));
    const ours = headers.filter(([name]) => names.has(name.replace('eventdispatch-base64.', '')));
    expect(ours).toHaveLength(names.size);
    expect(codec.decodeRetryHeaders(codec.encodeRetryHeaders(decoded, headers))).toEqual(decoded);
  });
}

test('what is written is read, through any number of hand-overs, with the record’s own headers untouched', () => {
  fc.assert(roundTrip(codec), { numRuns: 2_000 });
});

test('hostile headers are a named problem or harmless', () => {
  fc.assert(totality(codec), { numRuns: 5_000 });
});

describe('a planted bug is caught', () => {
  test.each([
    [
      'a retry of a retry doubles ours',
      'const headers = ownHeaders(original)',
      'const headers = [...original]',
      roundTrip,
    ],
    [
      'what Base64 wraps is taken for ours',
      'return unwrapped(name).startsWith(PREFIX)',
      'return name.startsWith(PREFIX)',
      roundTrip,
    ],
    [
      'ours that Base64 wraps are kept',
      'return unwrapped(name).startsWith(PREFIX)',
      'return !name.startsWith(BASE64_PREFIX) && name.startsWith(PREFIX)',
      roundTrip,
    ],
    [
      'ours that Base64 wraps are not read',
      'const isBase64 = fullName',
      'const isBase64 = false && fullName',
      roundTrip,
    ],
    ['a byte order mark is swallowed', 'ignoreBOM: true', 'ignoreBOM: false', roundTrip],
    ['two fields change places', "'due', 'dueMs'", "'due', 'firstSeenMs'", roundTrip],
    ['invalid UTF-8 throws', 'return null;\n  }\n}', 'throw new Error();\n  }\n}', totality],
    [
      'the last of repeated ones counts',
      'values[field.key] !== undefined) return',
      'false) return',
      totality,
    ],
    ['any length', 'bytes.length > (', 'bytes.length > 99 * (', totality],
    [
      'anything for a number',
      'WHOLE_NUMBER.test(decoded) ? Number(decoded) : Infinity',
      'Number(decoded)',
      totality,
    ],
    ['any number', 'value <= field.max ? value : null', 'value', totality],
    [
      'missing ones do not matter',
      'if (values[field.key] === undefined) return',
      'if (false) return',
      totality,
    ],
  ])('%s', async (_what, from, to, property) => {
    const buggy = await variantOf<Codec>('retry/retry-headers.ts', [from, to]);
    expect(fc.check<unknown>(property(buggy) as fc.IProperty<unknown>, { numRuns: 5_000 }).failed).toBe(true);
  });
});

const retry: RetryHeaders = {
  sourceTopic: 'events',
  sourcePartition: 3,
  sourceOffset: 2 ** 40,
  sourceTimestampMs: 1_800_000_000_000,
  tenant: 'acme',
  eventId: 'evt-1',
  eventType: 'contact.created',
  deliveryId: 'dlv_x',
  destinationId: 'crm',
  attempts: 2,
  firstSeenMs: 1_800_000_000_001,
  dueMs: 1_800_000_030_000,
  hops: 3,
  reason: 'http_503',
  status: 503,
};

test('the headers, as anybody may read them on the topic', () => {
  const headers = codec.encodeRetryHeaders(retry, [['trace', Buffer.from('1')]]);
  expect(headers.map(([name, bytes]) => `${name}: ${Buffer.from(bytes).toString()}`)).toEqual([
    'trace: 1',
    'eventdispatch-source-topic: events',
    'eventdispatch-source-partition: 3',
    'eventdispatch-source-offset: 1099511627776',
    'eventdispatch-source-timestamp: 1800000000000',
    'eventdispatch-tenant: acme',
    'eventdispatch-event-id: evt-1',
    'eventdispatch-event-type: contact.created',
    'eventdispatch-delivery-id: dlv_x',
    'eventdispatch-destination-id: crm',
    'eventdispatch-attempts: 2',
    'eventdispatch-first-seen: 1800000000001',
    'eventdispatch-due: 1800000030000',
    'eventdispatch-hops: 3',
    'eventdispatch-reason: http_503',
    'eventdispatch-status: 503',
  ]);
});

test('each value of ours owns exactly its bytes: posting a view would copy the pool behind it', () => {
  for (const [, bytes] of codec.encodeRetryHeaders(retry, [])) {
    expect(bytes.buffer.byteLength).toBe(bytes.byteLength);
  }
});

test('a fraction of a millisecond never makes it due earlier', () => {
  const decoded = codec.decodeRetryHeaders(codec.encodeRetryHeaders({ ...retry, dueMs: 99.2 }, []));
  expect(decoded).toMatchObject({ dueMs: 100 });
});

test.each<[string, (headers: RecordHeader[]) => RecordHeader[], string]>([
  ['none at all', () => [], 'source_topic_missing'],
  ['without its tenant', (of) => of.filter(([name]) => !name.endsWith('tenant')), 'tenant_missing'],
  ['with two due times', (of) => [...of, ['eventdispatch-due', Buffer.from('1')]], 'due_repeated'],
  [
    'with a due time in Base64 too',
    (of) => [...of, ['eventdispatch-base64.eventdispatch-due', Buffer.from('MQ==')]],
    'due_repeated',
  ],
  ['with a negative count', (of) => replaced(of, 'attempts', '-1'), 'attempts_malformed'],
  [
    'with a partition no Kafka has',
    (of) => replaced(of, 'source-partition', '2147483648'),
    'source_partition_malformed',
  ],
  ['with no text for an id', (of) => replaced(of, 'event-id', ''), 'event_id_malformed'],
  ['with an id of a megabyte', (of) => replaced(of, 'event-id', 'x'.repeat(1 << 20)), 'event_id_too_long'],
])('%s: %s', (_what, change, problem) => {
  expect(codec.decodeRetryHeaders(change(codec.encodeRetryHeaders(retry, [])))).toEqual({ problem });
});

function replaced(headers: readonly RecordHeader[], name: string, text: string): RecordHeader[] {
  return headers.map((header) =>
    header[0] === `eventdispatch-${name}` ? [header[0], Buffer.from(text)] : header,
  );
}

test('a header that only looks like Base64 of ours stays as it came', () => {
  const header: RecordHeader = ['eventdispatch-base64.trace', Buffer.from('not base64')];
  expect(codec.ownHeaders([header])).toEqual([header]);
  expect(codec.originalHeaders([header])).toEqual([header]);
});

test('where a record was moved from stays with its retries, and is none of its own headers', () => {
  const from = { topic: 'orders', partition: 3, offset: 44, timestampMs: 5 };
  const moved = rekeyedHeaders(from, [['own', Buffer.from('x')]]);
  const once = codec.encodeRetryHeaders(retryHeadersOf(), moved);
  const twice = codec.encodeRetryHeaders(retryHeadersOf({ attempts: 2 }), once);
  expect(rekeyedFrom(twice)).toEqual(from);
  expect(twice).toHaveLength(once.length);
  expect(shown(codec.originalHeaders(twice))).toEqual(shown([['own', Buffer.from('x')]]));
});

test('a hop changes how often it has hopped, and nothing else', () => {
  const original: RecordHeader[] = [['trace', Buffer.from('1')]];
  const hopped = codec.withHops(codec.encodeRetryHeaders(retry, original), retry.hops + 1);
  expect(codec.decodeRetryHeaders(hopped)).toEqual({ ...retry, hops: retry.hops + 1 });
  expect(codec.originalHeaders(hopped)).toEqual(original);
});
