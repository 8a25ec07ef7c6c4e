import type { RecordHeader } from './record.ts';

/** Where a record was before `rekey` moved it to the topic that is keyed by tenant. */
export interface RekeyedFrom {
  /** Whose field mapping its event has. */
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  /** Unix epoch milliseconds, 0 when unknown. */
  readonly timestampMs: number;
}

/** Not those of a retry: a retry of a moved record tells both of its places. */
const PREFIX = 'eventdispatch-origin-';
const TOPIC = `${PREFIX}topic`;
const PARTITION = `${PREFIX}partition`;
const OFFSET = `${PREFIX}offset`;
const TIMESTAMP = `${PREFIX}timestamp`;
const WHOLE_NUMBER = /^\d{1,15}$/;

/** Whether `rekey` wrote it. Retries and dead letters keep such headers, since the mapping of their event is told by them. */
export function isRekeyHeader(name: string): boolean {
  return name.startsWith(PREFIX);
}

/** A record's own headers, then where it was. What claims to be ours already is left out. */
export function rekeyedHeaders(from: RekeyedFrom, own: readonly RecordHeader[]): RecordHeader[] {
  const headers = own.filter(([name]) => !isRekeyHeader(name));
  headers.push(
    [TOPIC, Buffer.from(from.topic)],
    [PARTITION, Buffer.from(String(from.partition))],
    [OFFSET, Buffer.from(String(from.offset))],
    [TIMESTAMP, Buffer.from(String(from.timestampMs))],
  );
  return headers;
}

/**
 * To be asked of records of the rekeyed topic only, and of their retries: elsewhere
 * anybody may have written such headers.
 * @returns null when they are not whole, as of a record that somebody else put there.
 */
export function rekeyedFrom(headers: readonly RecordHeader[]): RekeyedFrom | null {
  let topic = '';
  let partition = -1;
  let offset = -1;
  let timestampMs = -1;
  for (const [name, value] of headers) {
    if (!isRekeyHeader(name)) continue;
    const text = Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('utf8');
    if (name === TOPIC) topic = text;
    else if (name === PARTITION) partition = wholeNumber(text);
    else if (name === OFFSET) offset = wholeNumber(text);
    else if (name === TIMESTAMP) timestampMs = wholeNumber(text);
  }
  return topic === '' || partition < 0 || offset < 0 || timestampMs < 0
    ? null
    : { topic, partition, offset, timestampMs };
}

function wholeNumber(text: string): number {
  return WHOLE_NUMBER.test(text) ? Number(text) : -1;
}
