import type { RecordHeader } from '../domain/record.ts';
import type { RetryHeaders } from '../domain/retry-headers.ts';
import type { DeadLetter } from './dead-letter.ts';

/** A record for a delay topic; `partition` is the number of its source partition. */
export interface RetryRecord {
  readonly partition: number;
  readonly key: Buffer | null;
  readonly value: Buffer;
  readonly headers: readonly RecordHeader[];
}

/** The record's own headers out of those of a dead letter, then ours. */
export type EncodeHeaders = (
  retry: RetryHeaders,
  headers: readonly RecordHeader[],
) => readonly RecordHeader[];

export interface RedriveTarget {
  /** Of the delay topic. */
  readonly partitions: number;
  readonly destinationIds: ReadonlySet<string>;
}

/** Why a dead letter cannot be tried again, in words for a person; null when it can. */
export function whyNotRedrivable(letter: DeadLetter, target: RedriveTarget): string | null {
  const { source } = letter;
  if (letter.value === null) return 'without their value, which was too large for the dead-letter topic';
  if (source.topic === '' || source.partition < 0 || source.offset < 0)
    return 'that do not tell where their record came from';
  if (letter.tenant === '' || letter.eventId === '') return 'that do not tell their tenant and event';
  if (source.partition >= target.partitions) return 'from a partition that the delay topic does not have';
  if (!target.destinationIds.has(letter.destinationId))
    return 'for a destination that the configuration does not have';
  return null;
}

/**
 * The same delivery, due now with all of its attempts: key, value, the record's own headers
 * and every id are those of the dead letter.
 *
 * @param nowMs Unix epoch milliseconds.
 * @throws RangeError for a dead letter without its value.
 */
export function retryRecordOf(letter: DeadLetter, nowMs: number, encodeHeaders: EncodeHeaders): RetryRecord {
  const { source, tenant, eventId, eventType, deliveryId, destinationId, reason, status } = letter;
  if (letter.value === null) throw new RangeError('a dead letter without its value cannot be redriven');
  const retry: RetryHeaders = {
    sourceTopic: source.topic,
    sourcePartition: source.partition,
    sourceOffset: source.offset,
    // Unknown is −1 here and 0 there.
    sourceTimestampMs: Math.max(0, source.timestampMs),
    ...{ tenant, eventId, eventType, deliveryId, destinationId },
    attempts: 0,
    firstSeenMs: nowMs,
    dueMs: nowMs,
    hops: 0,
    ...{ reason, status },
  };
  return {
    partition: source.partition,
    key: letter.key,
    value: letter.value,
    headers: encodeHeaders(retry, letter.headers),
  };
}
