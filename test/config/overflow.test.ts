/** Proves where ledger rows go while ClickHouse does not take them, and that they go nowhere they would harm. */
import { expect, test } from 'vitest';
import { describeConfig } from '../../src/config/mask.ts';
import { load, MINIMAL, problemsOf } from './support.ts';

const REAL = `kafka: { brokers: 'b:9092', groupId: ours }\n`;
const withOverflow = (overflow: string): string =>
  `${REAL}clickhouse: { url: 'http://ch:8123', overflow: ${overflow} }\n${MINIMAL}`;

test('is a topic of the group, with bounds, where both neighbours are servers', () => {
  expect(load(`${REAL}clickhouse: { url: 'http://ch:8123' }\n${MINIMAL}`).overflow).toEqual({
    topic: 'ours.ledger-overflow',
    groupId: 'ours.overflow',
    afterRows: 200_000,
    afterBytes: 32 * 1024 * 1024,
    afterAgeMs: 5_000,
    drainShare: 0.5,
  });
});

test('is none where it is off, or a neighbour is embedded', () => {
  expect(load(withOverflow('off')).overflow).toBeNull();
  expect(load(`${REAL}${MINIMAL}`).overflow).toBeNull();
  expect(load(`clickhouse: { url: 'http://ch:8123' }\n${MINIMAL}`).overflow).toBeNull();
});

test('is shown as it is written', () => {
  const described = describeConfig(
    load(withOverflow('{ topic: o, afterSize: 1mb, afterAge: 2s, drainShare: 20% }')),
  );
  expect(described).toContain(
    [
      '  overflow:',
      '    topic: o',
      '    afterRows: 200000',
      '    afterSize: 1mb',
      '    afterAge: 2s',
      '    drainShare: 0.2',
    ].join('\n'),
  );
  expect(describeConfig(load(withOverflow('off')))).toContain('  overflow: off');
});

test('is no topic that is read, or has another purpose', () => {
  const reads = (topics: string): string =>
    withOverflow('{ topic: o.1 }').replace('groupId', `topics: ${topics}, groupId`);
  expect(problemsOf(reads('[o.1]'))).toEqual([
    expect.stringContaining(
      'clickhouse.overflow.topic: "o.1" is not allowed: kafka.topics has o.1, which would read it back',
    ),
  ]);
  expect(problemsOf(reads("['^o[.]']"))).toEqual([expect.stringContaining('kafka.topics has ^o[.]')]);
  expect(problemsOf(withOverflow('{ topic: eventdispatch.dead-letter }'))).toEqual([
    expect.stringContaining('eventdispatch.dead-letter is kafka.deadLetterTopic'),
  ]);
});
