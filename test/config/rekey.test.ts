/** Proves that a topic is read in one way only, and that each mistake in `kafka.rekey` is named in one line. */
import { describe, expect, test } from 'vitest';
import { describeConfig } from '../../src/config/mask.ts';
import { load, MINIMAL, problemsOf } from './support.ts';

const withKafka = (kafka: string): string => `kafka: ${kafka}\n${MINIMAL}`;

describe('what is written', () => {
  test('is filled up with the group’s name', () => {
    const { kafka } = load(withKafka('{ groupId: g, rekey: { topics: [orders, invoices] } }'));
    expect(kafka.topics).toEqual(['events']);
    expect(kafka.rekey).toEqual({ topics: ['orders', 'invoices'], topic: 'g.rekeyed', partitions: null });
  });

  test('is taken as it is, a single topic as a list of one', () => {
    const { kafka } = load(
      withKafka('{ topics: [], rekey: { topics: orders, topic: by-tenant, partitions: 12 } }'),
    );
    expect(kafka.topics).toEqual([]);
    expect(kafka.rekey).toEqual({ topics: ['orders'], topic: 'by-tenant', partitions: 12 });
  });

  test('may come from variables', () => {
    const { kafka } = load(MINIMAL, {
      EVENTDISPATCH_KAFKA__REKEY__TOPICS: 'orders,invoices',
      EVENTDISPATCH_KAFKA__REKEY__PARTITIONS: '6',
    });
    expect(kafka.rekey).toEqual({
      topics: ['orders', 'invoices'],
      topic: 'eventdispatch.rekeyed',
      partitions: 6,
    });
  });

  test('is shown as it may be written again', () => {
    const config = load(withKafka('{ rekey: { topics: [orders], partitions: 3 } }'));
    expect(load(describeConfig(config)).kafka.rekey).toEqual(config.kafka.rekey);
  });
});

describe('a mistake is named', () => {
  test.each([
    [
      'no topic',
      'rekey: { topics: [] }',
      'kafka.rekey.topics: [] is not allowed; allowed: at least one topic',
    ],
    ['no topics at all', 'rekey: { partitions: 3 }', 'kafka.rekey.topics: is required'],
    ['a pattern', 'rekey: { topics: [^orders] }', 'kafka.rekey.topics'],
    ['too few partitions', 'rekey: { topics: [orders], partitions: 0 }', 'kafka.rekey.partitions: 0'],
    [
      'a topic in both lists',
      'topics: [orders], rekey: { topics: [invoices, orders] }',
      'is not allowed: kafka.topics has orders, which reads orders as it is',
    ],
    [
      'a topic that a pattern reads',
      'topics: [^ord], rekey: { topics: [orders] }',
      'is not allowed: kafka.topics has ^ord, which reads orders as it is',
    ],
    [
      'the internal topic among those it is made of',
      'rekey: { topics: [orders], topic: orders }',
      'kafka.rekey.topic: "orders" is not allowed: kafka.rekey.topics has orders',
    ],
    [
      'the internal topic among those that are read anyway',
      'topics: [by-tenant], rekey: { topics: [orders], topic: by-tenant }',
      'kafka.rekey.topic: "by-tenant" is not allowed: kafka.topics has by-tenant',
    ],
    [
      'the dead-letter topic as the internal one',
      'deadLetterTopic: dead, rekey: { topics: [orders], topic: dead }',
      'kafka.rekey.topic: "dead" is not allowed: dead is kafka.deadLetterTopic',
    ],
    [
      'a delay topic as the internal one',
      'rekey: { topics: [orders], topic: eventdispatch.retry.30s }',
      'is not allowed: eventdispatch.retry.30s is a delay topic',
    ],
    [
      'the ledger’s overflow as the internal one',
      'rekey: { topics: [orders], topic: eventdispatch.ledger-overflow }',
      'is not allowed: eventdispatch.ledger-overflow is clickhouse.overflow.topic',
    ],
    [
      'the bad-event topic among those that are moved',
      'badEventTopic: bad, rekey: { topics: [bad] }',
      'is not allowed: bad is kafka.badEventTopic',
    ],
    [
      'a group’s name that makes no topic',
      "groupId: 'my group', rekey: { topics: [orders] }",
      'is required: my group.rekeyed, by kafka.groupId, is no topic name',
    ],
  ])('%s', (_, kafka, says) => {
    const problems = problemsOf(withKafka(`{ ${kafka} }`));
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(says);
  });

  test('no topics, and nothing that is rekeyed', () => {
    expect(problemsOf(withKafka('{ topics: [] }'))).toEqual([
      expect.stringContaining('kafka.topics: [] is not allowed; allowed: at least one topic or pattern'),
    ]);
  });
});
