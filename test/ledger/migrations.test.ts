/** A ledger that does not fit the program is refused before anything is written to it. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { UserError } from '../../src/domain/errors.ts';
import type { Ledger } from '../../src/ledger/client.ts';
import { migrate as migrateTo, type Migration, type MigrationTarget } from '../../src/ledger/migrations.ts';
import { attemptBytes } from './sample-rows.ts';
import { openTestLedger } from '../support/ledger.ts';

const createTable = (name: string): string =>
  `CREATE TABLE IF NOT EXISTS ${name} (a String) ENGINE = MergeTree ORDER BY a`;
const ONE: Migration = { version: 1, name: 'one', statements: [createTable('one')] };
const TWO: Migration = { version: 2, name: 'two', statements: [createTable('two'), createTable('two_b')] };

const FOR_EVER = { eventsMs: null, attemptsMs: null, rollupsMs: null };
const migrate = (target: MigrationTarget, migrations: readonly Migration[]): Promise<number[]> =>
  migrateTo(target, { cluster: null, ttl: FOR_EVER }, migrations);

let ledger: Ledger;
beforeAll(async () => {
  ledger = await openTestLedger({ database: 'migrating' });
});
afterAll(async () => {
  await ledger.close();
});

/** A database without the ledger's own migrations, reached through the ledger's query method. */
async function emptyTarget(ran: string[] = []): Promise<MigrationTarget> {
  for (const { name } of await tables()) await ledger.query(`DROP TABLE ${name} SYNC`);
  return {
    database: 'migrating',
    createDatabase: () => Promise.resolve(),
    command: async (sql, params) => {
      ran.push(sql);
      await ledger.query(sql, params);
    },
    query: (sql, params) => ledger.query(sql, params),
  };
}

const tables = (): Promise<{ name: string }[]> =>
  ledger.query('SELECT name FROM system.tables WHERE database = {database:String} ORDER BY name', {
    database: 'migrating',
  });

async function userError(promise: Promise<unknown>): Promise<string> {
  const error: unknown = await promise.then(
    () => new Error('nothing was thrown'),
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(UserError);
  return (error as UserError).message;
}

describe('migrate', () => {
  test('applies what is missing, in order, once', async () => {
    const target = await emptyTarget();
    expect(await migrate(target, [ONE])).toEqual([1]);
    expect(await migrate(target, [ONE, TWO])).toEqual([2]);
    expect(await migrate(target, [ONE, TWO])).toEqual([]);
    expect((await tables()).map(({ name }) => name)).toEqual(['one', 'schema_migrations', 'two', 'two_b']);
  });

  test('goes on where a crash left it between two statements', async () => {
    const target = await emptyTarget();
    await migrate(target, [ONE]);
    await target.command(TWO.statements[0] as string);
    expect(await migrate(target, [ONE, TWO])).toEqual([2]);
  });

  test('several processes at once all come through', async () => {
    const target = await emptyTarget();
    await Promise.all([
      migrate(target, [ONE, TWO]),
      migrate(target, [ONE, TWO]),
      migrate(target, [ONE, TWO]),
    ]);
    expect(await migrate(target, [ONE, TWO])).toEqual([]);
  });

  test('refuses a ledger that is newer than the program', async () => {
    const ran: string[] = [];
    const target = await emptyTarget(ran);
    await migrate(target, [ONE, TWO]);
    const before = ran.length;
    expect(await userError(migrate(target, [ONE]))).toMatch(
      /^clickhouse\.database "migrating" has migration 2 \(two\), which this program does not know/,
    );
    expect(ran.slice(before)).toHaveLength(1);
  });

  test('refuses a ledger that ran other statements under the same number', async () => {
    const target = await emptyTarget();
    await migrate(target, [ONE]);
    const edited: Migration = { ...ONE, statements: [`${createTable('one')} `] };
    expect(await userError(migrate(target, [edited, TWO]))).toMatch(
      /ran other statements as migration 1 \(one\)/,
    );
    expect((await tables()).map(({ name }) => name)).not.toContain('two');
  });

  test('a statement that fails is told with its migration, and does not count as applied', async () => {
    const target = await emptyTarget();
    const broken: Migration = { version: 2, name: 'broken', statements: ['CREATE NONSENSE'] };
    expect(await userError(migrate(target, [ONE, broken]))).toMatch(
      /^migration 2 \(broken\) failed: .*SYNTAX_ERROR/,
    );
    expect(await migrate(target, [ONE, TWO])).toEqual([2]);
  });
});

describe('how long rows are kept', () => {
  const DAY_MS = 86_400_000;
  const ran: string[] = [];
  let target: MigrationTarget;
  const keepFor = async (days: {
    events?: number;
    attempts?: number;
    rollups?: number;
  }): Promise<string[]> => {
    const ms = (count: number | undefined): number | null => (count === undefined ? null : count * DAY_MS);
    ran.length = 0;
    await migrateTo(target, {
      cluster: null,
      ttl: { eventsMs: ms(days.events), attemptsMs: ms(days.attempts), rollupsMs: ms(days.rollups) },
    });
    return ran.filter((sql) => sql.includes('TTL'));
  };
  const rowsIn = async (table: string): Promise<number> => {
    await ledger.query(`OPTIMIZE TABLE ${table} FINAL`);
    const [row] = await ledger.query<{ n: number }>(`SELECT count() AS n FROM ${table}`);
    return row?.n ?? -1;
  };

  test('is for ever unless configured, and changed only where the configuration has changed', async () => {
    target = await emptyTarget(ran);
    expect(await keepFor({})).toEqual([]);
    expect(await keepFor({ events: 90, attempts: 400, rollups: 800 })).toEqual([
      'ALTER TABLE events MODIFY TTL toDateTime(ingested_at) + toIntervalSecond(7776000)',
      'ALTER TABLE attempts MODIFY TTL toDateTime(attempted_at) + toIntervalSecond(34560000)',
      'ALTER TABLE attempts_per_minute MODIFY TTL toDateTime(minute) + toIntervalSecond(69120000)',
      'ALTER TABLE usage_per_day MODIFY TTL toDateTime(day) + toIntervalSecond(69120000)',
    ]);
    expect(await keepFor({ events: 90, attempts: 400, rollups: 800 })).toEqual([]);
    expect(await keepFor({ events: 30, attempts: 400 })).toEqual([
      'ALTER TABLE events MODIFY TTL toDateTime(ingested_at) + toIntervalSecond(2592000)',
      'ALTER TABLE attempts_per_minute REMOVE TTL',
      'ALTER TABLE usage_per_day REMOVE TTL',
    ]);
    expect(await keepFor({ events: 30, attempts: 400 })).toEqual([]);
  });

  test('deletes what is older, in the table and not in its rollups, and nothing else', async () => {
    const nowMs = Date.now();
    await keepFor({ attempts: 10 });
    const bytes = attemptBytes(
      [1, 9, 11, 100].map((days) => ({ row: { attemptedAtMs: nowMs - days * DAY_MS } })),
    );
    await ledger.insert('attempts', [bytes], 'ee'.repeat(16));
    expect(await rowsIn('attempts')).toBe(2);
    const [counted] = await ledger.query<{ rows: number }>(
      'SELECT sum(rows) AS rows FROM attempts_per_minute',
    );
    expect(counted).toEqual({ rows: 4 });
    await keepFor({ attempts: 5 });
    expect(await rowsIn('attempts')).toBe(1);
  });
});
