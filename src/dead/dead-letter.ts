import type { RecordHeader, SourceRecord } from '../domain/record.ts';

/** A dead letter's place in the dead-letter topic, which is its name: `partition:offset`. */
export interface Place {
  readonly partition: number;
  readonly offset: number;
}

/**
 * Why a delivery ended as a dead letter, told by who can mend it.
 *
 * - `refused`   the receiver answered and refused it for good: 3xx, most 4xx.
 * - `endpoint`  the receiver was reached and failed: 5xx, 429, deadline, reset, garbage.
 * - `pipeline`  it never came as far as a receiver: `worker_crash`, a blocked address, names,
 *               connections, TLS, our own shortages.
 */
export const DEAD_KINDS = ['refused', 'endpoint', 'pipeline'] as const;
export type DeadKind = (typeof DEAD_KINDS)[number];

/** What a dead letter tells of its delivery, without its bytes. Missing text is '', a missing number −1. */
export interface DeadLetterFacts {
  readonly place: Place;
  /** When it became a dead letter, Unix epoch milliseconds. */
  readonly diedAtMs: number;
  readonly outcome: string;
  readonly reason: string;
  /** HTTP status of the last attempt, 0 when there was no answer. */
  readonly status: number;
  readonly attempts: number;
  readonly kind: DeadKind;
  readonly tenant: string;
  readonly eventId: string;
  readonly eventType: string;
  readonly deliveryId: string;
  readonly destinationId: string;
  /** The original record's place and time (Unix epoch milliseconds). */
  readonly source: Place & { readonly topic: string; readonly timestampMs: number };
}

/** A delivery that was given up, as the dead-letter topic has it. */
export interface DeadLetter extends DeadLetterFacts {
  readonly key: Buffer | null;
  /** Null when it was left out, being too large for the topic. */
  readonly value: Buffer | null;
  /** The record's own headers, then ours, as they are on the topic. */
  readonly headers: readonly RecordHeader[];
}

/** Begins the name of every header that is ours. */
const OUR_PREFIX = 'eventdispatch-';
/** … of one that the producer had to carry in Base64: a tenant's name with a zero byte, say. See `kafka/producer.ts`. */
const WRAPPED_PREFIX = `eventdispatch-base64.${OUR_PREFIX}`;

/** Reasons without a status after which bytes of the request may have reached the receiver; see `deliver/classify.ts`. */
const REACHED: ReadonlySet<string> = new Set([
  'deadline',
  'reset',
  'closed',
  'failed',
  'response_malformed',
  'response_headers_too_large',
]);

/** Statuses of 3xx and 4xx that say "try again" by their definition, and so end a delivery only by use of its attempts. */
const TRIED_AGAIN: ReadonlySet<number> = new Set([408, 425, 429]);

/** Total: every pair of a reason and a status has one kind. */
export function kindOf(reason: string, status: number): DeadKind {
  if (status >= 300 && status <= 499 && !TRIED_AGAIN.has(status)) return 'refused';
  if (status > 0) return 'endpoint';
  return REACHED.has(reason) ? 'endpoint' : 'pipeline';
}

/** @returns null for a record that is no dead letter of ours: one without a delivery id. */
export function deadLetterOf(record: SourceRecord): DeadLetter | null {
  const headers = headersOf(record);
  const ours = new Map<string, string>();
  // Ours come last, so an original header of the same name does not stand for it.
  for (const [name, value] of headers) {
    const text = Buffer.from(value).toString('utf8');
    if (name.startsWith(WRAPPED_PREFIX))
      ours.set(name.slice(WRAPPED_PREFIX.length), Buffer.from(text, 'base64').toString('utf8'));
    else if (name.startsWith(OUR_PREFIX)) ours.set(name.slice(OUR_PREFIX.length), text);
  }
  const text = (name: string): string => ours.get(name) ?? '';
  if (text('delivery-id') === '') return null;
  const reason = text('reason');
  const status = Math.max(0, wholeNumber(ours.get('status')));
  return {
    place: { partition: record.partition, offset: record.offset },
    diedAtMs: record.timestamp ?? -1,
    outcome: text('outcome'),
    reason,
    status,
    attempts: wholeNumber(ours.get('attempts')),
    kind: kindOf(reason, status),
    tenant: text('tenant'),
    eventId: text('event-id'),
    eventType: text('event-type'),
    deliveryId: text('delivery-id'),
    destinationId: text('destination-id'),
    source: {
      topic: text('source-topic'),
      partition: wholeNumber(ours.get('source-partition')),
      offset: wholeNumber(ours.get('source-offset')),
      timestampMs: wholeNumber(ours.get('source-timestamp')),
    },
    key: record.key ?? null,
    value: record.value,
    headers,
  };
}

/** A copy that holds none of the record's bytes. */
export function factsOf(letter: DeadLetter): DeadLetterFacts {
  const { key: _key, value: _value, headers: _headers, ...facts } = letter;
  return facts;
}

export function placeText({ partition, offset }: Place): string {
  return `${partition}:${offset}`;
}

/** @returns null when the text is no `partition:offset`. */
export function parsePlace(text: string): Place | null {
  const [, partition, offset] = /^(\d{1,9}):(\d{1,15})$/.exec(text) ?? [];
  if (partition === undefined || offset === undefined) return null;
  return { partition: Number(partition), offset: Number(offset) };
}

function wholeNumber(text: string | undefined): number {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : -1;
}

function headersOf({ headers = [] }: SourceRecord): RecordHeader[] {
  return headers.flatMap((header) =>
    Object.entries(header).map(([name, value]): RecordHeader => [
      name,
      typeof value === 'object' ? value : Buffer.from(String(value)),
    ]),
  );
}
