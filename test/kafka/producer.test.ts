/** Proves that each record's ack reaches whoever produced it, and that a full queue is told apart from a refusal. */
import { EventEmitter } from 'node:events';
import type kafka from 'node-rdkafka';
import { describe, expect, test, vi } from 'vitest';
import { KafkaError, KafkaProducer, type OnAck } from '../../src/kafka/producer.ts';

/** node-rdkafka's producer as far as ours uses it. */
class NativeProducer extends EventEmitter {
  readonly produced: unknown[][] = [];
  refusal: Error | null = null;
  flushError: Error | null = null;

  setPollInterval(): void {}
  poll(): void {}

  produce(...args: unknown[]): void {
    if (this.refusal !== null) throw this.refusal;
    this.produced.push(args);
  }

  flush(_timeoutMs: number, callback: (error: Error | null) => void): void {
    callback(this.flushError);
  }

  report(error: Error | null, opaque: unknown): void {
    this.emit('delivery-report', error, { topic: 't', partition: 3, offset: 42, opaque });
  }
}

function open(): { native: NativeProducer; producer: KafkaProducer } {
  const native = new NativeProducer();
  return { native, producer: new KafkaProducer(native as unknown as kafka.Producer) };
}

const coded = (message: string, code: number): Error => Object.assign(new Error(message), { code });

describe('produce', () => {
  test('hands bytes and headers on, and the ack back with the record’s place', () => {
    const { native, producer } = open();
    const onAck = vi.fn<OnAck>();
    const header = ['name', new Uint8Array([1, 2])] as const;
    expect(producer.produce('t', null, Buffer.from('k'), null, [header, header], onAck)).toBe(true);
    const [topic, partition, value, key, , opaque, headers] = native.produced[0]!;
    expect([topic, partition, value, key]).toEqual(['t', null, null, Buffer.from('k')]);
    expect(headers).toEqual([{ name: Buffer.from([1, 2]) }, { name: Buffer.from([1, 2]) }]);
    expect([producer.pending, onAck.mock.calls]).toEqual([1, []]);
    native.report(null, opaque);
    expect([producer.pending, onAck.mock.calls]).toEqual([0, [[null, 3, 42]]]);
  });

  test('answers false for a full queue, and nothing is pending', () => {
    const { native, producer } = open();
    native.refusal = coded('Local: Queue full', -184);
    expect(producer.produce('t', null, null, null, [], vi.fn())).toBe(false);
    expect(producer.pending).toBe(0);
  });

  test('throws what can never be sent, with its code', () => {
    const { native, producer } = open();
    native.refusal = coded('Broker: Message size too large', 10);
    expect(() => producer.produce('t', null, null, null, [], vi.fn())).toThrow(
      expect.objectContaining({ name: 'KafkaError', code: 10 }),
    );
    expect(producer.pending).toBe(0);
  });
});

test('a refused record’s producer hears of it', () => {
  const { native, producer } = open();
  const onAck = vi.fn<OnAck>();
  producer.produce('t', null, null, null, [], onAck);
  native.report(coded('message timed out', -1), native.produced[0]![5]);
  expect(onAck.mock.calls[0]?.[0]).toBeInstanceOf(KafkaError);
  expect(onAck.mock.calls[0]?.[0]?.message).toBe('message timed out');
  expect(producer.pending).toBe(0);
});

test('flush rejects when the time is over', async () => {
  const { native, producer } = open();
  await expect(producer.flush(10)).resolves.toBeUndefined();
  native.flushError = coded('Local: Timed out', -185);
  await expect(producer.flush(10)).rejects.toMatchObject({ code: -185 });
});

test('tells a record that the broker finds too large by code 10, though node-rdkafka gives the text alone', () => {
  const { native, producer } = open();
  const onAck = vi.fn<OnAck>();
  producer.produce('t', null, null, Buffer.from('v'), [], onAck);
  native.report(coded('message size too large', -1), native.produced[0]![5]);
  expect(onAck.mock.calls[0]?.[0]?.code).toBe(10);
});
