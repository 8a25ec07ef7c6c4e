/**
 * Proves that a ledger of before the analysis tables is still one afterwards: its rows are found by
 * recovery, in the order recovery reads them, and its views and queries take them as they are.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { recoverDeliveries } from '../../src/app/recovery.ts';
import type { Ledger } from '../../src/ledger/client.ts';
import { migrate, MIGRATIONS } from '../../src/ledger/migrations.ts';
import { attemptBytes } from './sample-rows.ts';
import { openTestLedger } from '../support/ledger.ts';

const ROWS = 40_000;
const COMMITTED = 30_000;
const DELAY_TOPIC = 'retry.30s';
const layout = { cluster: null, ttl: { eventsMs: null, attemptsMs: null, rollupsMs: null } };

let ledger: Ledger;
beforeAll(async () => {
  ledger = await openTestLedger({ database: 'upgrading' });
  const target = {
    database: 'upgrading',
    createDatabase: () => Promise.resolve(),
    command: async (sql: string, params?: Record<string, unknown>) => {
      await ledger.query(sql, params);
    },
    query: <T>(sql: string, params?: Record<string, unknown>) => ledger.query<T>(sql, params),
  };
  const before = MIGRATIONS.filter(({ version }) => version < 4);
  expect(await migrate(target, layout, before)).toEqual([1, 2, 3]);
  // Every tenth row is about a retry, whose record has a place of its own.
  await ledger.query(
    `INSERT INTO attempts (tenant, event_id, topic, partition, offset, delivery_id, destination_id, attempt, outcome,
       is_final, class, attempted_at, retry_topic, retry_partition, retry_offset)
     SELECT 'acme', toString(sipHash64(number)), 'events', 3, number, concat('dlv_', toString(number)), 'crm', 1,
       'delivered', true, 'delivered', toDateTime64('2026-03-01 10:00:00', 3, 'UTC'),
       if(number % 10 = 0, '${DELAY_TOPIC}', ''), if(number % 10 = 0, 3, 0), if(number % 10 = 0, intDiv(number, 10), 0)
     FROM numbers(${ROWS})`,
  );
  expect(await ledger.migrate()).toEqual(MIGRATIONS.slice(3).map(({ version }) => version));
});
afterAll(() => ledger.close());

const recoveredFrom = async (
  topic: string,
  offset: number,
  through: Pick<Ledger, 'query'> = ledger,
): Promise<readonly number[]> => {
  const place = { topic, partition: 3, offset };
  const [found] = await recoverDeliveries(
    {
      consumer: { committed: () => Promise.resolve([place]) },
      ledger: through,
      undrained: null,
      isDelayTopic: (name) => name === DELAY_TOPIC,
      onLedgerSkipped: null,
    },
    [place],
  );
  return [...(found?.deliveryIds.keys() ?? [])].sort((a, b) => a - b);
};
const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);

test('recovery finds rows of before and of after, each by the place of its record', async () => {
  const rows = [
    { record: { topic: 'events', partition: 3, offset: ROWS } },
    {
      record: { topic: 'events', partition: 3, offset: 7 },
      row: { retryTopic: DELAY_TOPIC, retryPartition: 3, retryOffset: ROWS / 10 },
    },
  ];
  await ledger.insert('attempts', [attemptBytes(rows)], 'ab'.repeat(16));
  expect(await recoveredFrom('events', COMMITTED)).toEqual(
    range(COMMITTED, ROWS + 1).filter((offset) => offset % 10 !== 0 || offset === ROWS),
  );
  expect(await recoveredFrom(DELAY_TOPIC, 3_990)).toEqual(range(3_990, 4_001));
});

test('recovery reads the projection in the order of places, not the table', async () => {
  const plans: string[] = [];
  const explaining = {
    query: async <T>(sql: string, params?: Readonly<Record<string, unknown>>): Promise<T[]> => {
      const plan = await ledger.query<{ explain: string }>(`EXPLAIN ${sql}`, params);
      plans.push(plan.map(({ explain }) => explain).join('\n'));
      return [];
    },
  };
  await ledger.query('OPTIMIZE TABLE attempts FINAL');
  await recoveredFrom('events', ROWS - 100, explaining);
  await recoveredFrom(DELAY_TOPIC, ROWS / 10 - 100, explaining);
  expect(plans).toHaveLength(2);
  for (const plan of plans) expect(plan).toContain('ReadFromMergeTree (by_place)');
});

test('rows of before have no measures, and the rollups begin after them', async () => {
  const [before] = await ledger.query(
    `SELECT count() AS n, sum(waited_us) AS waited, sum(epoch) AS epochs FROM attempts WHERE tenant = 'acme'`,
  );
  expect(before).toEqual({ n: ROWS, waited: 0, epochs: 0 });
  const [last] = await ledger.query(
    `SELECT count() AS n FROM last_outcomes WHERE tenant = 'acme' AND is_final`,
  );
  expect(last).toEqual({ n: ROWS });
  const [rolled] = await ledger.query('SELECT sum(rows) AS n FROM attempts_per_minute');
  expect(rolled).toEqual({ n: 2 });
});
