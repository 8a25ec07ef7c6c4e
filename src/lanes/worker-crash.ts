import { partName } from '../domain/spread.ts';
import { unpackHeaders } from '../domain/packed-headers.ts';
import type { RecordHeader } from '../domain/record.ts';
import { AttemptRows, encodeRecord, NOTHING_SENT } from '../ledger/rows.ts';
import type { RetryHeaders } from '../domain/retry-headers.ts';
import { appendFacts, decodeRetryHeaders, ownHeaders } from '../retry/retry-headers.ts';
import type { BatchReader } from './batch-reader.ts';
import type { Handover, ToLane } from './protocol.ts';

const OUTCOME = 'dead';
const REASON = 'worker_crash';

/** An assignment as lanes are told of it, without what a lane forgets again. */
export type KnownAssignment = Omit<Extract<ToLane, { kind: 'assignment' }>, 'recovered' | 'kind'>;

export interface CrashContext {
  readonly assignment: KnownAssignment;
  readonly instance: string;
  readonly lane: number;
  /** Wall clock. */
  readonly nowMs: number;
}

type Place = 'sourceTopic' | 'sourcePartition' | 'sourceOffset' | 'sourceTimestampMs';
/** What its headers say of a record of a delay topic; of a source's record its place and nothing else. */
type About = Pick<RetryHeaders, Place | 'attempts'> & Partial<RetryHeaders>;
/** True of the retry that the record was, not of the dead letter. */
const NO_LONGER = { firstSeenMs: undefined, dueMs: undefined, hops: undefined };

/**
 * The dead letter of a record that kills the thread which works on it, with its
 * row. Main makes it, of the packed bytes alone: nobody decodes them again. It is
 * about the record, since nobody could tell its deliveries; about one delivery only
 * where the record comes from a delay topic, whose headers name it. Of a spread tenant
 * it is about the part whose lane died: the others' deliveries go on.
 *
 * @param record a reader that stands on it.
 */
export function crashDeadLetter(record: BatchReader, context: CrashContext): Handover {
  const { key, headers, value } = record.bytes;
  const original = headers === null ? [] : unpackHeaders(headers);
  const about = aboutRecord(record, context.assignment, original);
  const kept = context.assignment.isRetry ? ownHeaders(original) : original;
  return {
    to: 'dead_letter',
    assignment: record.assignment,
    sequence: record.sequence,
    key: key && new Uint8Array(key),
    value: value && new Uint8Array(value),
    headers: withOurs(kept, { ...about, tenant: record.tenant, reason: REASON, status: 0 }),
    dueAtMs: 0,
    row: rowOf(record, context, about),
  };
}

function aboutRecord(
  record: BatchReader,
  { topic, partition, isRetry }: KnownAssignment,
  headers: readonly RecordHeader[],
): About {
  const retry = isRetry ? decodeRetryHeaders(headers) : null;
  if (retry !== null && !('problem' in retry)) return retry;
  return {
    sourceTopic: topic,
    sourcePartition: partition,
    sourceOffset: record.offset,
    sourceTimestampMs: record.timestampMs,
    attempts: 0,
  };
}

/** The record's own headers, copied out of the batch, then ours. */
function withOurs(kept: readonly RecordHeader[], about: About): RecordHeader[] {
  const headers = kept.map(([name, bytes]): RecordHeader => [name, new Uint8Array(bytes)]);
  headers.push(['eventdispatch-outcome', new TextEncoder().encode(OUTCOME)]);
  appendFacts(headers, { ...about, ...NO_LONGER });
  return headers;
}

function rowOf(
  record: BatchReader,
  { assignment, instance, lane, nowMs }: CrashContext,
  about: About,
): Uint8Array<ArrayBuffer> | null {
  const { isRetry, topic, partition } = assignment;
  const rows = new AttemptRows();
  rows.append(
    encodeRecord({
      tenant: record.tenant,
      eventId: about.eventId ?? '',
      eventType: about.eventType ?? '',
      eventTimeMs: about.sourceTimestampMs,
      correlationId: '',
      topic: about.sourceTopic,
      partition: about.sourcePartition,
      offset: about.sourceOffset,
      producedAtMs: about.sourceTimestampMs,
      instance,
      lane,
      epoch: assignment.assignment,
      traceId: '',
    }),
    {
      deliveryId: about.deliveryId ?? (record.parts > 1 ? partName(record.part, record.parts) : ''),
      destinationId: about.destinationId ?? '',
      channel: '',
      attempt: about.attempts,
      outcome: OUTCOME,
      isFinal: true,
      reason: REASON,
      status: 0,
      attemptedAtMs: nowMs,
      durationUs: 0,
      nextAttemptAtMs: 0,
      response: '',
      attemptClass: '',
      ambiguous: false,
      handOver: 'dead_letter',
      retryTopic: isRetry ? topic : '',
      retryPartition: isRetry ? partition : 0,
      retryOffset: isRetry ? record.offset : 0,
      ...NOTHING_SENT,
    },
  );
  return rows.take()?.bytes ?? null;
}
