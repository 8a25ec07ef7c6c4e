/** Proves that what "embedded" means is said exactly where a system is embedded. */
import { expect, test } from 'vitest';
import { embeddedNotice } from '../../src/cli/embedded-notice.ts';
import { load, MINIMAL } from '../config/support.ts';

const notice = (yaml: string): string => embeddedNotice(load(MINIMAL + yaml)).join('\n');

test('both embedded', () => {
  const said = notice('');
  expect(said).toMatch(/^Kafka: embedded.*5 MB of each partition.*nothing survives the process\.$/m);
  expect(said).toMatch(/^ClickHouse: embedded.*temporary folder that is removed on exit\.$/m);
});

test('a folder for the engine is named', () => {
  expect(notice("clickhouse: { embeddedPath: '/tmp/somewhere' }\n")).toContain(
    'The ledger is in /tmp/somewhere,',
  );
});

test('real systems need no words', () => {
  expect(notice("kafka: { brokers: 'b:9092' }\nclickhouse: { url: 'http://ch:8123' }\n")).toBe('');
});
