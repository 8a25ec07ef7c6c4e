/** Proves that sending follows its plan, offers a refused sample again, waits for every answer and counts it once. */
import { describe, expect, test } from 'vitest';
import { produceSamples } from '../../../src/cli/produce/produce-samples.ts';
import type { ProduceParts, ProducePlan, SampleProducer } from '../../../src/cli/produce/produce-samples.ts';
import type { Sample } from '../../../src/samples/generator.ts';
import { HandClock } from './hand-clock.ts';

type OnAck = Parameters<SampleProducer['produce']>[5];

const PLAN: ProducePlan = { topic: 'events', ratePerSecond: 1_000, count: null, durationMs: null };

function sample(number: number): Sample {
  return {
    tenant: `tenant-${number % 3}`,
    eventId: `event-${number}`,
    type: 'contact.created',
    key: Buffer.from(`tenant-${number % 3}`),
    value: Buffer.from(String(number)),
  };
}

interface Wanted {
  readonly isFull?: (taken: number) => boolean;
  readonly answer?: (number: number, onAck: OnAck) => void;
}

/** The parts around the sending, with a producer that answers at its next poll or sleep. */
function setUp({ isFull = () => false, answer = (number, onAck) => onAck(null, 0, number) }: Wanted = {}) {
  const clock = new HandClock();
  const taken: { value: string; atMs: number }[] = [];
  const acked: string[] = [];
  let waiting: (() => void)[] = [];
  const serve = (): void => {
    const due = waiting;
    waiting = [];
    for (const run of due) run();
  };
  const controller = new AbortController();
  let made = 0;
  const parts: ProduceParts = {
    clock,
    producer: {
      produce: (_topic, _partition, _key, value, _headers, onAck) => {
        if (isFull(taken.length)) return false;
        const number = taken.push({ value: value.toString(), atMs: clock.monotonicMs() }) - 1;
        waiting.push(() => answer(number, onAck));
        return true;
      },
      poll: serve,
    },
    nextSample: () => sample(made++),
    sleep: async (ms) => {
      clock.advance(ms);
      serve();
    },
    stop: controller.signal,
    onAcked: (acknowledged, partition, offset, producedAtMs) => {
      acked.push(`${acknowledged.eventId} ${partition} ${offset} ${producedAtMs}`);
    },
    onProgress: () => undefined,
  };
  return { parts, taken, acked, clock, controller };
}

describe('a plan', () => {
  test('by count sends exactly so many', async () => {
    const { parts, taken, acked } = setUp();
    const totals = await produceSamples({ ...PLAN, count: 1_234 }, parts);
    expect(totals).toMatchObject({ sent: 1_234, acked: 1_234, failed: 0, firstError: null });
    expect(taken.map(({ value }) => value)).toEqual(
      Array.from({ length: 1_234 }, (_, index) => String(index)),
    );
    expect(new Set(acked).size).toBe(1_234);
    expect(acked[0]).toBe(`event-0 0 0 ${1_700_000_000_000 + taken[0]!.atMs}`);
  });

  test('by time sends rate × time, evenly', async () => {
    const { parts, taken } = setUp();
    const totals = await produceSamples({ ...PLAN, durationMs: 2_000 }, parts);
    expect(totals.sent).toBeGreaterThanOrEqual(1_980);
    expect(totals.sent).toBeLessThanOrEqual(2_000);
    const inSlice = new Map<number, number>();
    for (const { atMs } of taken) inSlice.set(atMs, (inSlice.get(atMs) ?? 0) + 1);
    expect(Math.max(...inSlice.values())).toBeLessThanOrEqual(11);
  });

  test('without a rate sends as fast as it is taken', async () => {
    const { parts, clock } = setUp();
    const totals = await produceSamples({ ...PLAN, ratePerSecond: null, count: 10_000 }, parts);
    expect(totals.sent).toBe(10_000);
    expect(clock.monotonicMs()).toBeLessThan(100);
  });

  test('ends when it is told to, and still waits for what was sent', async () => {
    const set = setUp();
    const { sleep } = set.parts;
    const totals = await produceSamples(PLAN, {
      ...set.parts,
      sleep: async (ms) => {
        await sleep(ms);
        if (set.taken.length >= 50) set.controller.abort();
      },
    });
    expect(totals.sent).toBe(50);
    expect(totals.acked).toBe(50);
  });
});

describe('a producer', () => {
  test('whose queue is full is offered the same sample again', async () => {
    let turns = 0;
    const { parts, taken } = setUp({ isFull: () => turns++ % 3 !== 0 });
    await produceSamples({ ...PLAN, count: 40 }, parts);
    expect(taken.map(({ value }) => value)).toEqual(Array.from({ length: 40 }, (_, index) => String(index)));
  });

  test('that refuses some has them counted, with the first reason', async () => {
    const { parts, acked } = setUp({
      answer: (number, onAck) => onAck(number % 10 === 3 ? new Error(`no ${number}`) : null, 0, number),
    });
    const totals = await produceSamples({ ...PLAN, count: 100 }, parts);
    expect(totals).toMatchObject({ sent: 100, acked: 90, failed: 10, firstError: 'no 3' });
    expect(acked).toHaveLength(90);
  });

  test('that never answers is given up on after 30 s', async () => {
    const { parts, clock } = setUp({ answer: () => undefined });
    const totals = await produceSamples({ ...PLAN, count: 5 }, parts);
    expect(totals).toMatchObject({ sent: 5, acked: 0, failed: 0 });
    expect(clock.monotonicMs()).toBeGreaterThanOrEqual(30_000);
    expect(clock.monotonicMs()).toBeLessThan(31_000);
  });

  test('that throws ends the sending with its error', async () => {
    const { parts } = setUp({
      isFull: () => {
        throw new Error('message too large');
      },
    });
    await expect(produceSamples({ ...PLAN, count: 5 }, parts)).rejects.toThrow('message too large');
  });
});
