import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { ClickHouseLogLevel, createClient, type ClickHouseClient } from '@clickhouse/client';
import type { ClickHouseConfig } from '../config/config.ts';
import { UserError } from '../domain/errors.ts';
import { clustered } from './clustered.ts';
import type { LedgerTable } from './columns.ts';
import { LedgerError, toLedgerError } from './errors.ts';
import { insertStatement } from './insert-statement.ts';
import { migrate } from './migrations.ts';
import { runCommand, runQuery } from './statements.ts';

/** Two inserts at a time, a query of a person, a ping. */
const MAX_CONNECTIONS = 6;
/** Below the 3 s after which old servers close an idle connection, so that none is reused while it closes. */
const IDLE_SOCKET_MS = 2_500;

type ServerConfig = ClickHouseConfig & { readonly url: string };

/**
 * A ledger on a ClickHouse server, over its HTTP interface. Nothing is sent before the first call.
 * @throws UserError when the URL has a query.
 */
export function openServerLedger(config: ServerConfig) {
  if (new URL(config.url).search !== '') {
    throw new UserError(['clickhouse.url: no query (?…) is allowed; the other keys below clickhouse say it']);
  }
  const client = clientFor(config, config.database);
  return {
    kind: 'server' as const,
    database: config.database,
    migrate: () => migrateServer(config, client),
    insert: async (
      table: LedgerTable,
      pieces: readonly Uint8Array[],
      token: string,
      columns?: readonly string[],
    ): Promise<void> => {
      try {
        await send(client, insertStatement(table, token, columns), pieces);
      } catch (error) {
        throw toLedgerError(error);
      }
    },
    query: <T>(sql: string, params?: Readonly<Record<string, unknown>>): Promise<T[]> =>
      runQuery(client, sql, params),
    ping: async () => {
      await runQuery(client, 'SELECT 1');
    },
    close: () => client.close(),
  };
}

function clientFor(config: ServerConfig, database: string): ClickHouseClient {
  const { origin, pathname } = new URL(config.url);
  return createClient({
    url: origin,
    // Apart from the URL, where the client would take it for the name of a database.
    pathname,
    username: config.username,
    password: config.password,
    database,
    application: 'eventdispatch',
    request_timeout: config.requestTimeoutMs,
    max_open_connections: MAX_CONNECTIONS,
    keep_alive: { enabled: true, idle_socket_ttl: IDLE_SOCKET_MS },
    // Whatever goes wrong rejects the call, and is told once, by whoever made it.
    log: { level: ClickHouseLogLevel.OFF },
  });
}

/** An error can come after the headers said 200; the server holds its answer back until the end, which is empty. */
async function send(
  client: ClickHouseClient,
  statement: string,
  pieces: readonly Uint8Array[],
): Promise<void> {
  const { stream } = await client.exec({
    query: statement,
    values: Readable.from(pieces, { objectMode: false }),
    clickhouse_settings: { wait_end_of_query: 1 },
  });
  const answer = await text(stream);
  if (answer.trim() !== '') throw new Error(answer);
}

async function migrateServer(config: ServerConfig, client: ClickHouseClient): Promise<number[]> {
  try {
    const target = {
      database: config.database,
      createDatabase: () => createDatabase(config),
      command: (sql: string, params?: Record<string, unknown>) => runCommand(client, sql, params),
      query: <T>(sql: string, params?: Record<string, unknown>) => runQuery<T>(client, sql, params),
    };
    return await migrate(target, config);
  } catch (error) {
    if (!(error instanceof LedgerError)) throw error;
    throw new UserError([`clickhouse.url: ${new URL(config.url).origin} can't be used: ${error.message}`]);
  }
}

/** Asked for first, because a user who may not create databases can well use one that is there. */
async function createDatabase(config: ServerConfig): Promise<void> {
  const client = clientFor(config, 'default');
  try {
    const name = config.database;
    const found = await runQuery(client, 'SELECT name FROM system.databases WHERE name = {name:String}', {
      name,
    });
    const create = clustered(`CREATE DATABASE IF NOT EXISTS ${name}`, config.cluster);
    if (found.length === 0) await runCommand(client, create);
  } finally {
    await client.close();
  }
}
