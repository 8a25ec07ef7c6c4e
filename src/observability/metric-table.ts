import { PROCESS_METRICS } from './process-metrics.ts';

/**
 * Every metric the program exposes. `docs/metrics.md`, the dashboard and the
 * alert rules are checked against this table; `metrics.ts` has one reader for
 * each name, and the compiler sees to it that none is missing.
 */
export interface MetricDefinition {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly unit: 'records' | 'attempts' | 'deliveries' | 'seconds' | 'bytes' | 'rows' | 'count' | 'state';
  readonly labels: Readonly<Record<string, LabelValues>>;
  readonly help: string;
}

/** The closed list of a label's values, or the sentence that says what bounds them. */
export type LabelValues = readonly string[] | string;

const LANE = { lane: 'the lane number, at most 255' } as const;
const DESTINATION = {
  destination: 'the first 500 destination ids in configuration order; the rest share (other)',
} as const;
const PARTITION = {
  topic: 'consumed topics, together with partition at most 1000 series; the rest share (other)',
  partition: 'assigned partitions',
} as const;

export const METRICS = {
  eventdispatch_build_info: {
    type: 'gauge',
    unit: 'state',
    labels: { version: 'one value per process', node: 'one value per process' },
    help: 'Always 1; the labels say what runs.',
  },
  eventdispatch_records_polled_total: {
    type: 'counter',
    unit: 'records',
    labels: {},
    help: 'Records read from Kafka.',
  },
  eventdispatch_polls_total: {
    type: 'counter',
    unit: 'count',
    labels: {},
    help: 'Polls of the consumer that returned, empty ones included. It moves even when every partition is paused.',
  },
  eventdispatch_poll_seconds_total: {
    type: 'counter',
    unit: 'seconds',
    labels: {},
    help: 'Time the main thread spent taking in what polls returned.',
  },
  eventdispatch_consumer_lag_records: {
    type: 'gauge',
    unit: 'records',
    labels: PARTITION,
    help: 'Records between the consumer position and the end of an assigned partition.',
  },
  eventdispatch_frontier_gap_records: {
    type: 'gauge',
    unit: 'records',
    labels: PARTITION,
    help: 'Records between the first one that is not durable and the newest admitted one: what a crash would read again.',
  },
  eventdispatch_partitions_assigned: {
    type: 'gauge',
    unit: 'count',
    labels: {},
    help: 'Partitions this process owns.',
  },
  eventdispatch_partitions_paused: {
    type: 'gauge',
    unit: 'count',
    labels: {},
    help: 'Owned partitions that are not fetched because a bound is reached.',
  },
  eventdispatch_open_records: {
    type: 'gauge',
    unit: 'records',
    labels: {},
    help: 'Records admitted and not yet durable, in all lanes and in settlement.',
  },
  eventdispatch_open_bytes: {
    type: 'gauge',
    unit: 'bytes',
    labels: {},
    help: 'Bytes of records admitted and not yet let go of by their lanes.',
  },
  eventdispatch_commits_total: {
    type: 'counter',
    unit: 'count',
    labels: { result: ['ok', 'failed'] },
    help: 'Offset commits the broker answered. A failed one is repeated by a later one.',
  },
  eventdispatch_rebalances_total: {
    type: 'counter',
    unit: 'count',
    labels: {},
    help: 'Changes of this process’s assignment.',
  },
  eventdispatch_tenants_on_several_partitions_total: {
    type: 'counter',
    unit: 'count',
    labels: {},
    help: 'Tenants whose events this process read from more than one partition number, among the first 10,000 it saw.',
  },
  eventdispatch_lanes_alive: {
    type: 'gauge',
    unit: 'count',
    labels: {},
    help: 'Lane threads that run.',
  },
  eventdispatch_lane_restarts_total: {
    type: 'counter',
    unit: 'count',
    labels: {},
    help: 'Lane threads that ended unasked and were started again.',
  },
  eventdispatch_lane_busy_seconds_total: {
    type: 'counter',
    unit: 'seconds',
    labels: LANE,
    help: 'Time a lane’s event loop was busy; its rate is the share of a core.',
  },
  eventdispatch_lane_open_records: {
    type: 'gauge',
    unit: 'records',
    labels: LANE,
    help: 'Records a lane holds.',
  },
  eventdispatch_lane_open_bytes: {
    type: 'gauge',
    unit: 'bytes',
    labels: LANE,
    help: 'Bytes of the records a lane holds.',
  },
  eventdispatch_main_busy_seconds_total: {
    type: 'counter',
    unit: 'seconds',
    labels: {},
    help: 'Time the main thread’s event loop was busy; its rate is the share of a core.',
  },
  eventdispatch_records_received_total: {
    type: 'counter',
    unit: 'records',
    labels: {},
    help: 'Records that reached their lane.',
  },
  eventdispatch_records_done_total: {
    type: 'counter',
    unit: 'records',
    labels: {},
    help: 'Records whose deliveries have all ended.',
  },
  eventdispatch_records_undelivered_total: {
    type: 'counter',
    unit: 'records',
    labels: { outcome: ['invalid', 'no_route', 'filtered', 'duplicate'] },
    help: 'Records that ended without a delivery, by outcome.',
  },
  eventdispatch_attempts_total: {
    type: 'counter',
    unit: 'attempts',
    labels: {
      class: [
        'delivered',
        'rejected',
        'throttled',
        'failed_before_send',
        'failed_after_send',
        'timed_out',
        'blocked',
        'local',
      ],
    },
    help: 'HTTP attempts that ended, by what became of them.',
  },
  eventdispatch_attempt_duration_seconds: {
    type: 'histogram',
    unit: 'seconds',
    labels: {},
    help: 'From the start of an attempt to its end.',
  },
  eventdispatch_receipt_latency_seconds: {
    type: 'histogram',
    unit: 'seconds',
    labels: {},
    help: 'From a record’s Kafka timestamp to the 2xx of a receiver, retries and waits included.',
  },
  eventdispatch_deliveries_total: {
    type: 'counter',
    unit: 'deliveries',
    labels: { outcome: ['delivered', 'dead', 'rejected', 'expired', 'skipped_disabled'] },
    help: 'Deliveries that ended, by final outcome.',
  },
  eventdispatch_deliveries_refused_total: {
    type: 'counter',
    unit: 'deliveries',
    labels: {},
    help: 'Deliveries that went to a delay topic unsent: a breaker was open, or the receiver had asked for a pause.',
  },
  eventdispatch_breakers_opened_total: {
    type: 'counter',
    unit: 'count',
    labels: {},
    help: 'Times a circuit breaker opened, of any destination of any tenant.',
  },
  eventdispatch_destinations_disabled_total: {
    type: 'counter',
    unit: 'count',
    labels: {},
    help: 'Destinations of a tenant that were disabled: by a 410, or after nothing but failures for too long.',
  },
  eventdispatch_retries_scheduled_total: {
    type: 'counter',
    unit: 'attempts',
    labels: {},
    help: 'Attempts, failed or not made, that another one follows.',
  },
  eventdispatch_requests_in_flight: {
    type: 'gauge',
    unit: 'count',
    labels: {},
    help: 'Requests sent or being sent that have no answer yet.',
  },
  eventdispatch_deliveries_queued: {
    type: 'gauge',
    unit: 'deliveries',
    labels: {},
    help: 'Deliveries that wait in a lane for a token, a slot or their next attempt.',
  },
  eventdispatch_deliveries_behind_keys: {
    type: 'gauge',
    unit: 'deliveries',
    labels: {},
    help: 'Deliveries to destinations with an order that wait in a lane for another of their key to end.',
  },
  eventdispatch_token_waits_total: {
    type: 'counter',
    unit: 'deliveries',
    labels: {},
    help: 'Deliveries that had to wait for their destination’s rate limit.',
  },
  eventdispatch_origin_waits_total: {
    type: 'counter',
    unit: 'deliveries',
    labels: {},
    help: 'Deliveries that had to wait for a connection to their origin.',
  },
  eventdispatch_request_body_bytes_total: {
    type: 'counter',
    unit: 'bytes',
    labels: {},
    help: 'Bytes of request bodies sent.',
  },
  eventdispatch_response_body_bytes_total: {
    type: 'counter',
    unit: 'bytes',
    labels: {},
    help: 'Bytes of response bodies read.',
  },
  eventdispatch_connections_in_use: {
    type: 'gauge',
    unit: 'count',
    labels: {},
    help: 'Connections to receivers that carry a request.',
  },
  eventdispatch_destination_deliveries_total: {
    type: 'counter',
    unit: 'deliveries',
    labels: { ...DESTINATION, outcome: ['delivered', 'dead'] },
    help: 'Deliveries that ended, by destination; dead includes rejected.',
  },
  eventdispatch_destination_failed_attempts_total: {
    type: 'counter',
    unit: 'attempts',
    labels: DESTINATION,
    help: 'Attempts without a 2xx, by destination.',
  },
  eventdispatch_destination_requests_in_flight: {
    type: 'gauge',
    unit: 'count',
    labels: DESTINATION,
    help: 'Requests without an answer yet, by destination.',
  },
  eventdispatch_ledger_rows_total: {
    type: 'counter',
    unit: 'rows',
    labels: {},
    help: 'Ledger rows ClickHouse has acknowledged.',
  },
  eventdispatch_ledger_bytes_total: {
    type: 'counter',
    unit: 'bytes',
    labels: {},
    help: 'Encoded bytes of acknowledged ledger rows.',
  },
  eventdispatch_ledger_inserts_total: {
    type: 'counter',
    unit: 'count',
    labels: { result: ['ok', 'failed'] },
    help: 'Bulk inserts tried. A failed one is tried again with the same bytes.',
  },
  eventdispatch_ledger_insert_seconds_total: {
    type: 'counter',
    unit: 'seconds',
    labels: {},
    help: 'Time bulk inserts took, failed ones included.',
  },
  eventdispatch_ledger_pending_rows: {
    type: 'gauge',
    unit: 'rows',
    labels: {},
    help: 'Ledger rows that ClickHouse has not acknowledged yet.',
  },
  eventdispatch_ledger_pending_bytes: {
    type: 'gauge',
    unit: 'bytes',
    labels: {},
    help: 'Encoded bytes of ledger rows that ClickHouse has not acknowledged yet.',
  },
  eventdispatch_overflow_batches_total: {
    type: 'counter',
    unit: 'count',
    labels: { direction: ['written', 'drained'], result: ['ok', 'failed'] },
    help: 'Ledger batches, by table, written to the overflow topic, and inserted from it. A failed one is tried again.',
  },
  eventdispatch_overflow_rows_total: {
    type: 'counter',
    unit: 'rows',
    labels: { direction: ['written', 'drained'] },
    help: 'Ledger rows written to the overflow topic, and inserted from it.',
  },
  eventdispatch_overflow_waiting_batches: {
    type: 'gauge',
    unit: 'count',
    labels: {},
    help: 'Ledger batches in the partitions of the overflow topic that this process drains.',
  },
  eventdispatch_retry_copies_total: {
    type: 'counter',
    unit: 'records',
    labels: {},
    help: 'Records of delay topics that were passed over since another had said the same: copies made by a crash.',
  },
  eventdispatch_handovers_total: {
    type: 'counter',
    unit: 'records',
    labels: { to: ['dead_letter', 'bad_event', 'retry'], result: ['ok', 'failed'] },
    help: 'Records produced to the dead-letter, bad-event and delay topics. A failed one is produced again.',
  },
  eventdispatch_handovers_pending: {
    type: 'gauge',
    unit: 'records',
    labels: { to: ['dead_letter', 'bad_event', 'retry'] },
    help: 'Records produced that the broker has not acknowledged yet.',
  },
  eventdispatch_rekeyed_records_total: {
    type: 'counter',
    unit: 'records',
    labels: { result: ['ok', 'failed'] },
    help: 'Records of kafka.rekey.topics produced to the topic keyed by tenant. A failed one is produced again.',
  },
  eventdispatch_rekey_pending_records: {
    type: 'gauge',
    unit: 'records',
    labels: {},
    help: 'Records of kafka.rekey.topics that were produced and that the broker has not acknowledged yet.',
  },
  eventdispatch_schema_lookups_total: {
    type: 'counter',
    unit: 'count',
    labels: { result: ['found', 'unknown', 'failed'] },
    help: 'Schema ids asked of the registry; those of the folder and the cached ones are not.',
  },
} as const satisfies Record<string, MetricDefinition>;
export type MetricName = keyof typeof METRICS;

/** The names of all series a scrape carries: a histogram's three suffixed ones instead of its own. */
export function seriesNames(): string[] {
  const own = Object.entries(METRICS).flatMap(([name, { type }]) =>
    type === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
  );
  return [...own, ...PROCESS_METRICS];
}
