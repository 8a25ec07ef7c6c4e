/** Proves on the embedded broker that parts of a topic are read whole and in order, without a group, and end where they are to end. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startEmbeddedBroker } from '../../src/kafka/embedded-broker.ts';
import type { EmbeddedBroker } from '../../src/kafka/embedded-broker.ts';
import { openProducer } from '../../src/kafka/producer.ts';
import { TopicReader } from '../../src/kafka/topic-reader.ts';

const TOPIC = 'letters';
const RECORDS = 1_000;
let broker: EmbeddedBroker;
let reader: TopicReader;

beforeAll(async () => {
  broker = await startEmbeddedBroker([TOPIC]);
  const producer = await openProducer({ 'bootstrap.servers': broker.brokers, acks: 'all' });
  for (let i = 0; i < RECORDS; i++)
    producer.produce(
      TOPIC,
      i % 2,
      null,
      Buffer.from(String(i)),
      [['n', Buffer.from(String(i))]],
      () => undefined,
    );
  await producer.flush(10_000);
  await producer.close();
  reader = await TopicReader.open({
    'bootstrap.servers': broker.brokers,
    'group.id': 'no-group',
    'group.remote.assignor': 'range',
    'fetch.wait.max.ms': 50,
  });
});
afterAll(async () => {
  await reader.close();
  await broker.close();
});

async function read(partition: number, from: number, end: number, most = Infinity): Promise<string[]> {
  const values: string[] = [];
  await reader.read(TOPIC, { partition, from, end }, async (records) => {
    // A user that takes its time: nothing may be lost or come twice meanwhile.
    await new Promise((resolve) => setImmediate(resolve));
    values.push(...records.map(({ value }) => String(value)));
    return values.length < most;
  });
  return values;
}

const odd = Array.from({ length: RECORDS / 2 }, (_, i) => String(2 * i + 1));

describe('a part of a topic', () => {
  test('from the first record to the end as it was is read whole and in order', async () => {
    const bounds = await reader.bounds(TOPIC, 1);
    expect(bounds).toEqual({ partition: 1, from: 0, end: RECORDS / 2 });
    expect(await read(1, bounds.from, bounds.end)).toEqual(odd);
  });

  test('in the middle begins and ends where it was asked to', async () => {
    expect(await read(1, 100, 103)).toEqual(['201', '203', '205']);
    expect(await read(0, 100, 101)).toEqual(['200']);
  });

  test('beyond the end ends at the end, and an empty one at once', async () => {
    expect(await read(1, 498, 10_000)).toEqual(['997', '999']);
    expect(await read(1, 20, 20)).toEqual([]);
    expect(await reader.bounds(TOPIC, 3)).toEqual({ partition: 3, from: 0, end: 0 });
    expect(await read(3, 0, 5)).toEqual([]);
  });

  test('ends early when its user has enough, and the next read starts anew', async () => {
    expect((await read(1, 0, 500, 1)).length).toBeLessThan(500);
    expect(await read(1, 0, 500)).toEqual(odd);
  });
});

test('knows how many partitions a topic has, and makes none by asking', async () => {
  expect(await reader.partitions(TOPIC)).toBe(4);
  expect(await reader.partitions('not-there')).toBe(0);
  expect(await reader.partitions('not-there')).toBe(0);
});

test('a partition that is not there is an error that names it', async () => {
  await expect(reader.bounds(TOPIC, 99)).rejects.toThrow(/^letters\[99\]: /);
});
