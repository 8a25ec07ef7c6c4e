/**
 * Proves that a producer's duplicate is delivered once and has an outcome of its own, and
 * that nothing else is taken for one: what is taken for one is not delivered.
 */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { hashEvent, SeenEvents, type EventHash } from '../../src/duplicates/seen-events.ts';
import { LaneBench, type LaneRecord } from './lane-bench.ts';
import { destinationOf } from './lane-parts.ts';

const WINDOW_MS = 60_000;

let bench: LaneBench;
beforeEach(() => {
  vi.useFakeTimers();
  bench = new LaneBench(
    [destinationOf('d')],
    10,
    () => ({ kind: 'answer', status: 200, afterMs: 1 }),
    new SeenEvents({ windowMs: WINDOW_MS, maxRemembered: 1_000 }),
  );
});
afterEach(() => {
  bench.stop();
  vi.useRealTimers();
});

const event = (id: string, tenant = 'acme'): LaneRecord => ({ tenant, type: 'contact.created', id });
const outcomes = (): string[] => bench.rows.map((row) => `${row.event_id}@${row.offset} ${row.outcome}`);

test('the second record of an event is a duplicate, is done, and is not sent', async () => {
  bench.begin(1);
  bench.send(1, [event('a'), event('b'), event('a')]);
  await bench.pass(100);
  expect(outcomes().toSorted()).toEqual(['a@0 delivered', 'a@2 duplicate', 'b@1 delivered']);
  expect(bench.receiver.sent).toHaveLength(2);
  expect(bench.done.toSorted()).toEqual(['1/0', '1/1', '1/2']);
  const row = bench.rows.find(({ outcome }) => outcome === 'duplicate');
  expect(row).toMatchObject({ reason: 'event_seen_before', is_final: '1', delivery_id: '', attempt: '0' });
  // The payload is in the ledger once.
  expect(bench.messages.reduce((sum, { eventRows }) => sum + eventRows, 0)).toBe(2);
});

test('the same id of another tenant, or after the window, is an event of its own', async () => {
  bench.begin(1);
  bench.send(1, [event('a'), event('a', 'beta')]);
  await bench.pass(WINDOW_MS);
  bench.send(1, [event('a')]);
  await bench.pass(100);
  expect(outcomes()).toEqual(['a@0 delivered', 'a@1 delivered', 'a@2 delivered']);
});

test('a record that is read again under a new assignment is delivered', async () => {
  bench.begin(1);
  bench.send(1, [event('a')]);
  await bench.pass(100);
  bench.lane.receive({ kind: 'abandon', assignments: [1] });
  bench.begin(2);
  bench.send(2, [event('a')]);
  await bench.pass(100);
  expect(outcomes()).toEqual(['a@0 delivered', 'a@0 delivered']);
});

test('what a former owner ended without a delivery is done, and neither written nor handed over again', async () => {
  const deliveryIds = new Map([0, 1, 2].map((offset) => [offset, new Set([''])]));
  bench.begin(1, { deliveryIds });
  bench.send(1, [
    { ...event('a'), type: 'unwanted' },
    { ...event('b'), invalid: 'not_avro' },
    { ...event('c'), undecodable: true },
    event('d'),
  ]);
  await bench.pass(100);
  expect(outcomes()).toEqual(['d@3 delivered']);
  expect(bench.handovers).toEqual([]);
  expect(bench.done.toSorted()).toEqual(['1/0', '1/1', '1/2', '1/3']);
});

test('what the ledger saw before is a duplicate, but for the record itself', async () => {
  const hash: EventHash = { low: 0, high: 0 };
  const seen = [
    ['a', 0],
    ['b', 900],
  ].flatMap(([id, offset]) => {
    hashEvent('acme', id as string, hash);
    return [hash.low, hash.high, offset as number, 1_000];
  });
  bench.begin(1, { deliveryIds: new Map(), seen: Float64Array.from(seen) });
  bench.send(1, [event('a'), event('b')]);
  await bench.pass(100);
  expect(outcomes().toSorted()).toEqual(['a@0 delivered', 'b@1 duplicate']);
});

test('a retry is none: it is the delivery of the first record', async () => {
  bench.stop();
  let requests = 0;
  bench = new LaneBench(
    [destinationOf('d')],
    10,
    () => ({ kind: 'answer', status: ++requests === 1 ? 500 : 200, afterMs: 1 }),
    new SeenEvents({ windowMs: WINDOW_MS, maxRemembered: 1_000 }),
  );
  bench.begin(1);
  bench.beginRetries(1);
  bench.send(1, [event('a')]);
  await bench.pass(100);
  bench.sendRetries(1, bench.handovers);
  await bench.pass(100);
  expect(outcomes()).toEqual(['a@0 retrying', 'a@0 delivered']);
});
