/**
 * Every event the program logs, with its level. ERROR means that data is lost or a
 * human must act; WARN that something failed which the program itself tries again
 * or works around; INFO is the life of the process; DEBUG is for one who looks.
 * Nothing is logged per event or per delivery at INFO and above: these are in the
 * ledger, and counted in the metrics.
 */
export const LOG_EVENTS = {
  starting: { level: 'info', text: 'starting' },
  identified: { level: 'info', text: 'its rows in the ledger bear this instance' },
  started: { level: 'info', text: 'started' },
  draining: { level: 'info', text: 'asked to stop: finishing what is in flight' },
  stopped: { level: 'info', text: 'stopped' },
  drain_deadline_passed: {
    level: 'warn',
    text: 'the shutdown deadline passed; what is left is read again after the next start',
  },
  leave_skipped: {
    level: 'warn',
    text: 'no broker took the last commit, so the consumer group is not left; the broker evicts this member later',
  },
  leave_timed_out: {
    level: 'warn',
    text: 'leaving the consumer group took too long; the broker evicts this member later',
  },
  fatal: { level: 'fatal', text: 'cannot go on' },
  unfit: { level: 'fatal', text: 'cannot go on before somebody decides how' },
  records_skipped: {
    level: 'error',
    text: 'records are gone that nobody has read; it goes on with the oldest there are, as kafka.lostRecords says',
  },

  embedded_broker_started: {
    level: 'info',
    text: 'no kafka.brokers: using the embedded broker, which keeps nothing',
  },
  topics_created: { level: 'info', text: 'topics created' },
  source_topics_missing: {
    level: 'warn',
    text: 'some of kafka.topics are not there; they are read once they are',
  },
  partition_counts_differ: {
    level: 'warn',
    text: 'source topics have different numbers of partitions, so limits and order of a tenant hold per process only; kafka.rekey makes them equal',
  },
  tenant_on_several_partitions: {
    level: 'warn',
    text: 'events of a tenant are in several partitions, so its limits and order hold per process only; key their topics by tenant, or name these in kafka.rekey; told of the first 20 tenants',
  },
  kafka_error: { level: 'warn', text: 'Kafka client error; the client reconnects by itself' },
  partitions_assigned: { level: 'info', text: 'partitions assigned' },
  partitions_revoked: { level: 'info', text: 'partitions revoked' },
  partition_paused: { level: 'debug', text: 'partition paused by a bound' },
  partition_resumed: { level: 'debug', text: 'partition resumed' },
  offsets_committed: { level: 'debug', text: 'offsets committed' },
  rows_durable: { level: 'debug', text: 'ledger rows are durable, in the ledger or the overflow topic' },
  handed_over: { level: 'debug', text: 'the broker has a retry, dead letter or bad event' },
  commit_failed: { level: 'warn', text: 'offset commit failed; a later one repeats it' },
  lease_lapsed: {
    level: 'warn',
    text: 'this process stood still for so long that it may have lost its partitions; it sends nothing until the broker confirms them',
  },
  poll_failed: { level: 'warn', text: 'a poll failed; polling goes on' },

  rekey_begins_at_group: {
    level: 'info',
    text: 'these partitions were never rekeyed, and the pipeline’s own group has read them: rekeying goes on where it stands',
  },
  rekey_failed: {
    level: 'warn',
    text: 'producing to the topic keyed by tenant failed; it is tried again, and the topics that are rekeyed are read no further meanwhile',
  },

  schema_lookup_failed: {
    level: 'warn',
    text: 'schema lookup failed; the partition waits and it is tried again',
  },

  lane_restarted: {
    level: 'warn',
    text: 'a lane thread ended and is replaced; what it had open is sent to the next one',
  },
  lane_failed: {
    level: 'error',
    text: 'a lane can’t be restarted, so the process ends; what it had open is read again',
  },

  breaker_opened: { level: 'warn', text: 'a destination fails; it gets probes only until it answers' },
  breaker_closed: { level: 'info', text: 'a destination answers again' },
  destination_failing: {
    level: 'warn',
    text: 'a destination has done nothing but fail for this share of the time after which it is disabled',
  },
  destination_disabled: {
    level: 'error',
    text: 'a destination is disabled: it said that it is gone (410), or has failed for too long',
  },

  handover_failed: {
    level: 'warn',
    text: 'producing to a dead-letter, bad-event or delay topic failed; it is tried again',
  },

  ledger_migrated: { level: 'info', text: 'ledger tables are up to date' },
  ledger_insert_failed: { level: 'warn', text: 'ledger insert failed; the same bytes are inserted again' },
  ledger_recovered: { level: 'info', text: 'ledger inserts work again' },
  ledger_refused: {
    level: 'error',
    text: 'ClickHouse refuses ledger rows for good; nothing is committed until that is fixed',
  },

  ledger_awaited: {
    level: 'warn',
    text: 'the ledger does not answer, and is asked again: what it holds must be known before anything is sent (start --allow-duplicates goes on without)',
  },
  ledger_answers: { level: 'info', text: 'the ledger answers' },
  ledger_skipped: {
    level: 'error',
    text: 'the ledger does not answer, and --allow-duplicates is set: what it holds of these partitions is delivered again',
  },
  ledger_overflow_started: {
    level: 'warn',
    text: 'ClickHouse does not take ledger rows in time: batches go to the overflow topic',
  },
  ledger_overflow_ended: {
    level: 'info',
    text: 'ClickHouse takes ledger rows again; what is in the overflow topic is drained',
  },
  ledger_overflow_failed: {
    level: 'warn',
    text: 'the overflow topic does not take a ledger batch either; it is tried again, and ingest pauses at its bound',
  },
  ledger_overflow_read: {
    level: 'info',
    text: 'the overflow topic was read, to know what is delivered',
  },
  ledger_overflow_foreign: {
    level: 'error',
    text: 'a record of the overflow topic is none of a ledger batch; it is left there and passed over',
  },
  ledger_drain_failed: { level: 'warn', text: 'draining the overflow topic failed; it is tried again' },
  ledger_drained: { level: 'info', text: 'what was in the overflow topic is in the ledger' },

  http_listening: { level: 'info', text: 'HTTP surface listening' },
  http_handler_failed: { level: 'warn', text: 'an HTTP request could not be answered' },
} as const satisfies Record<string, { level: 'debug' | 'info' | 'warn' | 'error' | 'fatal'; text: string }>;
export type LogEvent = keyof typeof LOG_EVENTS;
