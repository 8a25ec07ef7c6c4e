import type { ClickHouseConfig } from '../../config/config.ts';
import type { Ledger } from '../../ledger/client.ts';
import type { NamedQuery } from '../../ledger/named-query.ts';
import { openUsableLedger } from '../connect.ts';
import type { AnswerColumn, AnswerRow } from './answer-text.ts';

export interface Answer {
  readonly columns: readonly AnswerColumn[];
  readonly rows: readonly AnswerRow[];
}

/** @param values of its parameters, by name. */
export async function ask(
  ledger: Pick<Ledger, 'query'>,
  { sql }: NamedQuery,
  values: Readonly<Record<string, string | number>>,
): Promise<Answer> {
  // Asked for apart, because an answer without rows names no columns.
  const columns = await ledger.query<AnswerColumn>(`DESCRIBE TABLE (${sql})`, values);
  return { columns, rows: await ledger.query<AnswerRow>(sql, values) };
}

/** @throws UserError when there is no ledger to ask, or it has not the tables that the queries need. */
export function openAnswering(clickhouse: ClickHouseConfig): Promise<Ledger> {
  return openUsableLedger(clickhouse, 'ask', 'SELECT sent FROM attempts_per_minute LIMIT 0');
}
