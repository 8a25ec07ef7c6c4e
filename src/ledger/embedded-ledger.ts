import { ClickHouseLogLevel, createClient, type ClickHouseClientConfigOptions } from '@clickhouse/client';
import type { ChdbConnection } from 'chdb/connection';
import type { ClickHouseConfig } from '../config/config.ts';
import { UserError } from '../domain/errors.ts';
import { columnNames, type LedgerTable } from './columns.ts';
import { openDirectory, unusableDirectory, type Directory } from './embedded-directory.ts';
import { firstLineOf, toLedgerError } from './errors.ts';
import { INSERT_FORMAT, insertSettings } from './insert-statement.ts';
import { migrate } from './migrations.ts';
import { runCommand, runQuery } from './statements.ts';

/**
 * A ledger in this process. The engine has one data directory per process and one
 * process per data directory; statements run on libuv's threads.
 *
 * @throws UserError when the engine is not installed or the directory can't be had.
 */
export async function openEmbeddedLedger(config: ClickHouseConfig) {
  const engine = await loadEngine();
  const directory = await openDirectory(config.embeddedPath);
  const connection = await connect(engine, directory);
  const client = createClient({
    // The same interface, declared by two packages whose optional members differ by `undefined`.
    connection: connection as unknown as NonNullable<ClickHouseClientConfigOptions['connection']>,
    log: { level: ClickHouseLogLevel.OFF },
  });
  const { database } = config;
  const command = (sql: string, params?: Record<string, unknown>): Promise<void> =>
    runCommand(client, sql, params);
  // The engine has one session, so the database chosen here holds for every statement.
  await command(`CREATE DATABASE IF NOT EXISTS ${database}`);
  await command(`USE ${database}`);
  const query = <T>(sql: string, params?: Readonly<Record<string, unknown>>): Promise<T[]> =>
    runQuery(client, sql, params);
  return {
    kind: 'embedded' as const,
    database,
    migrate: () => migrate({ database, createDatabase: () => Promise.resolve(), command, query }, config),
    insert: async (
      table: LedgerTable,
      pieces: readonly Uint8Array[],
      token: string,
      columns?: readonly string[],
    ): Promise<void> => {
      try {
        await connection.chdb.rawInsert({
          table,
          columns: columns === undefined ? columnNames(table) : [...columns],
          format: INSERT_FORMAT,
          settings: insertSettings(token),
          values: Buffer.concat(pieces),
        });
      } catch (error) {
        throw toLedgerError(error);
      }
    },
    query,
    ping: async () => {
      await query('SELECT 1');
    },
    close: async () => {
      await client.close();
      await engine.drainPending();
      await directory.remove();
    },
  };
}

interface Engine {
  connect(directory: string): ChdbConnection;
  /** Resolves when no statement runs any more. */
  drainPending(): Promise<void>;
}

async function loadEngine(): Promise<Engine> {
  try {
    const [{ createChdbConnection }, { drainPending }] = await Promise.all([
      import('chdb/connection'),
      import('chdb'),
    ]);
    return { connect: (directory) => createChdbConnection({ path: directory }), drainPending };
  } catch (error) {
    throw new UserError([
      `clickhouse.url is not set, and the embedded ClickHouse can't be loaded (${firstLineOf(error)}): set clickhouse.url to a server, or install the engine with "npm install chdb"`,
    ]);
  }
}

async function connect(engine: Engine, directory: Directory): Promise<ChdbConnection> {
  try {
    return engine.connect(directory.path);
  } catch (error) {
    const problem = await unusableDirectory(directory.path, error);
    await directory.remove();
    throw problem;
  }
}
