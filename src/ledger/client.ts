import type { ClickHouseConfig } from '../config/config.ts';
import { UserError } from '../domain/errors.ts';
import type { LedgerTable } from './columns.ts';
import { openEmbeddedLedger } from './embedded-ledger.ts';
import { openServerLedger } from './server-ledger.ts';

/** The ledger's database, wherever it runs. Every method but `migrate` rejects with a `LedgerError`. */
export interface Ledger {
  readonly kind: 'embedded' | 'server';
  readonly database: string;
  /**
   * Creates or upgrades the tables, and the database when there is none.
   * @returns the versions applied by this call.
   * @throws UserError when the ledger can't be reached or does not fit this program.
   */
  migrate(): Promise<number[]>;
  /**
   * Inserts rows in the format of `rows.ts`; resolves once they are durable.
   * @param pieces whole rows, sent one after the other.
   * @param token hexadecimal; the same pieces sent again under the same token are stored once.
   * @param columns of the rows, where an older program wrote them; by default those of `columns.ts`.
   */
  insert(
    table: LedgerTable,
    pieces: readonly Uint8Array[],
    token: string,
    columns?: readonly string[],
  ): Promise<void>;
  /**
   * Runs a SELECT in the ledger's database. Values go into `params`, written as
   * `{name:Type}` in the statement; 64-bit integers arrive as numbers.
   */
  query<T>(sql: string, params?: Readonly<Record<string, unknown>>): Promise<T[]>;
  /** Rejects when the ledger does not answer. */
  ping(): Promise<void>;
  /** Lets running statements finish; an embedded engine's temporary directory is removed. */
  close(): Promise<void>;
}

const DATABASE_NAME = /^[A-Za-z_][A-Za-z0-9_]{0,63}$/;

/**
 * Opens the embedded engine, or a client of the server at `clickhouse.url`, which
 * need not be up yet.
 * @throws UserError when the configuration can't be used here.
 */
export async function openLedger(config: ClickHouseConfig): Promise<Ledger> {
  if (!DATABASE_NAME.test(config.database)) {
    throw new UserError([
      `clickhouse.database: "${config.database}" is not allowed; allowed: letters, digits and _, not starting with a digit`,
    ]);
  }
  return config.url === null ? openEmbeddedLedger(config) : openServerLedger({ ...config, url: config.url });
}
