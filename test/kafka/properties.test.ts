/** Proves that what delivery depends on can't be configured away, and that queues are bounded. */
import { describe, expect, test } from 'vitest';
import type { KafkaConfig } from '../../src/config/config.ts';
import { limits } from '../../src/domain/limits.ts';
import { consumerProperties, overflowProperties, producerProperties } from '../../src/kafka/properties.ts';

const kafka: KafkaConfig = {
  brokers: 'configured:9092',
  groupId: 'dispatch',
  groupProtocol: 'consumer',
  topics: ['events'],
  rekey: null,
  deadLetterTopic: 'dead',
  badEventTopic: 'bad',
  properties: { 'security.protocol': 'sasl_ssl', 'socket.timeout.ms': 1_000 },
  consumerProperties: { 'fetch.wait.max.ms': 7 },
  producerProperties: { 'linger.ms': 9 },
  maxRecordBytes: 1024 * 1024,
  revokeDeadlineMs: 10_000,
  lostRecords: 'stop',
  commitIntervalMs: 500,
};

/** Everything a user could write that would lose records. */
const careless = {
  'enable.auto.commit': true,
  'enable.auto.offset.store': true,
  'enable.idempotence': false,
  acks: 1,
  'bootstrap.servers': 'elsewhere:9092',
  'group.id': 'another',
};

describe('the consumer', () => {
  test('commits only what we say, whatever is configured', () => {
    const properties = consumerProperties(
      { ...kafka, properties: careless, consumerProperties: careless },
      'here:9092',
    );
    expect(properties).toMatchObject({
      'enable.auto.commit': false,
      'enable.auto.offset.store': false,
      'bootstrap.servers': 'here:9092',
      'group.id': 'dispatch',
    });
  });

  test('starts a new group at the beginning, checks what it reads, and bounds what it prefetches', () => {
    expect(consumerProperties(kafka, 'here:9092')).toMatchObject({
      'auto.offset.reset': 'earliest',
      'check.crcs': true,
      'queued.max.messages.kbytes': limits.prefetchBytes / 1024,
    });
  });

  test.each<[string, Partial<KafkaConfig>, number]>([
    ['is waited for a minute by its group', {}, 60_000],
    ['longer than it may take to give partitions up', { revokeDeadlineMs: 240_000 }, 270_000],
    ['no less than its session', { consumerProperties: { 'session.timeout.ms': 90_000 } }, 90_000],
    ['as long as the user says', { properties: { 'max.poll.interval.ms': 75_000 } }, 75_000],
  ])('%s', (_what, change, expectedMs) => {
    const properties = consumerProperties({ ...kafka, ...change }, 'here:9092');
    expect(properties['max.poll.interval.ms']).toBe(expectedMs);
  });

  test('passes the user’s own properties on, its own ones over the common ones', () => {
    const properties = consumerProperties(
      { ...kafka, consumerProperties: { 'socket.timeout.ms': 2_000 } },
      'here:9092',
    );
    expect(properties).toMatchObject({ 'security.protocol': 'sasl_ssl', 'socket.timeout.ms': 2_000 });
    expect(consumerProperties(kafka, 'here:9092')).toMatchObject({ 'fetch.wait.max.ms': 7 });
  });

  test('joins by the new protocol with the server’s range assignor, or by the classic one', () => {
    expect(consumerProperties(kafka, 'b')).toMatchObject({
      'group.protocol': 'consumer',
      'group.remote.assignor': 'range',
    });
    const classic = consumerProperties({ ...kafka, groupProtocol: 'classic' }, 'b');
    expect(classic).toMatchObject({ 'group.protocol': 'classic', 'partition.assignment.strategy': 'range' });
    expect(classic).not.toHaveProperty('group.remote.assignor');
  });
});

describe('the producer', () => {
  test('has every replica’s ack, once, whatever is configured', () => {
    const properties = producerProperties(
      { ...kafka, properties: careless, producerProperties: careless },
      'here:9092',
    );
    expect(properties).toMatchObject({
      acks: 'all',
      'enable.idempotence': true,
      'bootstrap.servers': 'here:9092',
    });
  });

  test('takes the largest record there may be, headers included, and bounds its queue to one more than hand-overs take', () => {
    const properties = producerProperties(kafka, 'b');
    expect(properties['message.max.bytes']).toBeGreaterThan(limits.recordMaxBytes);
    const largestBytes = Number(properties['message.max.bytes']);
    expect(properties['queue.buffering.max.kbytes']).toBe(
      (limits.handoverPendingBytes + largestBytes) / 1024,
    );
    expect(properties).toMatchObject({ 'linger.ms': 9 });
  });
});

describe('the drainer of the ledger’s overflow', () => {
  test('is of a group of its own, and begins with the oldest, whatever is configured', () => {
    const latest = { ...kafka, consumerProperties: { 'auto.offset.reset': 'latest' } };
    expect(overflowProperties(latest, 'here:9092', 'dispatch.overflow')).toMatchObject({
      'bootstrap.servers': 'here:9092',
      'group.id': 'dispatch.overflow',
      'auto.offset.reset': 'earliest',
      'enable.auto.commit': false,
      'security.protocol': 'sasl_ssl',
    });
  });
});
