import { columnNames, type LedgerTable } from './columns.ts';

/** The input format of every insert: it serves the embedded engine, which takes text only, and the server alike. */
export const INSERT_FORMAT = 'TabSeparated';

const TOKEN = /^[0-9a-f]{16,128}$/;

/**
 * Settings of every insert. They go into the statement itself: as settings of a
 * request the embedded engine would keep them for its whole session, and with them
 * a token that silently swallows a later batch.
 *
 * @param token hexadecimal, a function of the bytes and the table.
 * @throws RangeError for a token of another form.
 */
export function insertSettings(token: string): Record<string, string | number> {
  if (!TOKEN.test(token))
    throw new RangeError('a deduplication token is 16 to 128 lower-case hexadecimal digits');
  return {
    // Asynchronous inserts, the default since ClickHouse 26, are acknowledged without deduplication.
    async_insert: 0,
    insert_deduplicate: 1,
    insert_deduplication_token: token,
    // Without it the rollups would count a batch again each time it is sent; with it, once, also one that reached only the table.
    deduplicate_blocks_in_dependent_materialized_views: 1,
    // Detection would take a first row that looks like column names for a header, and drop it.
    input_format_tsv_detect_header: 0,
    // The row codec writes epoch seconds; best_effort would guess.
    date_time_input_format: 'basic',
  };
}

/** @param columns of the rows; what is left out gets its default. */
export function insertStatement(
  table: LedgerTable,
  token: string,
  columns: readonly string[] = columnNames(table),
): string {
  const settings = Object.entries(insertSettings(token)).map(([name, value]) =>
    typeof value === 'number' ? `${name} = ${value}` : `${name} = '${value}'`,
  );
  return `INSERT INTO ${table} (${columns.join(', ')}) SETTINGS ${settings.join(', ')} FORMAT ${INSERT_FORMAT}`;
}
