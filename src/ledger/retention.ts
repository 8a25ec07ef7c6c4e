import type { LedgerTtlConfig } from '../config/config.ts';
import { clustered } from './clustered.ts';

/** What keeping to the configured times needs of a ledger. */
interface RetentionTarget {
  readonly database: string;
  command(sql: string): Promise<void>;
  query<T>(sql: string, params?: Record<string, unknown>): Promise<T[]>;
}

/** Each table, the time of its rows, and the key that says how long they are kept. */
const TIMES: readonly (readonly [table: string, time: string, key: keyof LedgerTtlConfig])[] = [
  ['events', 'ingested_at', 'eventsMs'],
  ['attempts', 'attempted_at', 'attemptsMs'],
  ['attempts_per_minute', 'minute', 'rollupsMs'],
  ['usage_per_day', 'day', 'rollupsMs'],
];

/** As ClickHouse writes down what `ttlClause` says. */
const TTL_SECONDS = /\bTTL [^,]*?toIntervalSecond\((\d+)\)/;

/**
 * Changes the TTL of the tables whose one is not as configured, and of no other: a
 * user who may not alter tables can start a dispatcher whose ledger is as it should be.
 */
export async function keepFor(
  target: RetentionTarget,
  ttl: LedgerTtlConfig,
  cluster: string | null,
): Promise<void> {
  const tables = await target.query<{ name: string; engine: string }>(
    'SELECT name, engine_full AS engine FROM system.tables WHERE database = {database:String}',
    { database: target.database },
  );
  for (const [table, time, key] of TIMES) {
    const found = tables.find(({ name }) => name === table);
    if (found === undefined) continue;
    const seconds = TTL_SECONDS.exec(found.engine)?.[1];
    const isMs = seconds === undefined ? null : Number(seconds) * 1000;
    const wantedMs = ttl[key];
    if (isMs === wantedMs) continue;
    const change =
      wantedMs === null
        ? `ALTER TABLE ${table} REMOVE TTL`
        : `ALTER TABLE ${table} MODIFY TTL toDateTime(${time}) + toIntervalSecond(${Math.round(wantedMs / 1000)})`;
    await target.command(clustered(change, cluster));
  }
}
