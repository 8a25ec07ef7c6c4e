/** What every ledger promises, the embedded one and a server over HTTP alike. */
import { hash } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { LEDGER_COLUMNS, LEDGER_TABLES, type LedgerTable } from '../../src/ledger/columns.ts';
import type { Ledger } from '../../src/ledger/client.ts';
import { LedgerError } from '../../src/ledger/errors.ts';
import { deliveryHistory, destinationSummary, outcomeCounts } from '../../src/ledger/queries.ts';
import type { AttemptRow } from '../../src/ledger/rows.ts';
import {
  attemptBytes,
  eventBytes,
  sampleAttempt,
  sampleEvent,
  sampleRecord,
  TIME_MS,
} from '../ledger/sample-rows.ts';
import { anyRecord, anyEvent, anyAttempt, type Cells, eventCells, attemptCells } from './ledger-cells.ts';

const tokenOf = (bytes: Uint8Array): string => hash('sha256', bytes, 'hex');

function selectList(table: LedgerTable): string {
  return LEDGER_COLUMNS[table]
    .map(([name, type]) =>
      type.includes('DateTime64') ? `toUnixTimestamp64Milli(${name}) AS ${name}` : name,
    )
    .join(', ');
}

/** @param open a ledger on an empty database, not migrated. */
export function describeLedger(title: string, open: () => Promise<Ledger>): void {
  describe(title, () => {
    let ledger: Ledger;
    let firstMigration: number[];
    let runs = 0;
    /** The rows of a test have a topic of their own. */
    const newTopic = (): string => `topic-${++runs}`;
    const countOf = async (table: LedgerTable, topic: string): Promise<number> => {
      const [row] = await ledger.query<{ n: number }>(
        `SELECT count() AS n FROM ${table} WHERE topic = {topic:String}`,
        { topic },
      );
      return row?.n ?? -1;
    };
    const insert = (table: LedgerTable, bytes: Uint8Array): Promise<void> =>
      ledger.insert(table, [bytes], tokenOf(bytes));

    beforeAll(async () => {
      ledger = await open();
      firstMigration = await ledger.migrate();
    });
    afterAll(async () => {
      await ledger.close();
    });

    test('migrating twice changes nothing the second time', async () => {
      expect(firstMigration).toEqual([1, 2, 3, 4, 5, 6]);
      expect(await ledger.migrate()).toEqual([]);
    });

    test.each(LEDGER_TABLES)(
      'table %s has the columns that the codec writes, in its order',
      async (table) => {
        const columns = await ledger.query<{ name: string; type: string }>(
          `SELECT name, type FROM system.columns
         WHERE database = {database:String} AND table = {table:String} AND default_kind = '' ORDER BY position`,
          { database: ledger.database, table },
        );
        expect(columns.map(({ name, type }) => [name, type])).toEqual(LEDGER_COLUMNS[table]);
      },
    );

    test('every column of an attempt comes back, whatever is in it', async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.tuple(anyRecord, anyAttempt), { minLength: 1, maxLength: 30 }),
          async (rows) => {
            const topic = newTopic();
            const numbered = rows.map(([record, row], i) => ({
              record: { ...record, topic, offset: i },
              row,
            }));
            await insert('attempts', attemptBytes(numbered));
            const found = await ledger.query<Cells>(
              `SELECT ${selectList('attempts')} FROM attempts WHERE topic = {topic:String} ORDER BY offset`,
              { topic },
            );
            expect(found).toEqual(numbered.map(({ record, row }) => attemptCells(record, row)));
          },
        ),
        { numRuns: 20 },
      );
    });

    test('every column of an event comes back, whatever is in it', async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.tuple(anyRecord, anyEvent), { minLength: 1, maxLength: 30 }),
          async (rows) => {
            const topic = newTopic();
            const numbered = rows.map(([record, row], i) => ({
              record: { ...record, topic, offset: i },
              row,
            }));
            await insert('events', eventBytes(numbered));
            const found = await ledger.query<Cells>(
              `SELECT ${selectList('events')} FROM events WHERE topic = {topic:String} ORDER BY offset`,
              { topic },
            );
            expect(found).toEqual(numbered.map(({ record, row }) => eventCells(record, row)));
          },
        ),
        { numRuns: 20 },
      );
    });

    test('offsets up to 2^53 come back exactly', async () => {
      const topic = newTopic();
      await insert('attempts', attemptBytes([{ record: { topic, offset: Number.MAX_SAFE_INTEGER } }]));
      const found = await ledger.query('SELECT offset FROM attempts WHERE topic = {topic:String}', { topic });
      expect(found).toEqual([{ offset: Number.MAX_SAFE_INTEGER }]);
    });

    test('a first row that reads like a header is a row', async () => {
      const topic = newTopic();
      const record = { tenant: 'tenant', eventId: 'event_id', eventType: 'event_type', topic };
      await insert(
        'events',
        eventBytes([{ record, row: { version: 'version', source: 'source', data: Buffer.from('"data"') } }]),
      );
      expect(await countOf('events', topic)).toBe(1);
    });

    test('events of every month from 1970 to 2286 fit one batch', async () => {
      const topic = newTopic();
      const month = 30 * 86_400_000;
      const rows = Array.from({ length: 3_800 }, (_, i) => ({
        record: { topic, offset: i, eventTimeMs: i * month, producedAtMs: i * month },
      }));
      await insert('events', eventBytes(rows));
      await insert('attempts', attemptBytes(rows));
      expect(await countOf('events', topic)).toBe(3_800);
      expect(await countOf('attempts', topic)).toBe(3_800);
    });

    test.each(LEDGER_TABLES)(
      'the same bytes sent twice to %s are stored once, other bytes are not lost',
      async (table) => {
        const topic = newTopic();
        const rowsFrom = (offset: number): Uint8Array => {
          const rows = Array.from({ length: 500 }, (_, i) => ({ record: { topic, offset: offset + i } }));
          return table === 'attempts' ? attemptBytes(rows) : eventBytes(rows);
        };
        const [first, second] = [rowsFrom(0), rowsFrom(500)];
        await insert(table, first);
        await insert(table, first);
        await insert(table, second);
        await insert(table, first);
        expect(await countOf(table, topic)).toBe(1_000);
      },
    );

    test('a batch of 50,000 rows, stored once however often it is sent', async () => {
      const topic = newTopic();
      const rows = Array.from({ length: 50_000 }, (_, i) => ({
        record: { topic, offset: i, tenant: `tenant-${i % 50}`, eventId: `evt_${i}` },
      }));
      const bytes = attemptBytes(rows);
      await insert('attempts', bytes);
      await insert('attempts', bytes);
      const [sums] = await ledger.query(
        `SELECT count() AS rows, uniqExact(offset) AS offsets, sum(offset) AS total
         FROM attempts WHERE topic = {topic:String}`,
        { topic },
      );
      expect(sums).toEqual({ rows: 50_000, offsets: 50_000, total: (49_999 * 50_000) / 2 });
    });

    test('both tables can be written at once, while queries with parameters run', async () => {
      const topic = newTopic();
      const rounds = Array.from({ length: 8 }, (_, round) => [{ record: { topic, offset: round } }]);
      await Promise.all([
        ...rounds.map((rows) => insert('attempts', attemptBytes(rows))),
        ...rounds.map((rows) => insert('events', eventBytes(rows))),
        ...rounds.map(async (_, i) => {
          expect(await ledger.query('SELECT {i:UInt32} AS i', { i })).toEqual([{ i }]);
        }),
      ]);
      expect(await countOf('attempts', topic)).toBe(8);
      expect(await countOf('events', topic)).toBe(8);
    });

    test.each([
      "x' OR '1'='1",
      "'; DROP TABLE events; --",
      '{topic:String}',
      '\\',
      "\\' OR 1=1 --",
      '\t\n é 😀',
    ])('a parameter is a value, never SQL: %j', async (value) => {
      const topic = newTopic();
      await insert('attempts', attemptBytes([{ record: { topic, tenant: value } }, { record: { topic } }]));
      const found = await ledger.query(
        'SELECT tenant FROM attempts WHERE topic = {topic:String} AND tenant = {value:String}',
        { topic, value },
      );
      expect(found).toEqual([{ tenant: value }]);
      expect(await ledger.query('SELECT {value:String} AS echoed', { value })).toEqual([{ echoed: value }]);
    });

    describe('errors', () => {
      const rejection = async (promise: Promise<unknown>): Promise<LedgerError> => {
        const error: unknown = await promise.then(
          () => new Error('nothing was rejected'),
          (reason: unknown) => reason,
        );
        expect(error).toBeInstanceOf(LedgerError);
        return error as LedgerError;
      };

      test('an unknown table is fatal, with its code', async () => {
        const error = await rejection(ledger.query('SELECT 1 FROM nowhere'));
        expect([error.kind, error.code]).toEqual(['fatal', 60]);
        expect(error.message).toContain('UNKNOWN_TABLE');
      });

      test('a syntax error is fatal, with its code', async () => {
        const error = await rejection(ledger.query('SELEC 1'));
        expect([error.kind, error.code]).toEqual(['fatal', 62]);
      });

      test('rows that do not fit are fatal, nothing of the batch is stored, and its message has no payload', async () => {
        const topic = newTopic();
        const good = attemptBytes([{ record: { topic } }]);
        const secret = 'secret-payload';
        const bytes = Buffer.concat([good, Buffer.from(`${secret}\tnot\ta\trow\n`)]);
        const error = await rejection(insert('attempts', bytes));
        expect(error.kind).toBe('fatal');
        expect(error.code).not.toBeNull();
        expect(error.message).not.toContain(secret);
        expect(await countOf('attempts', topic)).toBe(0);
      });

      test('a token that is no hexadecimal text is refused', async () => {
        await expect(ledger.insert('attempts', [attemptBytes([{}])], "x', async_insert=1")).rejects.toThrow(
          /token/,
        );
      });
    });

    test('it answers a ping', async () => {
      await expect(ledger.ping()).resolves.toBeUndefined();
    });

    describe('questions', () => {
      test('did tenant X get event Y, when, what did they answer, after how long', async () => {
        const topic = newTopic();
        const record = { topic, tenant: 'asking', eventId: "evt_'1", offset: 7 };
        await insert(
          'attempts',
          attemptBytes([
            {
              record,
              row: { attempt: 2, outcome: 'delivered', status: 204, durationUs: 2_500, response: '' },
            },
            {
              record,
              row: {
                attempt: 1,
                outcome: 'retrying',
                isFinal: false,
                status: 503,
                reason: 'http_503',
                nextAttemptAtMs: TIME_MS + 1_000,
                response: 'busy\n',
              },
            },
            { record: { ...record, tenant: 'another' } },
            { record: { ...record, eventId: 'evt_2' } },
          ]),
        );
        const history = await deliveryHistory(ledger, 'asking', "evt_'1");
        const shared = {
          deliveryId: sampleAttempt.deliveryId,
          destinationId: sampleAttempt.destinationId,
          channel: 'webhook',
          attemptedAtMs: sampleAttempt.attemptedAtMs,
          topic,
          partition: sampleRecord.partition,
          offset: 7,
        };
        expect(history).toEqual([
          {
            ...shared,
            attempt: 1,
            outcome: 'retrying',
            isFinal: false,
            reason: 'http_503',
            status: 503,
            durationMs: 1.5,
            nextAttemptAtMs: TIME_MS + 1_000,
            response: 'busy\n',
          },
          {
            ...shared,
            attempt: 2,
            outcome: 'delivered',
            isFinal: true,
            reason: 'ok',
            status: 204,
            durationMs: 2.5,
            nextAttemptAtMs: null,
            response: '',
          },
        ]);
      });

      test('outcomes are counted', async () => {
        const before = await outcomeCounts(ledger);
        const rowsOf = (counts: typeof before, outcome: string): number =>
          counts.filter((count) => count.outcome === outcome).reduce((sum, count) => sum + count.rows, 0);
        const rows = [
          { row: { outcome: 'filtered' } },
          { row: { outcome: 'invalid' } },
          { row: { outcome: 'invalid' } },
        ] as const;
        await insert(
          'attempts',
          attemptBytes(rows.map((sample) => ({ ...sample, record: { topic: newTopic() } }))),
        );
        const after = await outcomeCounts(ledger);
        expect(rowsOf(after, 'filtered') - rowsOf(before, 'filtered')).toBe(1);
        expect(rowsOf(after, 'invalid') - rowsOf(before, 'invalid')).toBe(2);
      });

      test('a destination is summed up', async () => {
        const topic = newTopic();
        const to = (deliveryId: string, row: Partial<AttemptRow>) => ({
          record: { topic, producedAtMs: TIME_MS },
          row: {
            destinationId: 'summed-up',
            attemptedAtMs: TIME_MS + 100,
            durationUs: 4_000,
            deliveryId,
            ...row,
          },
        });
        await insert(
          'attempts',
          attemptBytes([
            to('a', { outcome: 'retrying', isFinal: false }),
            to('a', { outcome: 'delivered', attempt: 2 }),
            to('b', { outcome: 'delivered' }),
            to('c', { outcome: 'dead' }),
            to('d', { outcome: 'rejected' }),
            // What was put off or ended unsent took no time of the receiver's.
            to('d', { outcome: 'breaker_open', isFinal: false, attempt: 0, attemptClass: '', durationUs: 0 }),
            to('d', { outcome: 'retrying', isFinal: false, attempt: 0, attemptClass: '', durationUs: 0 }),
            to('e', { outcome: 'expired', attempt: 0, attemptClass: '', durationUs: 0 }),
            {
              record: { topic },
              row: {
                ...sampleAttempt,
                destinationId: 'never-delivered',
                outcome: 'expired',
                attemptClass: '',
              },
            },
          ]),
        );
        const summaries = await destinationSummary(ledger);
        expect(summaries.find(({ destinationId }) => destinationId === 'summed-up')).toEqual({
          destinationId: 'summed-up',
          channel: 'webhook',
          deliveries: 5,
          delivered: 2,
          dead: 2,
          retries: 1,
          durationP50Ms: 4,
          durationP99Ms: 4,
          produceToReceiptP50Ms: 104,
          produceToReceiptP99Ms: 104,
        });
        expect(summaries.find(({ destinationId }) => destinationId === 'never-delivered')).toMatchObject({
          delivered: 0,
          durationP50Ms: null,
          durationP99Ms: null,
          produceToReceiptP50Ms: null,
        });
      });

      test('a record that was read again has its event once', async () => {
        const topic = newTopic();
        const record = { topic, tenant: 'reread' };
        await insert('events', eventBytes([{ record, row: { ingestedAtMs: TIME_MS } }]));
        await insert('events', eventBytes([{ record, row: { ingestedAtMs: TIME_MS + 60_000 } }]));
        const found = await ledger.query('SELECT data FROM events FINAL WHERE tenant = {tenant:String}', {
          tenant: 'reread',
        });
        expect(found).toEqual([{ data: Buffer.from(sampleEvent.data).toString('utf8') }]);
      });
    });
  });
}
