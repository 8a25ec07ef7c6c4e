/** Proves that each log line is one JSON object of a known event, at its level, without secrets. */
import { describe, expect, test } from 'vitest';
import { LOG_EVENTS } from '../../src/observability/log-events.ts';
import type { LogEvent } from '../../src/observability/log-events.ts';
import { createLogger } from '../../src/observability/log.ts';
import type { LogLevel } from '../../src/config/config.ts';

function logged(level: LogLevel = 'trace'): {
  log: ReturnType<typeof createLogger>;
  lines: () => Record<string, unknown>[];
} {
  const written: string[] = [];
  const log = createLogger(level, { write: (line) => void written.push(line) });
  return { log, lines: () => written.map((line) => JSON.parse(line) as Record<string, unknown>) };
}

const events = Object.keys(LOG_EVENTS) as LogEvent[];

describe('a line', () => {
  test.each(events)('%s is written at its level, with its name and text', (event) => {
    const { log, lines } = logged();
    log.write(event, { port: 1 });
    const { level, text } = LOG_EVENTS[event];
    expect(lines()).toEqual([
      { level, time: expect.stringMatching(/^\d{4}-.*Z$/), event, port: 1, msg: text },
    ]);
  });

  test('is one line, whatever the fields hold', () => {
    const written: string[] = [];
    createLogger('info', { write: (line) => void written.push(line) }).write('started', { note: 'a\nb' });
    expect(written).toHaveLength(1);
    expect(written[0]!.indexOf('\n')).toBe(written[0]!.length - 1);
  });

  test('carries an error with its message and stack', () => {
    const { log, lines } = logged();
    log.write('fatal', { err: new TypeError('no such thing') });
    expect(lines()[0]!['err']).toMatchObject({
      type: 'TypeError',
      message: 'no such thing',
      stack: expect.any(String),
    });
  });

  test('carries the fields of the log it was written to, and cannot lose its event to one', () => {
    const { log, lines } = logged();
    log
      .with({ topic: 'orders', event: 'x' })
      .with({ partition: 3 })
      .write('partition_paused', { event: 'y' });
    expect(lines()[0]).toMatchObject({ topic: 'orders', partition: 3, event: 'partition_paused' });
  });
});

test('events below the level are not written', () => {
  const { log, lines } = logged('warn');
  log.write('started');
  log.write('partition_resumed');
  log.write('commit_failed');
  log.write('ledger_refused');
  expect(lines().map((line) => line['event'])).toEqual(['commit_failed', 'ledger_refused']);
});

test('tells whether a line would come out', () => {
  expect(logged('debug').log.writes('rows_durable')).toBe(true);
  expect(logged('info').log.with({ topic: 'a' }).writes('rows_durable')).toBe(false);
  expect(logged('silent').log.writes('fatal')).toBe(false);
});

test('silent writes nothing', () => {
  const { log, lines } = logged('silent');
  log.write('fatal');
  expect(lines()).toEqual([]);
});

describe('secrets', () => {
  const secret = 'hunter2-very-secret';
  const shapes: Record<string, object> = {
    'a password': { password: secret },
    'a password of ClickHouse': { clickhouse: { password: secret } },
    'a SASL password': { kafka: { properties: { 'sasl.password': secret } } },
    'a key password': { properties: { 'ssl.key.password': secret } },
    'request headers': { destination: { headers: ['authorization', secret] } },
    'a payload': { record: { value: secret } },
    'a payload as text': { dataJson: secret },
  };

  test.each(Object.entries(shapes))('%s is not written', (_, fields) => {
    const written: string[] = [];
    createLogger('info', { write: (line) => void written.push(line) }).write('started', { ...fields });
    expect(written.join('')).not.toContain(secret);
    expect(written.join('')).toContain('[redacted]');
  });

  test('the caller’s objects stay as they were', () => {
    const { log } = logged();
    const properties = { 'sasl.password': secret };
    log.write('started', { properties });
    expect(properties).toEqual({ 'sasl.password': secret });
  });
});
