import { toUSVString } from 'node:util';
import fc from 'fast-check';
import type { AttemptRow, EventRow, RecordColumns } from '../../src/ledger/rows.ts';
import { TIME_MS } from '../ledger/sample-rows.ts';

const anyText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc.string({
    unit: fc.integer({ min: 0, max: 0xff_ff }).map((unit) => String.fromCharCode(unit)),
    maxLength: 60,
  }),
  fc.constantFrom('', '\\N', '\\', "'; DROP TABLE attempts; --", '\t\n\r\0\b\f', '\ud83d', 'ünïcödé 😀'),
);
const anyName = fc.constantFrom('', 'a', 'contact.created', 'tab\there', 'ü', 'quote"\'`');
const anyTimeMs = fc.oneof(fc.nat(9_999_999_999_999), fc.constantFrom(0, 1, 999, 1_234_567, 999_999_999_999));

export const anyRecord: fc.Arbitrary<RecordColumns> = fc.record({
  tenant: anyText,
  eventId: anyText,
  eventType: anyName,
  eventTimeMs: anyTimeMs,
  correlationId: anyText,
  topic: fc.constant(''),
  partition: fc.nat(2 ** 32 - 1),
  offset: fc.maxSafeNat(),
  producedAtMs: anyTimeMs,
  instance: anyName,
  lane: fc.nat(255),
  epoch: fc.nat(2 ** 32 - 1),
  traceId: fc.constantFrom('', '4bf92f3577b34da6a3ce929d0e0e4736'),
});
export const anyEvent: fc.Arbitrary<EventRow> = fc.record({
  version: anyName,
  source: anyName,
  key: anyText,
  aggregateType: anyName,
  aggregateId: anyText,
  aggregateVersion: anyText,
  deliveries: fc.nat(65_535),
  ingestedAtMs: fc.nat(1_000_000_000).map((ms) => TIME_MS + ms),
  data: fc
    .oneof(
      fc.json(),
      anyText.map((text) => JSON.stringify([text], null, 1)),
    )
    .map((json) => Buffer.from(json)),
});
export const anyAttempt: fc.Arbitrary<AttemptRow> = fc.record({
  deliveryId: anyText,
  destinationId: anyName,
  channel: anyName,
  attempt: fc.nat(65_535),
  outcome: fc.constantFrom('delivered', 'retrying', 'dead', 'no_route'),
  isFinal: fc.boolean(),
  reason: anyName,
  status: fc.nat(65_535),
  attemptedAtMs: fc.nat(1_000_000_000).map((ms) => TIME_MS + ms),
  durationUs: fc.nat(2 ** 32 - 1),
  nextAttemptAtMs: fc.oneof(fc.constant(0), anyTimeMs),
  response: anyText,
  attemptClass: anyName,
  ambiguous: fc.boolean(),
  handOver: fc.constantFrom('', 'retry', 'dead_letter', 'bad_event'),
  retryTopic: anyName,
  retryPartition: fc.nat(2 ** 32 - 1),
  retryOffset: fc.maxSafeNat(),
  waitedUs: fc.nat(2 ** 32 - 1),
  firstByteUs: fc.nat(2 ** 32 - 1),
  requestBytes: fc.nat(2 ** 32 - 1),
  responseBytes: fc.nat(2 ** 32 - 1),
});

export type Cells = Record<string, unknown>;

/** By column name, so that a swap of two columns in the codec shows. */
function recordCells(record: RecordColumns): Cells {
  return {
    tenant: toUSVString(record.tenant),
    event_id: toUSVString(record.eventId),
    event_type: record.eventType,
    event_time: record.eventTimeMs,
    correlation_id: toUSVString(record.correlationId),
    topic: record.topic,
    partition: record.partition,
    offset: record.offset,
    produced_at: record.producedAtMs,
    instance: record.instance,
    lane: record.lane,
    epoch: record.epoch,
    trace_id: record.traceId,
  };
}

export function eventCells(record: RecordColumns, row: EventRow): Cells {
  return {
    ...recordCells(record),
    version: row.version,
    source: row.source,
    event_key: toUSVString(row.key),
    aggregate_type: row.aggregateType,
    aggregate_id: toUSVString(row.aggregateId),
    aggregate_version: toUSVString(row.aggregateVersion),
    deliveries: row.deliveries,
    ingested_at: row.ingestedAtMs,
    data: Buffer.from(row.data).toString('utf8'),
  };
}

export function attemptCells(record: RecordColumns, row: AttemptRow): Cells {
  return {
    ...recordCells(record),
    delivery_id: toUSVString(row.deliveryId),
    destination_id: row.destinationId,
    channel: row.channel,
    attempt: row.attempt,
    outcome: row.outcome,
    is_final: row.isFinal,
    reason: row.reason,
    status: row.status,
    attempted_at: row.attemptedAtMs,
    duration_us: row.durationUs,
    next_attempt_at: row.nextAttemptAtMs === 0 ? null : row.nextAttemptAtMs,
    response: toUSVString(row.response),
    class: row.attemptClass,
    ambiguous: row.ambiguous,
    hand_over: row.handOver,
    retry_topic: row.retryTopic,
    retry_partition: row.retryPartition,
    retry_offset: row.retryOffset,
    waited_us: row.waitedUs,
    first_byte_us: row.firstByteUs,
    request_bytes: row.requestBytes,
    response_bytes: row.responseBytes,
  };
}
