import type { RecordHeader } from '../domain/record.ts';
import { isRekeyHeader } from '../domain/rekeyed-from.ts';
import type { RetryHeaders } from '../domain/retry-headers.ts';

/** Headers of a record that is no usable retry; the problem is short and of a closed vocabulary. */
export interface RetryHeadersProblem {
  readonly problem: string;
}

/** What is known of a delivery, or of a record alone. */
type KnownFacts = { readonly [Name in keyof RetryHeaders]?: RetryHeaders[Name] | undefined };

/** Begins the name of every header of ours. */
const PREFIX = 'eventdispatch-';
/**
 * The one header that makes a record a retry: a JSON object of all that is known of it. One, since
 * node-rdkafka takes some microseconds for each header of a record that it reads or writes.
 */
const RETRY = `${PREFIX}retry`;
/** More than all of its texts take at their longest, should JSON escape each of their bytes. */
const RETRY_MAX_BYTES = 64 * 1024;
/** The producer puts it before the name of a header whose value it carries as Base64; see `kafka/producer.ts`. */
const BASE64_PREFIX = 'eventdispatch-base64.';

/** Twice what any name or id may have; longer ones are not ours. */
const TEXT_MAX_BYTES = 1_024;
const MAX_INT32 = 2 ** 31 - 1;
/** The last moment that a Date can be. */
const MAX_TIME_MS = 8.64e15;

interface Field {
  /** Without the prefix. */
  readonly name: string;
  readonly key: keyof RetryHeaders;
  /** Most that a number may be; null for a text. */
  readonly max: number | null;
  readonly mayBeEmpty: boolean;
}

const FIELDS: readonly Field[] = [
  text('source-topic', 'sourceTopic'),
  number('source-partition', 'sourcePartition', MAX_INT32),
  number('source-offset', 'sourceOffset', Number.MAX_SAFE_INTEGER),
  number('source-timestamp', 'sourceTimestampMs', MAX_TIME_MS),
  text('tenant', 'tenant'),
  text('event-id', 'eventId'),
  text('event-type', 'eventType', true),
  text('delivery-id', 'deliveryId'),
  text('destination-id', 'destinationId'),
  // The ledger's column of attempts has 16 bits.
  number('attempts', 'attempts', 65_535),
  number('first-seen', 'firstSeenMs', MAX_TIME_MS),
  number('due', 'dueMs', MAX_TIME_MS),
  number('hops', 'hops', MAX_INT32),
  text('reason', 'reason', true),
  number('status', 'status', 999),
];

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true });

/**
 * The headers of a retry record: the record's own, then ours.
 * @param retry fractions of its numbers are rounded up.
 * @param original as the record was read, from a source or a delay topic. Values are not copied.
 */
export function encodeRetryHeaders(retry: RetryHeaders, original: readonly RecordHeader[]): RecordHeader[] {
  const facts: Record<string, string | number> = {};
  for (const { name, key } of FIELDS) facts[name] = roundedUp(retry[key]);
  const headers = ownHeaders(original);
  headers.push([RETRY, encoder.encode(JSON.stringify(facts))]);
  return headers;
}

/**
 * The headers of what is given up: the record's own, then one for each fact, in the order of a
 * retry's, as people read and filter them. What is undefined has none.
 */
export function encodeFacts(facts: KnownFacts, original: readonly RecordHeader[]): RecordHeader[] {
  const headers = ownHeaders(original);
  appendFacts(headers, facts);
  return headers;
}

/** Appends what `encodeFacts` writes after the record's own. */
export function appendFacts(headers: RecordHeader[], facts: KnownFacts): void {
  for (const { name, key } of FIELDS) {
    const value = facts[key];
    if (value !== undefined) headers.push([PREFIX + name, encoder.encode(String(roundedUp(value)))]);
  }
}

function roundedUp(value: string | number): string | number {
  return typeof value === 'number' ? Math.ceil(value) : value;
}

/**
 * The headers that a retry record had before it was one, with the values and the
 * names they had then: what its event is built from.
 */
export function originalHeaders(headers: readonly RecordHeader[]): RecordHeader[] {
  const own = headers.filter(([name]) => !isOurs(name));
  return own.map((header) => {
    const [name, bytes] = header;
    if (!name.startsWith(BASE64_PREFIX)) return header;
    const inside = fromBase64(Buffer.from(bytes).toString('latin1'));
    return inside === null ? header : [name.slice(BASE64_PREFIX.length), inside];
  });
}

/**
 * A record's headers without those that we once added, in their order. A header of
 * its own that came back in Base64 stays so: the next topic gets the same bytes. Where
 * `rekey` has moved it from stays as well, since that tells how its event is read.
 */
export function ownHeaders(headers: readonly RecordHeader[]): RecordHeader[] {
  return headers.filter(([name]) => isRekeyHeader(name) || !isOurs(name));
}

function isOurs(name: string): boolean {
  return unwrapped(name).startsWith(PREFIX);
}

/** Total: any headers are a retry's, or have a problem such as `tenant_missing`; work and memory are bounded by their number. */
export function decodeRetryHeaders(headers: readonly RecordHeader[]): RetryHeaders | RetryHeadersProblem {
  let bytes: Uint8Array | null = null;
  for (const [name, value] of headers) {
    if (name !== RETRY) continue;
    if (bytes !== null) return { problem: 'retry_repeated' };
    bytes = value;
  }
  if (bytes === null) return { problem: 'retry_missing' };
  if (bytes.length > RETRY_MAX_BYTES) return { problem: 'retry_too_long' };
  const facts = factsOf(bytes);
  return facts === null ? { problem: 'retry_malformed' } : retryOf(facts);
}

/** Null for what is no UTF-8, or no JSON object. */
function factsOf(bytes: Uint8Array): Readonly<Record<string, unknown>> | null {
  try {
    const facts: unknown = JSON.parse(decoder.decode(bytes));
    return typeof facts === 'object' ? (facts as Record<string, unknown> | null) : null;
  } catch {
    return null;
  }
}

function retryOf(facts: Readonly<Record<string, unknown>>): RetryHeaders | RetryHeadersProblem {
  const values: Record<string, string | number> = {};
  for (const field of FIELDS) {
    const value = facts[field.name];
    if (value === undefined) return problemOf(field, 'missing');
    if (typeof value === 'string' && isTooLong(value)) return problemOf(field, 'too_long');
    if (!isUsable(field, value)) return problemOf(field, 'malformed');
    values[field.key] = value;
  }
  return values as unknown as RetryHeaders;
}

function isUsable({ max, mayBeEmpty }: Field, value: unknown): value is string | number {
  if (max === null) return typeof value === 'string' && (value !== '' || mayBeEmpty);
  return isWholeNumber(value) && value <= max;
}

function isWholeNumber(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0 && !Object.is(value, -0);
}

function isTooLong(value: string): boolean {
  return value.length > TEXT_MAX_BYTES || Buffer.byteLength(value) > TEXT_MAX_BYTES;
}

/** Null for what the producer would not have written. */
function fromBase64(text: string): Buffer | null {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : null;
}

function unwrapped(name: string): string {
  let inner = name;
  while (inner.startsWith(BASE64_PREFIX)) inner = inner.slice(BASE64_PREFIX.length);
  return inner;
}

function problemOf({ name }: Field, what: string): RetryHeadersProblem {
  return { problem: `${name.replaceAll('-', '_')}_${what}` };
}

function text(name: string, key: keyof RetryHeaders, mayBeEmpty = false): Field {
  return { name, key, max: null, mayBeEmpty };
}

function number(name: string, key: keyof RetryHeaders, max: number): Field {
  return { name, key, max, mayBeEmpty: false };
}
