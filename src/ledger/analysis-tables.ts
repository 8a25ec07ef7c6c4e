/**
 * Statements of migration 4: what an analyst reads beside the two tables, and what
 * they need for it. Never edited, as no migration is.
 *
 * The rollups are fed by materialized views, so they begin with this migration. A
 * batch that is sent again is recognised by them as by the table itself: each has
 * a deduplication window of its own, and inserts ask for it
 * (`deduplicate_blocks_in_dependent_materialized_views`).
 *
 * @param deduplicationWindow inserts that are recognised when they are sent again.
 */
export function analysisTables(deduplicationWindow: number): readonly string[] {
  return [...COLUMNS, ...RECOVERY, ...VIEWS, ...minutes(deduplicationWindow), ...usage(deduplicationWindow)];
}

const COLUMNS: readonly string[] = [
  // Rows of before read as made under no assignment, of no trace.
  `ALTER TABLE events
        ADD COLUMN IF NOT EXISTS epoch UInt32 CODEC(T64, LZ4) AFTER lane,
        ADD COLUMN IF NOT EXISTS trace_id String CODEC(ZSTD(1)) AFTER epoch`,
  `ALTER TABLE attempts
        ADD COLUMN IF NOT EXISTS epoch UInt32 CODEC(T64, LZ4) AFTER lane,
        ADD COLUMN IF NOT EXISTS trace_id String CODEC(ZSTD(1)) AFTER epoch,
        ADD COLUMN IF NOT EXISTS waited_us UInt32 CODEC(T64, LZ4),
        ADD COLUMN IF NOT EXISTS first_byte_us UInt32 CODEC(T64, LZ4),
        ADD COLUMN IF NOT EXISTS request_bytes UInt32 CODEC(T64, LZ4),
        ADD COLUMN IF NOT EXISTS response_bytes UInt32 CODEC(T64, LZ4)`,
];

const RECOVERY: readonly string[] = [
  // The record that was tried: of a delay topic where it came from one, else of the source.
  `ALTER TABLE attempts
        ADD COLUMN IF NOT EXISTS place_topic LowCardinality(String) MATERIALIZED if(retry_topic = '', topic, retry_topic),
        ADD COLUMN IF NOT EXISTS place_partition UInt32 MATERIALIZED if(retry_topic = '', partition, retry_partition),
        ADD COLUMN IF NOT EXISTS place_offset Int64 MATERIALIZED if(retry_topic = '', offset, retry_offset)`,
  // What recovery reads, in the order it reads it. By tenant the rows of a partition's last offsets lie
  // everywhere, and an index over the place leaves out next to nothing.
  `ALTER TABLE attempts ADD PROJECTION IF NOT EXISTS by_place (
        SELECT place_topic, place_partition, place_offset, retry_topic, is_final, hand_over, delivery_id
        ORDER BY place_topic, place_partition, place_offset
      )`,
  `ALTER TABLE attempts MATERIALIZE PROJECTION by_place`,
];

const VIEWS: readonly string[] = [
  // A row without a class is no attempt; an attempt that another one follows is both.
  `CREATE VIEW IF NOT EXISTS outcomes AS
      SELECT
        tenant, event_id, event_type, event_time, correlation_id, topic, partition, offset, produced_at,
        instance, lane, epoch, trace_id,
        delivery_id, destination_id, channel, attempt,
        if(outcome = 'retrying', 'retry_scheduled', toString(outcome)) AS outcome,
        is_final, reason, attempted_at AS decided_at, next_attempt_at, hand_over,
        retry_topic, retry_partition, retry_offset
      FROM attempts
      WHERE class = '' OR next_attempt_at IS NOT NULL`,
  // Of several final rows the latest counts, and a redrive after it begins another life;
  // what is not final counts while there is neither. The tuple keeps a null, which argMax would skip.
  `CREATE VIEW IF NOT EXISTS last_outcomes AS
      SELECT
        tenant, event_id, destination_id, delivery_id,
        any(event_type) AS event_type,
        any(channel) AS channel,
        min(produced_at) AS produced_at,
        min(attempted_at) AS first_attempted_at,
        max(attempted_at) AS last_attempted_at,
        countIf(class != '') AS attempts,
        argMax(outcome, word) AS outcome,
        argMax(is_final, word) AS is_final,
        argMax(reason, word) AS reason,
        argMax(status, word) AS status,
        argMax(attempted_at, word) AS decided_at,
        argMax(duration_us, word) AS duration_us,
        tupleElement(argMax(tuple(next_attempt_at), word), 1) AS next_attempt_at
      FROM
      (
        SELECT *, (is_final OR outcome = 'redriven', attempted_at, attempt) AS word
        FROM attempts
        WHERE delivery_id != ''
      )
      GROUP BY tenant, event_id, destination_id, delivery_id`,
];

function minutes(deduplicationWindow: number): readonly string[] {
  return [
    // Minutes of one tenant lie together; the index finds those of a time for all tenants.
    `CREATE TABLE IF NOT EXISTS attempts_per_minute (
        tenant String,
        minute DateTime('UTC') CODEC(Delta, ZSTD(1)),
        destination_id LowCardinality(String),
        channel LowCardinality(String),
        outcome LowCardinality(String),
        rows SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
        sent SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
        duration_us_sum SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
        waited_us_sum SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
        request_bytes_sum SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
        response_bytes_sum SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)),
        durations AggregateFunction(quantilesTDigestIf(0.5, 0.95, 0.99), UInt32, UInt8) CODEC(ZSTD(1)),
        INDEX minutes minute TYPE minmax GRANULARITY 1
      )
      ENGINE = AggregatingMergeTree
      PARTITION BY toYYYYMM(minute)
      ORDER BY (tenant, minute, destination_id, channel, outcome)
      SETTINGS non_replicated_deduplication_window = ${deduplicationWindow}`,
    `CREATE MATERIALIZED VIEW IF NOT EXISTS attempts_per_minute_feed TO attempts_per_minute AS
      SELECT
        tenant,
        toStartOfMinute(toDateTime(attempted_at, 'UTC')) AS minute,
        destination_id,
        channel,
        outcome,
        count() AS rows,
        countIf(class != '') AS sent,
        sum(toUInt64(duration_us)) AS duration_us_sum,
        sum(toUInt64(waited_us)) AS waited_us_sum,
        sum(toUInt64(request_bytes)) AS request_bytes_sum,
        sum(toUInt64(response_bytes)) AS response_bytes_sum,
        quantilesTDigestIfState(0.5, 0.95, 0.99)(duration_us, class != '') AS durations
      FROM attempts
      GROUP BY tenant, minute, destination_id, channel, outcome`,
  ];
}

function usage(deduplicationWindow: number): readonly string[] {
  return [
    `CREATE TABLE IF NOT EXISTS usage_per_day (
        tenant String,
        day Date,
        events SimpleAggregateFunction(sum, UInt64),
        event_bytes SimpleAggregateFunction(sum, UInt64),
        sent SimpleAggregateFunction(sum, UInt64),
        delivered SimpleAggregateFunction(sum, UInt64),
        given_up SimpleAggregateFunction(sum, UInt64),
        request_bytes_sum SimpleAggregateFunction(sum, UInt64),
        response_bytes_sum SimpleAggregateFunction(sum, UInt64)
      )
      ENGINE = AggregatingMergeTree
      PARTITION BY toYYYYMM(day)
      ORDER BY (tenant, day)
      SETTINGS non_replicated_deduplication_window = ${deduplicationWindow}`,
    `CREATE MATERIALIZED VIEW IF NOT EXISTS usage_per_day_events_feed TO usage_per_day AS
      SELECT
        tenant,
        toDate(ingested_at, 'UTC') AS day,
        count() AS events,
        sum(length(data)) AS event_bytes
      FROM events
      GROUP BY tenant, day`,
    `CREATE MATERIALIZED VIEW IF NOT EXISTS usage_per_day_attempts_feed TO usage_per_day AS
      SELECT
        tenant,
        toDate(attempted_at, 'UTC') AS day,
        countIf(class != '') AS sent,
        countIf(outcome = 'delivered') AS delivered,
        countIf(outcome IN ('dead', 'rejected')) AS given_up,
        sum(toUInt64(request_bytes)) AS request_bytes_sum,
        sum(toUInt64(response_bytes)) AS response_bytes_sum
      FROM attempts
      GROUP BY tenant, day`,
  ];
}
