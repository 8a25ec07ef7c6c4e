import type { ClickHouseConfig } from '../../config/config.ts';
import { messageOf, UserError } from '../../domain/errors.ts';
import type { Ledger } from '../../ledger/client.ts';
import type { NamedQuery } from '../../ledger/named-query.ts';
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
export async function openAnswering(clickhouse: ClickHouseConfig): Promise<Ledger> {
  if (clickhouse.url === null && clickhouse.embeddedPath === null)
    throw new UserError([
      'no ledger to ask: set clickhouse.url (or clickhouse.embeddedPath, for when no dispatcher has it open); without both the ledger is only inside a running `start`',
    ]);
  // Loaded only now, so that a wrong option is told without native modules.
  const { openLedger } = await import('../../ledger/client.ts');
  const ledger = await openLedger(clickhouse);
  try {
    await ledger.query('SELECT sent FROM attempts_per_minute LIMIT 0');
    return ledger;
  } catch (error) {
    await ledger.close();
    throw new UserError([
      `ledger ${ledger.database}: ${messageOf(error).replace(/\s+/g, ' ')} (\`eventdispatch migrate\` makes its tables, or brings them up to date)`,
    ]);
  }
}
