/** The owner process answers the official client over HTTP as a ClickHouse server does, and shows faults when told. */
import { ClickHouseLogLevel, createClient } from '@clickhouse/client';
import type { ClickHouseClient } from '@clickhouse/client';
import { Readable } from 'node:stream';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';

import { startClickHouseOwner } from '../support/clickhouse-owner.ts';
import type { ClickHouseOwner } from '../support/clickhouse-owner.ts';
import { temporaryDirectory } from '../support/temp.ts';
import { waitFor } from '../support/wait.ts';

const ROW = '1\t2026-01-01 00:00:00\tx\n';

let owner: ClickHouseOwner;
let client: ClickHouseClient;
let tables = 0;

beforeAll(async () => {
  owner = await startClickHouseOwner();
  client = createClient({ url: owner.url, request_timeout: 5_000, log: { level: ClickHouseLogLevel.OFF } });
});
afterAll(async () => {
  await client.close();
  await owner.stop();
});
afterEach(() => owner.clearFaults());

async function newTable(): Promise<string> {
  tables += 1;
  const name = `t${tables}`;
  await client.command({
    query: `CREATE TABLE ${name} (id UInt64, at DateTime64(3, 'UTC'), text String) ENGINE = MergeTree ORDER BY id
      SETTINGS non_replicated_deduplication_window = 100`,
  });
  return name;
}

async function insertTsv(
  table: string,
  tsv: Buffer | string,
  settings: Record<string, string | number> = {},
) {
  const result = await client.exec({
    query: `INSERT INTO ${table} (id, at, text) FORMAT TabSeparated`,
    values: Readable.from([tsv]),
    clickhouse_settings: { async_insert: 0, ...settings },
  });
  result.stream.resume();
}

async function select<T>(query: string, query_params: Record<string, unknown> = {}): Promise<T[]> {
  const result = await client.query({ query, query_params, format: 'JSONEachRow' });
  return result.json<T>();
}

async function count(table: string): Promise<number> {
  const [row] = await select<{ n: number }>(`SELECT toUInt32(count()) AS n FROM ${table}`);
  return row!.n;
}

test('ping', async () => {
  expect(await client.ping()).toEqual({ success: true });
  expect(await client.ping({ select: true })).toEqual({ success: true });
});

describe('inserts', () => {
  test('rows of tab-separated bytes come back as they were, UTF-8 or not', async () => {
    const table = await newTable();
    await insertTsv(table, Buffer.from('1\t2026-01-02 03:04:05.678\tgrüß \\t 😀; SELECT 1\n'));
    await insertTsv(
      table,
      Buffer.concat([Buffer.from('2\t2026-01-01 00:00:00\t'), Buffer.from([0xff, 0xfe, 0x0a])]),
    );
    const rows = await select(
      `SELECT text, hex(text) AS bytes, toString(at) AS at FROM ${table} ORDER BY id`,
    );
    expect(rows[0]).toMatchObject({ text: 'grüß \t 😀; SELECT 1', at: '2026-01-02 03:04:05.678' });
    expect(rows[1]).toMatchObject({ bytes: 'FFFE' });
  });

  test('client.insert by objects', async () => {
    const table = await newTable();
    const values = [{ id: 1, at: '2026-01-02T03:04:05.678Z', text: 'ä' }];
    const settings = { date_time_input_format: 'best_effort', async_insert: 0 } as const;
    await client.insert({ table, values, format: 'JSONEachRow', clickhouse_settings: settings });
    expect(await select(`SELECT text, toUnixTimestamp64Milli(at)::String AS ms FROM ${table}`)).toEqual([
      { text: 'ä', ms: String(Date.parse('2026-01-02T03:04:05.678Z')) },
    ]);
  });

  test('a deduplication token holds for its own insert only, wherever it was given', async () => {
    const table = await newTable();
    const inStatement = `INSERT INTO ${table} SETTINGS insert_deduplication_token = 'b' FORMAT TabSeparated`;
    await insertTsv(table, ROW, { insert_deduplication_token: 'a' });
    await insertTsv(table, '2\t2026-01-01 00:00:00\tx\n', { insert_deduplication_token: 'a' });
    expect(await count(table)).toBe(1);
    await insertTsv(table, '3\t2026-01-01 00:00:00\tx\n');
    await client.command({ query: `INSERT INTO ${table} VALUES (4, now(), 'x')` });
    expect(await count(table)).toBe(3);
    for (let time = 0; time < 2; time += 1) {
      const result = await client.exec({
        query: inStatement,
        values: Readable.from(['5\t2026-01-01 00:00:00\tx\n']),
      });
      result.stream.resume();
    }
    expect(await count(table)).toBe(4);
  });

  test('a token that came with a statement without a body does not stay either', async () => {
    const table = await newTable();
    const settings = { insert_deduplication_token: 'same' };
    await client.command({
      query: `INSERT INTO ${table} VALUES (1, now(), 'x')`,
      clickhouse_settings: settings,
    });
    await client.command({ query: `INSERT INTO ${table} VALUES (2, now(), 'x')` });
    await insertTsv(table, '3\t2026-01-01 00:00:00\tx\n');
    expect(await count(table)).toBe(3);
  });

  test('16 MB at once, and nothing at all', async () => {
    const table = await newTable();
    const line = `7\t2026-01-01 00:00:00\t${'y'.repeat(1_000)}\n`;
    await insertTsv(table, line.repeat(16_000));
    await insertTsv(table, '');
    expect(await count(table)).toBe(16_000);
  });

  test('binary rows are refused, not corrupted', async () => {
    const table = await newTable();
    const query = `INSERT INTO ${table} FORMAT RowBinary`;
    await expect(client.exec({ query, values: Readable.from([Buffer.from([1])]) })).rejects.toMatchObject({
      code: '48',
    });
  });
});

describe('queries', () => {
  test('parameters of every kind, and none from an earlier request', async () => {
    const at = new Date('2026-01-02T03:04:05.678Z');
    const params = { text: `it's\ta "\\n" 😀`, list: [`o'clock`, 'b\\c'], number: 5, at, nothing: null };
    const rows = await select(
      `SELECT {text:String} AS text, {list:Array(String)} AS list, {number:UInt8} + 1 AS number,
        toUnixTimestamp64Milli({at:DateTime64(3)})::String AS at, {nothing:Nullable(String)} AS nothing`,
      params,
    );
    expect(rows).toEqual([{ ...params, number: 6, at: String(at.getTime()) }]);
    await expect(select('SELECT {number:UInt8} AS number')).rejects.toThrow();
  });

  test('settings hold for one request', async () => {
    const ask = async (settings: Record<string, number>) => {
      const query = `SELECT toUInt32(getSetting('max_block_size')) AS v`;
      const result = await client.query({ query, format: 'JSONEachRow', clickhouse_settings: settings });
      return (await result.json<{ v: number }>())[0]!.v;
    };
    const usual = await ask({});
    expect(await ask({ max_block_size: 123 })).toBe(123);
    expect(await ask({})).toBe(usual);
  });

  test('a database of the client', async () => {
    await client.command({ query: 'CREATE DATABASE other' });
    const inOther = createClient({
      url: owner.url,
      database: 'other',
      log: { level: ClickHouseLogLevel.OFF },
    });
    await inOther.command({ query: 'CREATE TABLE here (id UInt8) ENGINE = MergeTree ORDER BY id' });
    await inOther.insert({ table: 'here', values: [{ id: 1 }], format: 'JSONEachRow' });
    await inOther.close();
    expect(await count('other.here')).toBe(1);
    await expect(count('here')).rejects.toMatchObject({ code: '60' });
  });

  test.each([
    ['SELECT * FROM nowhere', '60', 'UNKNOWN_TABLE', 404],
    ['SELEC 1', '62', 'SYNTAX_ERROR', 400],
    ['SELECT throwIf(1)', '395', 'FUNCTION_THROW_IF_VALUE_IS_NON_ZERO', 500],
  ])('error of %s', async (query, code, type, status) => {
    await expect(client.command({ query })).rejects.toMatchObject({ code, type });
    const response = await fetch(owner.url, { method: 'POST', body: query });
    expect(response.status).toBe(status);
    expect(response.headers.get('x-clickhouse-exception-code')).toBe(code);
    expect(await response.text()).toMatch(/^Code: \d+\. DB::Exception: /);
  });
});

describe('faults', () => {
  test('an error before the insert was run, so often and no more (C1, C4)', async () => {
    const table = await newTable();
    const fault = {
      on: 'insert',
      when: 'before',
      act: 'error',
      code: 252,
      type: 'TOO_MANY_PARTS',
      times: 2,
    } as const;
    await owner.fault(fault);
    for (let time = 0; time < 2; time += 1) {
      await expect(insertTsv(table, ROW)).rejects.toMatchObject({ code: '252' });
    }
    expect(await count(table)).toBe(0);
    await insertTsv(table, ROW);
    expect(await count(table)).toBe(1);
  });

  test('a reply lost after the insert was run; one copy after the retry (C3)', async () => {
    const table = await newTable();
    await owner.fault({ on: 'insert', when: 'after', act: 'reset', times: 1 });
    const settings = { insert_deduplication_token: 'once' };
    await expect(insertTsv(table, ROW, settings)).rejects.toThrow();
    expect(await count(table)).toBe(1);
    await insertTsv(table, ROW, settings);
    expect(await count(table)).toBe(1);
  });

  test('hanging ends by clearFaults', async () => {
    const table = await newTable();
    const { faults } = await owner.stats();
    await owner.fault({ on: 'insert', when: 'before', act: 'hang' });
    const insert = insertTsv(table, ROW).then(
      () => 'done',
      () => 'failed',
    );
    const hangs = async () => (await owner.stats()).faults > faults;
    await waitFor(hangs, { timeoutMs: 2_000, what: 'the insert to hang' });
    await owner.clearFaults();
    expect(await insert).toBe('failed');
  });

  test('kill -9 and start again: acked rows are there (C6)', async () => {
    const table = await newTable();
    await insertTsv(table, ROW);
    await owner.kill();
    await expect(client.query({ query: 'SELECT 1' })).rejects.toThrow();
    await owner.startAgain();
    expect(await count(table)).toBe(1);
  });

  test('a second owner of one directory is refused', async () => {
    const directory = await temporaryDirectory('owned-twice');
    const first = await startClickHouseOwner({ dir: directory.path });
    await expect(startClickHouseOwner({ dir: directory.path })).rejects.toThrow(/76|[Ll]ock/);
    await first.stop();
    await directory.remove();
  });
});
