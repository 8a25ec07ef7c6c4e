/** What every ledger's rollups and views promise, the embedded one's and a server's over HTTP alike. */
import { hash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ask } from '../../src/cli/query/ask.ts';
import { boundValues } from '../../src/cli/query/parameters.ts';
import { shippedQueries } from '../../src/cli/query/shipped-queries.ts';
import type { Ledger } from '../../src/ledger/client.ts';
import type { LedgerTable } from '../../src/ledger/columns.ts';
import type { AttemptRow } from '../../src/ledger/rows.ts';
import { attemptBytes, eventBytes, sampleEvent, TIME_MS } from '../ledger/sample-rows.ts';

/** @param open a ledger on an empty database, not migrated. */
export function describeLedgerAnalysis(title: string, open: () => Promise<Ledger>): void {
  describe(title, () => {
    let ledger: Ledger;
    let runs = 0;
    /** The rows of a test have a tenant of their own. */
    const newTenant = (): string => `tenant-${++runs}`;
    const insert = (table: LedgerTable, bytes: Uint8Array): Promise<void> =>
      ledger.insert(table, [bytes], hash('sha256', bytes, 'hex'));

    beforeAll(async () => {
      ledger = await open();
      await ledger.migrate();
    });
    afterAll(async () => {
      await ledger.close();
    });

    describe('rollups', () => {
      const minuteOf = async (tenant: string): Promise<unknown> => {
        const [row] = await ledger.query(
          `SELECT sum(rows) AS rows, sum(sent) AS sent, sum(duration_us_sum) AS duration,
             quantilesTDigestIfMerge(0.5, 0.95, 0.99)(durations) AS quantiles
           FROM attempts_per_minute WHERE tenant = {tenant:String}`,
          { tenant },
        );
        return row;
      };
      const usageOf = async (tenant: string): Promise<unknown> => {
        const [row] = await ledger.query(
          `SELECT sum(u.events) AS events, sum(u.event_bytes) AS bytes, sum(u.sent) AS sent,
             sum(u.delivered) AS delivered, sum(u.given_up) AS givenUp
           FROM usage_per_day AS u WHERE tenant = {tenant:String}`,
          { tenant },
        );
        return row;
      };
      const attemptsFor = (tenant: string, first: number): Uint8Array =>
        attemptBytes(
          Array.from({ length: 100 }, (_, i) => ({
            record: { tenant, offset: first + i },
            row: {
              attemptedAtMs: TIME_MS + i * 1_000,
              durationUs: 1_000,
              outcome: i < 60 ? ('delivered' as const) : ('dead' as const),
              attemptClass: i < 90 ? 'delivered' : '',
            },
          })),
        );
      const counted = (batches: number) => ({
        rows: 100 * batches,
        sent: 90 * batches,
        duration: 100_000 * batches,
        quantiles: [1_000, 1_000, 1_000],
      });

      test('count every row once, however often its batch is sent, and each batch of the same rows', async () => {
        const tenant = newTenant();
        const bytes = attemptsFor(tenant, 0);
        await ledger.insert('attempts', [bytes], 'a1'.repeat(16));
        await ledger.insert('attempts', [bytes], 'a1'.repeat(16));
        expect(await minuteOf(tenant)).toEqual(counted(1));
        // What it comes to in the rollups is the same, to the byte, and counts nevertheless.
        await ledger.insert('attempts', [attemptsFor(tenant, 500)], 'a2'.repeat(16));
        await ledger.insert('attempts', [bytes], 'a1'.repeat(16));
        expect(await minuteOf(tenant)).toEqual(counted(2));
        expect(await usageOf(tenant)).toMatchObject({ sent: 180, delivered: 120, givenUp: 80 });
      });

      test('count events once per batch, too', async () => {
        const tenant = newTenant();
        const bytes = eventBytes([
          { record: { tenant } },
          { record: { tenant, eventId: 'evt_2', offset: 43 } },
        ]);
        for (let i = 0; i < 3; i++) await ledger.insert('events', [bytes], 'b1'.repeat(16));
        expect(await usageOf(tenant)).toMatchObject({
          events: 2,
          bytes: 2 * sampleEvent.data.length,
          sent: 0,
        });
      });

      test('a batch of two months counts once', async () => {
        const tenant = newTenant();
        const month = 40 * 86_400_000;
        const bytes = attemptBytes([
          { record: { tenant }, row: { attemptedAtMs: TIME_MS } },
          { record: { tenant }, row: { attemptedAtMs: TIME_MS + month } },
        ]);
        for (let i = 0; i < 3; i++) await ledger.insert('attempts', [bytes], 'c1'.repeat(16));
        expect(await minuteOf(tenant)).toMatchObject({ rows: 2, sent: 2 });
      });

      test('a batch that was stored, while a rollup did not take it, reaches it when sent again, once', async () => {
        const tenant = newTenant();
        const bytes = attemptsFor(tenant, 0);
        // What a failure between the table and the rollup leaves.
        await ledger.query('DETACH TABLE attempts_per_minute_feed');
        await ledger.insert('attempts', [bytes], 'd1'.repeat(16));
        await ledger.query('ATTACH TABLE attempts_per_minute_feed');
        expect(await minuteOf(tenant)).toMatchObject({ rows: 0 });
        await ledger.insert('attempts', [bytes], 'd1'.repeat(16));
        await ledger.insert('attempts', [bytes], 'd1'.repeat(16));
        expect(await minuteOf(tenant)).toEqual(counted(1));
        const [rows] = await ledger.query(
          'SELECT count() AS n FROM attempts WHERE tenant = {tenant:String}',
          {
            tenant,
          },
        );
        expect(rows).toEqual({ n: 100 });
        expect(await usageOf(tenant)).toMatchObject({ sent: 90, delivered: 60 });
      });
    });

    test.each(shippedQueries())('answers $name', async (query) => {
      const wanted = query.parameters.filter(({ defaultText }) => defaultText === null);
      const values = boundValues(
        query,
        wanted.map(({ name }) => `${name}=it's {nobody:String}`),
        TIME_MS,
      );
      const { columns, rows } = await ask(ledger, query, values);
      expect(columns.length).toBeGreaterThan(2);
      for (const row of rows) expect(Object.keys(row)).toEqual(columns.map(({ name }) => name));
    });

    describe('views', () => {
      const outcomesOf = (tenant: string): Promise<unknown[]> =>
        ledger.query(
          `SELECT outcome, reason FROM outcomes WHERE tenant = {tenant:String} ORDER BY decided_at, outcome`,
          { tenant },
        );
      const lastOf = (tenant: string): Promise<unknown[]> =>
        ledger.query(
          `SELECT destination_id AS destination, outcome, is_final AS isFinal, attempts, status,
             toUnixTimestamp64Milli(decided_at) - {time:Int64} AS decidedAt,
             isNotNull(next_attempt_at) AS isDue
           FROM last_outcomes WHERE tenant = {tenant:String} ORDER BY destination_id`,
          { tenant, time: TIME_MS },
        );
      const at = (tenant: string, destinationId: string, ms: number, row: Partial<AttemptRow>) => ({
        record: { tenant },
        row: { destinationId, deliveryId: `dlv_${destinationId}`, attemptedAtMs: TIME_MS + ms, ...row },
      });
      const unsent = { attemptClass: '', status: 0, attempt: 0 };
      const failed = {
        outcome: 'retrying',
        isFinal: false,
        attemptClass: 'failed_after_send',
        status: 503,
        reason: 'http_503',
        nextAttemptAtMs: TIME_MS + 60_000,
      } as const;

      test('outcomes are the state changes that are no attempts', async () => {
        const tenant = newTenant();
        await insert(
          'attempts',
          attemptBytes([
            at(tenant, 'a', 1, failed),
            at(tenant, 'a', 2, {
              ...unsent,
              outcome: 'breaker_open',
              isFinal: false,
              reason: 'breaker_open',
            }),
            at(tenant, 'a', 3, { ...failed, ...unsent, reason: 'paused_by_receiver' }),
            at(tenant, 'a', 4, { outcome: 'delivered' }),
            at(tenant, '', 5, {
              ...unsent,
              outcome: 'filtered',
              reason: 'no_filter_matches',
              deliveryId: '',
            }),
            at(tenant, 'b', 6, { ...unsent, outcome: 'expired', reason: 'expired' }),
            at(tenant, 'c', 7, { outcome: 'dead', attemptClass: 'failed_after_send', reason: 'http_500' }),
            at(tenant, 'c', 8, { ...unsent, outcome: 'redriven', isFinal: false, reason: 'http_500' }),
          ]),
        );
        expect(await outcomesOf(tenant)).toEqual([
          { outcome: 'retry_scheduled', reason: 'http_503' },
          { outcome: 'breaker_open', reason: 'breaker_open' },
          { outcome: 'retry_scheduled', reason: 'paused_by_receiver' },
          { outcome: 'filtered', reason: 'no_filter_matches' },
          { outcome: 'expired', reason: 'expired' },
          { outcome: 'redriven', reason: 'http_500' },
        ]);
      });

      test('the last word of a delivery is its latest final row, until a redrive', async () => {
        const tenant = newTenant();
        const dead = { outcome: 'dead', attemptClass: 'failed_after_send', status: 500 } as const;
        const redriven = { ...unsent, outcome: 'redriven', isFinal: false } as const;
        await insert(
          'attempts',
          attemptBytes([
            // Attempts of two owners of a partition overlap: the success stands, whatever the later one says.
            at(tenant, 'a-overlap', 1, { outcome: 'delivered', status: 204 }),
            at(tenant, 'a-overlap', 2, failed),
            at(tenant, 'b-pending', 1, failed),
            at(tenant, 'b-pending', 2, { ...failed, attempt: 2 }),
            at(tenant, 'c-redriven', 1, { ...dead, attempt: 3 }),
            at(tenant, 'c-redriven', 2, redriven),
            at(tenant, 'c-redriven', 3, failed),
            at(tenant, 'd-saved', 1, dead),
            at(tenant, 'd-saved', 2, redriven),
            at(tenant, 'd-saved', 3, { outcome: 'delivered', status: 200 }),
            at(tenant, 'e-dropped', 1, dead),
            at(tenant, 'e-dropped', 2, { ...unsent, outcome: 'dropped' }),
          ]),
        );
        expect(await lastOf(tenant)).toEqual([
          {
            destination: 'a-overlap',
            outcome: 'delivered',
            isFinal: true,
            attempts: 2,
            status: 204,
            decidedAt: 1,
            isDue: 0,
          },
          {
            destination: 'b-pending',
            outcome: 'retrying',
            isFinal: false,
            attempts: 2,
            status: 503,
            decidedAt: 2,
            isDue: 1,
          },
          {
            destination: 'c-redriven',
            outcome: 'redriven',
            isFinal: false,
            attempts: 2,
            status: 0,
            decidedAt: 2,
            isDue: 0,
          },
          {
            destination: 'd-saved',
            outcome: 'delivered',
            isFinal: true,
            attempts: 2,
            status: 200,
            decidedAt: 3,
            isDue: 0,
          },
          {
            destination: 'e-dropped',
            outcome: 'dropped',
            isFinal: true,
            attempts: 1,
            status: 0,
            decidedAt: 2,
            isDue: 0,
          },
        ]);
      });
    });
  });
}
