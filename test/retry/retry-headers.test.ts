/**
 * Proves that a retry's headers come back as they were written, through any number
 * of hand-overs and whatever the record's own headers are; and that headers which
 * somebody else made are a named problem at worst, never an exception.
 */
import { isUtf8 } from 'node:buffer';
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
  'eventdispatch-retry',
  'eventdispatch-base64.eventdispatch-retry',
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

function givenUp(tested: Codec): fc.IProperty<[RetryHeaders, RecordHeader[]]> {
  return fc.property(retryOf, own, (retry, original) => {
    const waiting = throughKafka(tested.encodeRetryHeaders(retry, original));
    const letter = throughKafka(tested.encodeFacts(retry, waiting));
    expect(letter).toHaveLength(original.length + 15);
    expect(shown(tested.originalHeaders(letter))).toEqual(shown(original));
    expect(tested.decodeRetryHeaders(tested.encodeRetryHeaders(retry, letter))).toEqual(retry);
    expect(tested.encodeRetryHeaders(retry, letter)).toHaveLength(original.length + 1);
  });
}

const RETRY = 'eventdispatch-retry';

/** Headers of a retry that say this. */
function saying(json: string): RecordHeader[] {
  return [[RETRY, Buffer.from(json)]];
}

function factsOf(headers: readonly RecordHeader[]): Record<string, unknown> {
  const [, bytes] = headers.find(([name]) => name === RETRY)!;
  return JSON.parse(Buffer.from(bytes).toString()) as Record<string, unknown>;
}

/** Headers of a good retry with something done to them, or any at all. */
const hostile: fc.Arbitrary<RecordHeader[]> = fc.oneof(
  fc.array(fc.tuple(fc.oneof(ourName, headerName), fc.uint8Array({ maxLength: 24 })), { maxLength: 40 }),
  fc.json().map(saying),
  fc
    .tuple(retryOf, fc.nat(), fc.constantFrom('repeat', 'wrap', 'cut', 'break'))
    .map(([retry, at, how]): RecordHeader[] => {
      const [name, written] = codec.encodeRetryHeaders(retry, [])[0]!;
      const broken = Buffer.from(written);
      broken[at % broken.length] = 0xff;
      if (how === 'repeat')
        return [
          [name, written],
          [name, written],
        ];
      if (how === 'wrap') return [[`eventdispatch-base64.${name}`, written]];
      return [[name, how === 'cut' ? written.subarray(0, at % written.length) : broken]];
    }),
  fc
    .tuple(
      retryOf,
      fc.nat(14),
      fc.oneof(
        fc.jsonValue({ maxDepth: 1 }),
        fc.constantFrom<unknown>(-1, -0, 1.5, 2 ** 60, 99_999, '1', '', null, true, [], {}),
        fc.integer({ min: 1_000, max: 1_000_000 }),
        fc.integer({ min: 342, max: 3_000 }).map((length) => '\u20ac'.repeat(length)),
      ),
      fc.boolean(),
    )
    .map(([retry, at, value, isDropped]) => {
      const good = factsOf(codec.encodeRetryHeaders(retry, []));
      const name = Object.keys(good)[at]!;
      const facts = { ...good, [name]: isDropped ? undefined : value };
      // JSON.stringify makes 0 of −0.
      const json = JSON.stringify(facts);
      return saying(Object.is(value, -0) ? json.replace(`"${name}":0`, `"${name}":-0`) : json);
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
    expect(headers.filter(([name]) => name === RETRY)).toHaveLength(1);
    expect(headers.every(([name, bytes]) => name !== RETRY || isUtf8(bytes))).toBe(true);
    expect(factsOf(headers)).toMatchObject(factsOf(codec.encodeRetryHeaders(decoded, [])));
    expect(codec.decodeRetryHeaders(codec.encodeRetryHeaders(decoded, headers))).toEqual(decoded);
  });
}

test('what is written is read, through any number of hand-overs, with the record’s own headers untouched', () => {
  fc.assert(roundTrip(codec), { numRuns: 2_000 });
});

test('what is given up keeps the record’s own headers, and may be a retry again', () => {
  fc.assert(givenUp(codec), { numRuns: 1_000 });
});

test('hostile headers are a named problem or harmless', () => {
  fc.assert(totality(codec), { numRuns: 5_000 });
});

describe('a planted bug is caught', () => {
  test.each([
    [
      'a retry of a retry doubles ours',
      'const headers = ownHeaders(original);\n  headers.push([RETRY',
      'const headers = [...original];\n  headers.push([RETRY',
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
      givenUp,
    ],
    [
      'what is given up stays a retry',
      'const headers = ownHeaders(original);\n  appendFacts',
      'const headers = [...original];\n  appendFacts',
      givenUp,
    ],
    ['two fields change places', "'due', 'dueMs'", "'due', 'firstSeenMs'", roundTrip],
    ['invalid UTF-8 throws', 'return null;\n  }\n}', 'throw new Error();\n  }\n}', totality],
    ['invalid UTF-8 is read', 'fatal: true', 'fatal: false', totality],
    ['the last of repeated ones counts', 'bytes !== null) return', 'false) return', totality],
    [
      'any length',
      'value.length > TEXT_MAX_BYTES || Buffer.byteLength(value) > TEXT_MAX_BYTES',
      'value.length > TEXT_MAX_BYTES',
      totality,
    ],
    [
      'anything for a number',
      'return isWholeNumber(value) && value <= max',
      'return (value as number) <= max',
      totality,
    ],
    ['any number', ' && value <= max', '', totality],
    ['a number below zero', ' && !Object.is(value, -0)', '', totality],
    [
      'missing ones do not matter',
      "if (value === undefined) return problemOf(field, 'missing');",
      'if (value === undefined) continue;',
      totality,
    ],
  ])('%s', async (_what, from, to, property) => {
    const buggy = await variantOf<Codec>('retry/retry-headers.ts', [from, to]);
    expect(
      fc.check<unknown>(property(buggy) as fc.IProperty<unknown>, { seed: 1, numRuns: 5_000 }).failed,
    ).toBe(true);
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

test('the header, as anybody may read it on the topic', () => {
  const headers = codec.encodeRetryHeaders(retry, [['trace', Buffer.from('1')]]);
  expect(headers.map(([name]) => name)).toEqual(['trace', 'eventdispatch-retry']);
  expect(factsOf(headers)).toEqual({
    'source-topic': 'events',
    'source-partition': 3,
    'source-offset': 1_099_511_627_776,
    'source-timestamp': 1_800_000_000_000,
    tenant: 'acme',
    'event-id': 'evt-1',
    'event-type': 'contact.created',
    'delivery-id': 'dlv_x',
    'destination-id': 'crm',
    attempts: 2,
    'first-seen': 1_800_000_000_001,
    due: 1_800_000_030_000,
    hops: 3,
    reason: 'http_503',
    status: 503,
  });
});

test('what is given up has a header for each fact, and none of the retry that it was', () => {
  const waiting = codec.encodeRetryHeaders(retry, [['trace', Buffer.from('1')]]);
  const { tenant, attempts, reason } = retry;
  const headers = codec.encodeFacts({ tenant, attempts, reason, dueMs: undefined }, waiting);
  expect(headers.map(([name, bytes]) => `${name}: ${Buffer.from(bytes).toString()}`)).toEqual([
    'trace: 1',
    'eventdispatch-tenant: acme',
    'eventdispatch-attempts: 2',
    'eventdispatch-reason: http_503',
  ]);
});

test('each value of ours owns exactly its bytes: posting a view would copy the pool behind it', () => {
  for (const [, bytes] of codec.encodeRetryHeaders(retry, [])) {
    expect(bytes.buffer.byteLength).toBe(bytes.byteLength);
  }
});

test('texts as long as they may be, of characters that JSON escapes, come back', () => {
  const text = '\x01'.repeat(1_024);
  const longest = { ...retry, tenant: text, eventId: text, eventType: text, reason: text };
  expect(codec.decodeRetryHeaders(codec.encodeRetryHeaders(longest, []))).toEqual(longest);
});

test('a fraction of a millisecond never makes it due earlier', () => {
  const decoded = codec.decodeRetryHeaders(codec.encodeRetryHeaders({ ...retry, dueMs: 99.2 }, []));
  expect(decoded).toMatchObject({ dueMs: 100 });
});

const GOOD = factsOf(codec.encodeRetryHeaders(retry, []));

test.each<[string, RecordHeader[], string]>([
  ['none at all', [], 'retry_missing'],
  ['two of them', [...changed({}), ...changed({})], 'retry_repeated'],
  ['no JSON', saying('due: 1'), 'retry_malformed'],
  ['no object', saying('null'), 'retry_malformed'],
  ['a megabyte', saying(' '.repeat(1 << 20)), 'retry_too_long'],
  ['without its tenant', changed({ tenant: undefined }), 'tenant_missing'],
  ['with a negative count', changed({ attempts: -1 }), 'attempts_malformed'],
  ['with a number as text', changed({ attempts: '1' }), 'attempts_malformed'],
  [
    'with a partition no Kafka has',
    changed({ 'source-partition': 2_147_483_648 }),
    'source_partition_malformed',
  ],
  ['with no text for an id', changed({ 'event-id': '' }), 'event_id_malformed'],
  ['with an id of two kilobytes', changed({ 'event-id': 'x'.repeat(2_048) }), 'event_id_too_long'],
])('%s', (_what, headers, problem) => {
  expect(codec.decodeRetryHeaders(headers)).toEqual({ problem });
});

function changed(change: Readonly<Record<string, unknown>>): RecordHeader[] {
  return saying(JSON.stringify({ ...GOOD, ...change }));
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
