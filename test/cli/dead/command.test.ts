/** Proves what `eventdispatch dead` says, in one line and with exit code 2, when it cannot begin. */
import { expect, test } from 'vitest';
import { commandUser } from '../command-run.ts';

const { run, config } = commandUser('dead');

test.each([[[]], [['list']], [['show']], [['redrive']], [['drop']]])(
  'help of %j has examples',
  async (command) => {
    const { code, out } = await run(...command, '--help');
    expect(code).toBe(0);
    expect(out).toMatch(/\nExamples:\n {2}\$ eventdispatch dead /);
  },
);

test.each([
  [['list', '--since', 'yesterday'], /--since <time>.*'yesterday'.*2026-08-01T10:00Z/],
  [['redrive', '--rate', 'fast'], /--rate <rate>.*'fast'.*Allowed: 50\/s/],
  [['list', '--kind', 'mine'], /--kind <kind>.*'mine'.*Allowed: refused, endpoint, pipeline/],
  [['show', 'x'], /"x" is not allowed; allowed: PARTITION:OFFSET/],
  [['redrive', '1:2', '--tenant', 'acme'], /--tenant and 1:2/],
  [['drop', '1:2', '1'], /"1" is not allowed/],
])('%j is refused before anything is opened', async (args, problem) => {
  const { code, err } = await run(...args);
  expect(code).toBe(2);
  expect(err.split('\n')[0]).toMatch(problem);
});

test('the embedded broker has no dead letters for another process', async () => {
  const { code, err } = await run('list', '--config', config("clickhouse: { url: 'http://127.0.0.1:1' }\n"));
  expect(code).toBe(2);
  expect(err).toMatch(/^error: no dead letters to read: kafka\.brokers is not set.*\n$/);
});

test('a temporary ledger is no ledger to ask', async () => {
  const { code, err } = await run('list', '--config', config("kafka: { brokers: '127.0.0.1:1' }\n"));
  expect(code).toBe(2);
  expect(err).toMatch(/^error: no ledger to read: set clickhouse\.url .*\n$/);
});

test('a ledger that does not answer is named', async () => {
  const text = "kafka: { brokers: '127.0.0.1:1' }\nclickhouse: { url: 'http://127.0.0.1:1' }\n";
  const { code, err } = await run('list', '--config', config(text));
  expect(code).toBe(2);
  expect(err).toMatch(/^error: ledger eventdispatch: .*ECONNREFUSED.*\n$/);
});
