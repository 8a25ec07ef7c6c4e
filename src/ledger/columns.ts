/**
 * The ledger's tables as the program writes them: each column's name and
 * ClickHouse type, in the order of the migrations, of the INSERT's column list
 * and of the row codec. A test compares all of them.
 *
 * This file runs in lane threads too, so it imports nothing.
 */
const TIME = "DateTime64(3, 'UTC')";
const NAME = 'LowCardinality(String)';

type Column = readonly [name: string, type: string];

/** Which record a row is about: the same in both tables, so that a lane encodes them once per record. */
export const RECORD_COLUMNS = [
  ['tenant', 'String'],
  ['event_id', 'String'],
  ['event_type', NAME],
  ['event_time', TIME],
  ['correlation_id', 'String'],
  ['topic', NAME],
  ['partition', 'UInt32'],
  ['offset', 'Int64'],
  ['produced_at', TIME],
  ['instance', NAME],
  ['lane', 'UInt8'],
  ['epoch', 'UInt32'],
  ['trace_id', 'String'],
] as const satisfies readonly Column[];

export const LEDGER_COLUMNS = {
  /** The payload, once per event record. */
  events: [
    ...RECORD_COLUMNS,
    ['version', NAME],
    ['source', NAME],
    ['event_key', 'String'],
    ['aggregate_type', NAME],
    ['aggregate_id', 'String'],
    ['aggregate_version', 'String'],
    ['deliveries', 'UInt16'],
    ['ingested_at', TIME],
    ['data', 'String'],
  ],
  /** One immutable row per attempt, and one per state change that is none. */
  attempts: [
    ...RECORD_COLUMNS,
    ['delivery_id', 'String'],
    ['destination_id', NAME],
    ['channel', NAME],
    ['attempt', 'UInt16'],
    ['outcome', NAME],
    ['is_final', 'Bool'],
    ['reason', NAME],
    ['status', 'UInt16'],
    ['attempted_at', TIME],
    ['duration_us', 'UInt32'],
    ['next_attempt_at', `Nullable(${TIME})`],
    ['response', 'String'],
    ['class', NAME],
    ['ambiguous', 'Bool'],
    ['hand_over', NAME],
    ['retry_topic', NAME],
    ['retry_partition', 'UInt32'],
    ['retry_offset', 'Int64'],
    ['waited_us', 'UInt32'],
    ['first_byte_us', 'UInt32'],
    ['request_bytes', 'UInt32'],
    ['response_bytes', 'UInt32'],
  ],
} as const satisfies Record<string, readonly Column[]>;

export type LedgerTable = keyof typeof LEDGER_COLUMNS;

export const LEDGER_TABLES = ['events', 'attempts'] as const satisfies readonly LedgerTable[];

export function columnNames(table: LedgerTable): string[] {
  const columns: readonly Column[] = LEDGER_COLUMNS[table];
  return columns.map(([name]) => name);
}
