/** Proves what `eventdispatch query` says to a user: its list, its answers, and each mistake in one line with exit code 2. */
import path from 'node:path';
import { expect, test } from 'vitest';
import { shippedQueries } from '../../../src/cli/query/shipped-queries.ts';
import { attemptBytes, TIME_MS } from '../../ledger/sample-rows.ts';
import { migratedLedger } from '../../support/ledger.ts';
import { commandUser } from '../command-run.ts';

const { folder, run, config } = commandUser('query');

test('--list names every question with its parameters', async () => {
  const { code, out } = await run('--list');
  expect(code).toBe(0);
  for (const { name, summary, parameters } of shippedQueries()) {
    expect(out).toContain(`${name}\n  ${summary}\n`);
    for (const parameter of parameters) expect(out).toContain(`${parameter.name} `);
  }
  expect(out).toMatch(/\n {4}event +the event's id \(required\)\n/);
});

test.each<[string[], RegExp]>([
  [[], /^error: query: which one\? `eventdispatch query --list` shows all\n$/],
  [
    ['channel'],
    /^error: query "channel": there is none of that name; allowed: channels, delivery-rate, .*worst-destinations\n$/,
  ],
  [['../package'], /^error: query "\.\.\/package": there is none/],
  [
    ['channels', '--param', 'until=2h', '--param', 'sinse=1d'],
    /^error: --param sinse: channels has no such parameter; allowed: since, until, tenant\n$/,
  ],
  [['channels', '--param', 'since'], /'since' is invalid\. Allowed: NAME=VALUE, such as since=2h\./],
  [['channels', '--param', 'since=1d', '--param', 'since=2d'], /^error: --param since is given twice\n$/],
  [
    ['channels', '--param', 'since=yesterday'],
    /^error: --param since: "yesterday" is not allowed; allowed: 2026-08-01, .* 7d\n$/,
  ],
  [
    ['worst-destinations', '-p', 'limit=many'],
    /^error: --param limit: "many" is not allowed; allowed: a whole number, 0 to 4294967295\n$/,
  ],
  [['what-happened', '-p', 'tenant=acme'], /^error: --param event=… is missing: the event's id\n$/],
  [['what-happened'], /^error: --param tenant=… is missing: .*\nerror: --param event=… is missing: .*\n$/],
  [['channels', '--format', 'xml'], /Allowed choices are table, csv, json/],
])('%j is refused before anything is opened', async (args, problem) => {
  const { code, err } = await run(...args);
  expect([code, err]).toEqual([2, expect.stringMatching(problem)]);
});

test.each<[string, string, RegExp]>([
  ['a temporary ledger is none to ask', '', /^error: no ledger to ask: set clickhouse\.url .*\n$/],
  [
    'a ledger that does not answer is named',
    "clickhouse: { url: 'http://127.0.0.1:1' }\n",
    /^error: ledger eventdispatch: .*ECONNREFUSED.*\n$/,
  ],
])('%s', async (_what, text, problem) => {
  const { code, err } = await run('channels', '--config', config(text));
  expect([code, err]).toEqual([2, expect.stringMatching(problem)]);
});

test('a ledger without tables says what makes them; with them it answers in each format', async () => {
  const embeddedPath = path.join(folder(), 'ledger');
  const file = config(`clickhouse: { embeddedPath: '${embeddedPath}' }\n`);
  const unmigrated = await run('channels', '--config', file);
  expect([unmigrated.code, unmigrated.err]).toEqual([
    2,
    expect.stringMatching(/^error: ledger eventdispatch: .*`eventdispatch migrate` makes its tables.*\n$/),
  ]);
  const ledger = await migratedLedger({ embeddedPath });
  const tenant = "o'hara {since:String}";
  await ledger.insert(
    'attempts',
    [attemptBytes([{ record: { tenant }, row: { durationUs: 2_000 } }])],
    'ab'.repeat(16),
  );
  await ledger.close();
  const since = `since=${new Date(TIME_MS - 60_000).toISOString()}`;
  const ask = (format: string) =>
    run('channels', '-c', file, '-p', since, '-p', `tenant=${tenant}`, '--format', format);
  const csv = await ask('csv');
  expect([csv.code, csv.err, csv.out]).toEqual([
    0,
    '',
    'channel,attempts,delivered,failed,success_percent,average_ms,request_bytes,response_bytes\nwebhook,1,1,0,100,2,512,11\n',
  ]);
  const json = await ask('json');
  expect(JSON.parse(json.out)).toMatchObject([{ channel: 'webhook', attempts: 1, average_ms: 2 }]);
  const table = await ask('table');
  expect(table.out).toMatch(/│ webhook │ +1 │ +1 │ +0 │ +100 │ +2 │/);
});
