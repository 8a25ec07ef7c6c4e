/** Proves that a part is durable only with the broker's ack, and comes out of the topic as it went in. */
import { expect, test } from 'vitest';
import type { OnAck } from '../../src/domain/record-producer.ts';
import type { RecordHeader } from '../../src/domain/record.ts';
import { OverflowProducer } from '../../src/overflow/overflow-producer.ts';
import { overflowRowsOf } from '../../src/overflow/overflow-record.ts';

interface Produced {
  readonly key: string;
  readonly value: Buffer;
  readonly headers: readonly RecordHeader[];
  readonly ack: OnAck;
}

function setUp() {
  const produced: Produced[] = [];
  const state = { isFull: false, pauses: 0 };
  const producer = new OverflowProducer({
    producer: {
      produce: (topic, partition, key, value, headers, ack) => {
        expect([topic, partition]).toEqual(['overflow', null]);
        if (state.isFull) return false;
        produced.push({ key: String(key), value: value as Buffer, headers, ack });
        return true;
      },
    },
    topic: 'overflow',
    writer: 'host-1',
    columnsOf: (table) => [`${table}_1`, `${table}_2`],
    pause: () => {
      state.pauses++;
      state.isFull = false;
      return Promise.resolve();
    },
  });
  return { producer, produced, state };
}

const part = {
  table: 'events',
  pieces: [Buffer.from('a\tb\n'), Buffer.from('c\td\n')],
  bytes: 8,
  rows: 2,
  token: 'f'.repeat(32),
};

test('as one record, with what is needed to insert it', async () => {
  const { producer, produced } = setUp();
  let isDurable = false;
  const put = producer.put(part).then(() => {
    isDurable = true;
  });
  await Promise.resolve();
  expect([produced.length, isDurable]).toEqual([1, false]);
  const [{ key, value, headers, ack }] = produced as [Produced];
  ack(null);
  await put;
  expect(producer.stats).toEqual({ parts: 1, rows: 2, bytes: 8, failures: 0 });
  const record = {
    topic: 'overflow',
    partition: 0,
    offset: 1,
    timestamp: 1_760_000_000_000,
    value,
    headers: headers.map(([name, bytes]) => ({ [name]: Buffer.from(bytes) })),
  };
  expect(key).toBe('host-1');
  expect(overflowRowsOf(record)).toEqual({
    table: 'events',
    bytes: Buffer.from('a\tb\nc\td\n'),
    rows: 2,
    token: part.token,
    columns: ['events_1', 'events_2'],
    writtenAtMs: 1_760_000_000_000,
  });
  expect(overflowRowsOf({ ...record, headers: record.headers.slice(1) })).toBeNull();
  expect(overflowRowsOf({ ...record, value: null })).toBeNull();
});

test('a refusal rejects, and is counted', async () => {
  const { producer, produced } = setUp();
  const put = producer.put(part);
  produced[0]?.ack(Object.assign(new Error('Broker: Message size too large'), { code: 10 }));
  await expect(put).rejects.toThrow('too large');
  expect(producer.stats).toEqual({ parts: 0, rows: 0, bytes: 0, failures: 1 });
});

test('a full queue is waited for', async () => {
  const { producer, produced, state } = setUp();
  state.isFull = true;
  const put = producer.put(part);
  await new Promise((resolve) => setImmediate(resolve));
  produced[0]?.ack(null);
  await put;
  expect(state.pauses).toBe(1);
});
