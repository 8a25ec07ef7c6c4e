import { LEDGER_COLUMNS, type LedgerTable } from './columns.ts';

interface LedgerReader {
  query<T>(sql: string, params?: Readonly<Record<string, unknown>>): Promise<T[]>;
}

/**
 * Whether a table has a row with these values.
 * @param values by column, as the row codec writes them, unescaped; times as `seconds.millis`.
 */
export async function hasStoredRow(
  ledger: LedgerReader,
  table: LedgerTable,
  values: Readonly<Record<string, string>>,
): Promise<boolean> {
  const types = new Map<string, string>(LEDGER_COLUMNS[table]);
  const conditions = Object.keys(values).map((column) => {
    const type = /^LowCardinality\((.*)\)$/.exec(types.get(column) ?? '')?.[1] ?? types.get(column);
    if (type === undefined) throw new Error(`${table} has no column ${column}`);
    return `${column} = {${column}:${type}}`;
  });
  const found = await ledger.query(
    `SELECT 1 FROM ${table} WHERE ${conditions.join(' AND ')} LIMIT 1`,
    values,
  );
  return found.length > 0;
}
