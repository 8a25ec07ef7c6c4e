import type { ClickHouseClient } from '@clickhouse/client';
import { toLedgerError } from './errors.ts';

/** Runs a statement that answers nothing. */
export async function runCommand(
  client: ClickHouseClient,
  sql: string,
  params: Readonly<Record<string, unknown>> = {},
): Promise<void> {
  try {
    await client.command({ query: sql, query_params: params });
  } catch (error) {
    throw toLedgerError(error);
  }
}

/** Runs a SELECT; 64-bit integers arrive as numbers, exact up to 2^53. */
export async function runQuery<T>(
  client: ClickHouseClient,
  sql: string,
  params: Readonly<Record<string, unknown>> = {},
): Promise<T[]> {
  try {
    const result = await client.query({
      query: sql,
      query_params: params,
      format: 'JSONEachRow',
      clickhouse_settings: { output_format_json_quote_64bit_integers: 0 },
    });
    return await result.json<T>();
  } catch (error) {
    throw toLedgerError(error);
  }
}
