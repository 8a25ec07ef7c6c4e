/** Proves what `eventdispatch reconcile` says, in one line and with exit code 2, when it cannot begin. */
import { expect, test } from 'vitest';
import { closingLine, reportJson, reportLines } from '../../../src/cli/reconcile/show.ts';
import { ReconcileReport } from '../../../src/reconcile/report.ts';
import { commandUser } from '../command-run.ts';

const BROKERS = "kafka: { brokers: '127.0.0.1:1' }\n";
const { run, config } = commandUser('reconcile');

test('its help has examples and says what the exit codes mean', async () => {
  const { code, out } = await run('--help');
  expect(code).toBe(0);
  expect(out).toMatch(/\nExamples:\n {2}\$ eventdispatch reconcile --topic /);
  expect(out).toMatch(/Exit code 0 when nothing is\nmissing.*3 when something is/);
});

test.each([
  [[], /--topic <name>' not specified/],
  [['--topic', 't', '--from', 'yesterday'], /--from <bound>.*'yesterday'.*an offset \(1200\)/],
  [['--topic', 't', '--to', '2026-08-01T10:00'], /--to <bound>.*2026-08-01T10:00Z/],
  [['--topic', 't', '--partition', '-1'], /--partition <n>.*from 0/],
  [['--topic', 't', '--list', 'all'], /--list <n>.*0 to 10000/],
])('%j is refused before anything is opened', async (args, problem) => {
  const { code, err } = await run(...args);
  expect(code).toBe(2);
  expect(err.split('\n')[0]).toMatch(problem);
});

test('the embedded broker has nothing for another process', async () => {
  const file = config("clickhouse: { url: 'http://127.0.0.1:1' }\n");
  const { code, err } = await run('--topic', 'events', '--config', file);
  expect(code).toBe(2);
  expect(err).toMatch(/^error: nothing to reconcile: kafka\.brokers is not set.*\n$/);
});

test('a delay topic is no topic to reconcile', async () => {
  const file = config(
    "kafka: { brokers: '127.0.0.1:1', groupId: g }\nclickhouse: { url: 'http://127.0.0.1:1' }\nretry: { delays: [30s] }\n",
  );
  const { code, err } = await run('--topic', 'g.retry.30s', '--config', file);
  expect(code).toBe(2);
  expect(err).toMatch(/^error: --topic g\.retry\.30s: it is a delay topic; .*source topic.*\n$/);
});

test('a ledger that does not answer is named', async () => {
  const file = config(`${BROKERS}clickhouse: { url: 'http://127.0.0.1:1' }\n`);
  const { code, err } = await run('--topic', 'events', '--config', file);
  expect(code).toBe(2);
  expect(err).toMatch(/^error: ledger eventdispatch: .*ECONNREFUSED.*\n$/);
});

test('the report names every kind that was found, and says zero of the rest', () => {
  const report = new ReconcileReport(1);
  const at = (offset: number) => ({ partition: 2, offset, ledger: { tenant: 'acme', eventId: 'evt\u001b' } });
  report.addComplete(true);
  report.addMissing('retry_lost', at(7), 'crm');
  report.addMissing('no_row', at(8));
  report.addGap({ partition: 2, from: 3, end: 6, kind: 'retention' });
  const text = reportLines('events', report).join('\n');
  expect(text).toMatch(/missing: retry_lost\s+│\s+1 │/);
  expect(text).toMatch(/missing, the first 1 of 2/);
  expect(text).toMatch(/2:7\s+│ acme\s+│ evt\\u001b\s+│ crm\s+│ retry_lost/);
  expect(text).toMatch(/pending\s+│\s+0 │/);
  expect(text).toMatch(/ {2}2:3…5 retention/);
  expect(closingLine('events', report)).toBe(
    'events: 3 records, 1 complete, 0 pending, 2 missing; 0 deliveries duplicated',
  );
  expect(JSON.parse(reportJson('events', report, true))).toMatchObject({
    topic: 'events',
    isWhole: true,
    totals: { missing: { no_row: 1, retry_lost: 1 } },
    missing: [{ partition: 2, offset: 7 }],
  });
});
