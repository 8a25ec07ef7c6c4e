/** Proves how long a batch is kept alive: a record that is still open at a tick has its bytes to itself, whatever it waits for. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Exchange } from '../../src/deliver/exchange.ts';
import type { Delivery } from '../../src/lanes/delivery.ts';
import type { OpenRecord } from '../../src/lanes/open-record.ts';
import { LaneBench, type LaneRecord, type Treatment } from './lane-bench.ts';
import { laneDestinations } from './lane-destinations.ts';
import type { SentRequest } from './lane-parts.ts';

const TICK_MS = 20;
const RECORDS = 40;
let bench: LaneBench | null = null;

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  bench?.stop();
  vi.useRealTimers();
});

function open(treatment: Treatment): LaneBench {
  bench = new LaneBench(laneDestinations, RECORDS, () => treatment);
  bench.begin(1);
  return bench;
}

function recordOf({ handler }: SentRequest): OpenRecord {
  return (handler as unknown as Exchange<Delivery>).context.record;
}

const gamma = (key: string): LaneRecord => ({ tenant: 'gamma', type: 'x', key });

test('what is in flight at a tick lets go of its batch, and keeps what it is', async () => {
  const of = open({ kind: 'silence' });
  of.send(1, Array<LaneRecord>(RECORDS).fill({ tenant: 'acme', type: 'user.created' }));
  const records = of.receiver.sent.map(recordOf);
  const [batch] = records.map(({ bytes }) => bytes.buffer);
  const values = records.map(({ bytes }) => String(bytes.value));
  expect(records.every(({ bytes }) => bytes.buffer === batch)).toBe(true);
  await of.pass(TICK_MS);
  expect(records.filter(({ bytes }) => bytes.buffer.buffer === batch?.buffer)).toEqual([]);
  expect(records.map(({ bytes }) => String(bytes.value))).toEqual(values);
});

test('so does what waits behind another of its key, which is sent with its own bytes', async () => {
  const of = open({ kind: 'answer', status: 200, afterMs: 2 * TICK_MS });
  of.send(1, [gamma('k'), gamma('k'), gamma('other')]);
  const batch = recordOf(of.receiver.sent[0]!).bytes.buffer.buffer;
  await of.pass(10 * TICK_MS);
  expect(of.receiver.sent).toHaveLength(3);
  expect(of.receiver.sent.map((request) => recordOf(request).bytes.buffer.buffer)).not.toContain(batch);
});

test('what ended before the tick was not copied', async () => {
  const of = open({ kind: 'answer', status: 200, afterMs: 1 });
  of.send(1, [{ tenant: 'acme', type: 'user.created' }]);
  const record = recordOf(of.receiver.sent[0]!);
  const { bytes } = record;
  await of.pass(2 * TICK_MS);
  expect(of.done).toEqual(['1/0']);
  expect(record.bytes).toBe(bytes);
});
