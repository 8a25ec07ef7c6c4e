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
/** The producer puts it before the name of a header whose value it carries as Base64; see `kafka/producer.ts`. */
const BASE64_PREFIX = 'eventdispatch-base64.';

/** Twice what any name or id may have; longer ones are not ours. */
const TEXT_MAX_BYTES = 1_024;
const BASE64_MAX_BYTES = 4 * Math.ceil(TEXT_MAX_BYTES / 3);
const MAX_INT32 = 2 ** 31 - 1;
/** The last moment that a Date can be. */
const MAX_TIME_MS = 8.64e15;
const WHOLE_NUMBER = /^(?:0|[1-9]\d{0,15})$/;

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

const FIELD_INDEX: ReadonlyMap<string, number> = new Map(FIELDS.map(({ name }, i) => [PREFIX + name, i]));

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * The headers of a retry record: the record's own, then ours.
 * @param retry fractions of its numbers are rounded up.
 * @param original as the record was read, from a source or a delay topic. Values are not copied.
 */
export function encodeRetryHeaders(retry: RetryHeaders, original: readonly RecordHeader[]): RecordHeader[] {
  const headers = ownHeaders(original);
  appendFacts(headers, retry);
  return headers;
}

/** Appends the headers of what is told of a delivery, in the order of a retry's; what is undefined has none. */
export function appendFacts(headers: RecordHeader[], facts: KnownFacts): void {
  for (const { name, key } of FIELDS) {
    const value = facts[key];
    if (value === undefined) continue;
    headers.push([
      PREFIX + name,
      encoder.encode(typeof value === 'number' ? String(Math.ceil(value)) : value),
    ]);
  }
}

/** The same headers, but for how often the record has hopped. */
export function withHops(headers: readonly RecordHeader[], hops: number): RecordHeader[] {
  const name = `${PREFIX}hops`;
  return [...headers.filter((header) => header[0] !== name), [name, encoder.encode(String(hops))]];
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
  const values: Record<string, string | number> = {};
  for (const [fullName, bytes] of headers) {
    const isBase64 = fullName.startsWith(BASE64_PREFIX);
    const index = FIELD_INDEX.get(isBase64 ? fullName.slice(BASE64_PREFIX.length) : fullName);
    if (index === undefined) continue;
    const field = FIELDS[index] as Field;
    if (values[field.key] !== undefined) return problemOf(field, 'repeated');
    if (bytes.length > (isBase64 ? BASE64_MAX_BYTES : TEXT_MAX_BYTES)) return problemOf(field, 'too_long');
    const value = valueOf(field, bytes, isBase64);
    if (value === null) return problemOf(field, 'malformed');
    values[field.key] = value;
  }
  for (const field of FIELDS) {
    if (values[field.key] === undefined) return problemOf(field, 'missing');
  }
  return values as unknown as RetryHeaders;
}

function valueOf(field: Field, bytes: Uint8Array, isBase64: boolean): string | number | null {
  const decoded = textOf(bytes, isBase64);
  if (decoded === null) return null;
  if (field.max === null) return decoded === '' && !field.mayBeEmpty ? null : decoded;
  const value = WHOLE_NUMBER.test(decoded) ? Number(decoded) : Infinity;
  return value <= field.max ? value : null;
}

/** Null for what is no UTF-8, or no Base64 of it. */
function textOf(bytes: Uint8Array, isBase64: boolean): string | null {
  try {
    const plain = decoder.decode(bytes);
    if (!isBase64) return plain;
    const inside = fromBase64(plain);
    return inside && decoder.decode(inside);
  } catch {
    return null;
  }
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
