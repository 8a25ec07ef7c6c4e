/**
 * Proves that every hand-over ends on its topic exactly once as far as the source
 * offset can tell: through full queues, refusals, throws and records the broker
 * will never take as they are; and that what is pending is counted exactly.
 */
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { OnAck, RecordProducer } from '../../src/domain/record-producer.ts';
import type { RecordHeader } from '../../src/domain/record.ts';
import { HandoverProducer, type HandoverRecord } from '../../src/retry/handover-producer.ts';
import { ManualClock } from '../domain/manual-clock.ts';

const TOO_LARGE = 10;

type Verdict = 'ack' | 'nack' | 'full' | 'throw';

interface Offered {
  readonly topic: string;
  readonly partition: number | null;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: readonly RecordHeader[];
}

function kafkaError(code: number): Error & { readonly code: number } {
  return Object.assign(new Error(`code ${code}`), { code });
}

/** A broker with a size limit, whose mood is a list of verdicts; `ack` once that is used up. */
class FakeProducer implements RecordProducer {
  readonly taken: Offered[] = [];
  readonly acks: (() => void)[] = [];
  verdicts: Verdict[] = [];
  maxBytes = Infinity;
  offers = 0;

  produce(
    topic: string,
    partition: number | null,
    key: Buffer | null,
    value: Buffer | null,
    headers: readonly RecordHeader[],
    onAck: OnAck,
  ): boolean {
    this.offers++;
    const verdict = this.verdicts.shift() ?? 'ack';
    if (verdict === 'full') return false;
    if (verdict === 'throw') throw kafkaError(-1);
    const bytes =
      (key?.length ?? 0) + (value?.length ?? 0) + headers.reduce((sum, [, of]) => sum + of.length, 0);
    this.acks.push(() => {
      if (bytes > this.maxBytes) onAck(kafkaError(TOO_LARGE));
      else if (verdict === 'nack') onAck(kafkaError(-192));
      else {
        this.taken.push({ topic, partition, key, value, headers });
        onAck(null);
      }
    });
    return true;
  }

  answerAll(): void {
    for (const ack of this.acks.splice(0)) ack();
  }
}

class Bench {
  readonly broker = new FakeProducer();
  readonly durable: string[] = [];
  readonly failures: string[] = [];
  readonly clock = new ManualClock();
  /** Of assignments that have not ended. */
  readonly partitions = new Map([[1, 5]]);
  isOwner = true;
  readonly producer = new HandoverProducer({
    producer: this.broker,
    topics: { dead_letter: 'dlq', bad_event: 'bad' },
    delayTopics: new Map([
      ['retry.1s', 1_000],
      ['retry.30s', 30_000],
    ]),
    partitionOf: (assignment) => this.partitions.get(assignment) ?? null,
    clock: this.clock,
    isOwner: () => this.isOwner,
    onDurable: ({ assignment, sequence, row }) =>
      this.durable.push(`${assignment}/${sequence}${row === null ? '' : ` ${String(row)}`}`),
    onFailure: (topic, message) => this.failures.push(`${topic}: ${message}`),
  });
}

function handover(sequence: number, change: Partial<HandoverRecord> = {}): HandoverRecord {
  return {
    to: 'dead_letter',
    assignment: 1,
    sequence,
    key: new Uint8Array(Buffer.from('key')),
    value: new Uint8Array(Buffer.from(`value ${sequence}`)),
    headers: [['eventdispatch-reason', Buffer.from('why')]],
    dueAtMs: 0,
    row: null,
    ...change,
  };
}

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

describe('one hand-over', () => {
  test('goes to its topic with its bytes, and is durable at the broker’s ack, not before', () => {
    const { producer, broker, durable } = new Bench();
    producer.add(handover(1));
    producer.add(handover(2, { to: 'bad_event', key: null, value: null }));
    expect(durable).toEqual([]);
    expect(producer.stats).toMatchObject({ pendingRecords: 2, pendingBytes: 7 });
    broker.answerAll();
    expect(durable).toEqual(['1/1', '1/2']);
    expect(
      broker.taken.map(({ topic, key, value }) => [topic, key && String(key), value && String(value)]),
    ).toEqual([
      ['dlq', 'key', 'value 1'],
      ['bad', null, null],
    ]);
    expect(producer.stats).toEqual({
      deadLetters: { produced: 1, failed: 0, pending: 0 },
      badEvents: { produced: 1, failed: 0, pending: 0 },
      retries: { produced: 0, failed: 0, pending: 0 },
      pendingRecords: 0,
      pendingBytes: 0,
    });
  });

  test('an empty key and value stay empty, not absent', () => {
    const { producer, broker } = new Bench();
    producer.add(handover(1, { key: new Uint8Array(0), value: new Uint8Array(0) }));
    broker.answerAll();
    expect([broker.taken[0]?.key, broker.taken[0]?.value]).toEqual([Buffer.alloc(0), Buffer.alloc(0)]);
  });

  test('that meets a full queue is offered again, and that is no failure', () => {
    const { producer, broker, durable, failures } = new Bench();
    broker.verdicts = ['full', 'full'];
    producer.add(handover(1));
    vi.advanceTimersByTime(10_000);
    broker.answerAll();
    expect([broker.offers, durable, failures]).toEqual([3, ['1/1'], []]);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('that is refused is told and offered again, after a pause', () => {
    const { producer, broker, durable, failures } = new Bench();
    broker.verdicts = ['nack', 'throw'];
    producer.add(handover(1));
    broker.answerAll();
    expect(broker.offers).toBe(1);
    vi.advanceTimersByTime(2_000);
    broker.answerAll();
    expect([broker.offers, durable]).toEqual([3, ['1/1']]);
    expect(failures).toEqual(['dlq: code -192', 'dlq: code -1']);
    expect(producer.stats.deadLetters).toEqual({ produced: 1, failed: 2, pending: 0 });
  });
});

describe('while the partitions may be another process’s', () => {
  test('nothing is offered; what waits goes once they are known to be its own', () => {
    const bench = new Bench();
    bench.isOwner = false;
    bench.producer.add(handover(1, { to: 'retry' }));
    bench.producer.add(handover(2));
    vi.advanceTimersByTime(10_000);
    expect(bench.broker.offers).toBe(0);
    expect(bench.producer.stats.pendingRecords).toBe(2);
    bench.isOwner = true;
    vi.advanceTimersByTime(1_000);
    bench.broker.answerAll();
    expect(bench.durable).toEqual(['1/1', '1/2']);
    expect(bench.failures).toEqual([]);
  });

  test('a retry goes with its assignment, whose next owner tries it', () => {
    const bench = new Bench();
    bench.isOwner = false;
    bench.producer.add(handover(1, { to: 'retry' }));
    bench.partitions.clear();
    vi.advanceTimersByTime(1_000);
    expect([bench.broker.offers, bench.producer.stats.pendingRecords]).toEqual([0, 0]);
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('a record the broker will never take as it is', () => {
  test('goes without its value, whose size it tells', () => {
    const { producer, broker, durable } = new Bench();
    broker.maxBytes = 100;
    producer.add(handover(1, { value: new Uint8Array(5_000) }));
    broker.answerAll();
    broker.answerAll();
    expect(durable).toEqual(['1/1']);
    const [taken] = broker.taken;
    expect(taken).toMatchObject({ value: null, key: Buffer.from('key') });
    expect(taken!.headers.map(([name, value]) => `${name}=${String(value)}`)).toEqual([
      'eventdispatch-reason=why',
      'eventdispatch-omitted-value-bytes=5000',
    ]);
    expect(producer.stats).toMatchObject({ pendingRecords: 0, pendingBytes: 0 });
  });

  test('goes without its own headers and key when these alone are too much: it must not hold up its partition for ever', () => {
    const { producer, broker, durable } = new Bench();
    broker.maxBytes = 200;
    const headers = [
      ['huge', Buffer.alloc(9_000)],
      ['eventdispatch-reason', Buffer.from('why')],
    ] as const;
    producer.add(handover(1, { headers }));
    for (let i = 0; i < 5; i++) {
      broker.answerAll();
      vi.advanceTimersByTime(1_000);
    }
    expect(durable).toEqual(['1/1']);
    expect(broker.taken[0]?.headers.map(([name]) => name)).toEqual([
      'eventdispatch-reason',
      'eventdispatch-omitted-value-bytes',
      'eventdispatch-omitted-headers',
    ]);
  });
});

describe('a retry', () => {
  const retry = (sequence: number, dueAtMs: number): HandoverRecord =>
    handover(sequence, { to: 'retry', dueAtMs, row: new Uint8Array([sequence]) });

  test('goes to the delay topic that fits what is left, in its record’s partition, and tells its row at the ack', () => {
    const { producer, broker, clock, durable } = new Bench();
    clock.nowMs = 1_000_000;
    producer.add(retry(1, 1_002_000));
    producer.add(retry(2, 1_045_000));
    producer.add(retry(3, 900_000));
    expect(durable).toEqual([]);
    broker.answerAll();
    expect(broker.taken.map(({ topic, partition }) => [topic, partition])).toEqual([
      ['retry.1s', 5],
      ['retry.30s', 5],
      ['retry.1s', 5],
    ]);
    expect(durable).toEqual(['1/1 1', '1/2 2', '1/3 3']);
    expect(producer.stats.retries).toEqual({ produced: 3, failed: 0, pending: 0 });
  });

  test('that was refused chooses anew: the wait of its topic begins when it is appended', () => {
    const { producer, broker, clock } = new Bench();
    clock.nowMs = 1_000_000;
    broker.verdicts = ['nack'];
    producer.add(retry(1, 1_031_000));
    broker.answerAll();
    clock.nowMs += 20_000;
    vi.advanceTimersByTime(1_000);
    broker.answerAll();
    expect(broker.taken.map(({ topic }) => topic)).toEqual(['retry.1s']);
  });

  test('whose assignment has ended is let go: the next owner reads its record again', () => {
    const { producer, broker, partitions, durable } = new Bench();
    broker.verdicts = ['full'];
    producer.add(retry(1, 5_000));
    partitions.clear();
    producer.add(retry(2, 5_000));
    vi.advanceTimersByTime(1_000);
    broker.answerAll();
    expect([broker.taken, durable]).toEqual([[], []]);
    expect(producer.stats).toMatchObject({ pendingRecords: 0, pendingBytes: 0, retries: { pending: 0 } });
  });

  test('that is too large is offered again as it is: without its value it would be no retry', () => {
    const { producer, broker, durable, failures } = new Bench();
    broker.maxBytes = 10;
    producer.add(retry(1, 5_000));
    broker.answerAll();
    vi.advanceTimersByTime(1_000);
    expect([broker.offers, durable, failures]).toEqual([2, [], ['retry.1s: code 10']]);
    broker.maxBytes = Infinity;
    broker.answerAll();
    expect(String(broker.taken[0]?.value)).toBe('value 1');
    producer.stop();
  });
});

test('stopped, it hears no more acks: nobody is there to write their rows', () => {
  const { producer, broker, durable } = new Bench();
  producer.add(handover(1));
  producer.stop();
  broker.answerAll();
  expect(durable).toEqual([]);
});

test('stopped, it offers nothing again', () => {
  const { producer, broker } = new Bench();
  broker.verdicts = ['full'];
  producer.add(handover(1));
  producer.stop();
  vi.advanceTimersByTime(10_000);
  expect(broker.offers).toBe(1);
  expect(vi.getTimerCount()).toBe(0);
});

test('over any mixture of verdicts, sizes and orders of acks each ends durable exactly once, and the counts agree', () => {
  const verdict = fc.constantFrom<Verdict>('ack', 'nack', 'full', 'throw');
  const one = fc.record({
    to: fc.constantFrom('dead_letter' as const, 'bad_event' as const, 'retry' as const),
    bytes: fc.option(fc.nat(300)),
  });
  const step = fc.oneof(one, fc.record({ ack: fc.nat() }), fc.record({ passMs: fc.nat(1_500) }));
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 60 }),
      fc.array(verdict, { maxLength: 60 }),
      (steps, verdicts) => {
        const { producer, broker, durable } = new Bench();
        broker.maxBytes = 150;
        broker.verdicts = [...verdicts];
        const added: HandoverRecord[] = [];
        const checkCounts = (): void => {
          const open = added.filter(({ sequence }) => !durable.includes(`1/${sequence}`));
          expect(producer.stats.pendingRecords).toBe(open.length);
          expect(producer.stats.pendingBytes).toBe(
            open.reduce((sum, { value }) => sum + (value?.length ?? 0), 0),
          );
          const { deadLetters, badEvents, retries } = producer.stats;
          expect(deadLetters.pending + badEvents.pending + retries.pending).toBe(open.length);
        };
        for (const one of steps) {
          if ('ack' in one) broker.acks.splice(one.ack % Math.max(1, broker.acks.length), 1)[0]?.();
          else if ('passMs' in one) vi.advanceTimersByTime(one.passMs);
          else {
            const value = one.bytes === null ? null : new Uint8Array(one.bytes);
            added.push(handover(added.length, { to: one.to, value }));
            producer.add(added.at(-1)!);
          }
          checkCounts();
        }
        broker.verdicts = [];
        // A retry is not made lighter, so the broker has to take it in the end.
        broker.maxBytes = Infinity;
        for (let turns = 0; turns < 10; turns++) {
          broker.answerAll();
          vi.advanceTimersByTime(1_000);
        }
        checkCounts();
        expect(durable.toSorted()).toEqual(added.map(({ sequence }) => `1/${sequence}`).toSorted());
        expect(broker.taken).toHaveLength(added.length);
        const { deadLetters, badEvents, retries } = producer.stats;
        expect(deadLetters.produced + badEvents.produced + retries.produced).toBe(added.length);
        expect(vi.getTimerCount()).toBe(0);
      },
    ),
    { numRuns: 300 },
  );
});
