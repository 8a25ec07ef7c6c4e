/**
 * Proves what an attempt's row says was measured: the wait before it, the time to the head
 * of the answer, the bytes, the assignment and the trace; and that a row which is no attempt
 * says none of an earlier one's.
 */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { LaneBench, retryAssignment, type LaneRecord, type Treatment } from './lane-bench.ts';
import { laneDestinations } from './lane-destinations.ts';
import type { SentRequest } from './lane-parts.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const contact: LaneRecord = { tenant: 'beta', type: 'contact.created' };
let bench: LaneBench | null = null;

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  bench?.stop();
  vi.useRealTimers();
});

function open(connections: number, treatmentOf: (request: SentRequest) => Treatment): LaneBench {
  bench = new LaneBench(laneDestinations, connections, treatmentOf);
  bench.begin(1);
  return bench;
}

const measuresOf = ({ rows }: LaneBench): unknown[] =>
  rows.map((row) => [
    row.destination_id,
    row.waited_us,
    row.first_byte_us,
    row.duration_us,
    row.request_bytes,
    row.response_bytes,
  ]);

test('what waited for a connection says so, apart from the time of the attempt', async () => {
  const of = open(1, () => ({ kind: 'answer', status: 200, afterMs: 5 }));
  of.send(1, [contact]);
  await of.pass(100);
  const [first, second] = of.receiver.sent.map(({ body }) => String(body.length));
  const waited = of.rows[1]?.waited_us;
  expect(measuresOf(of)).toEqual([
    ['limited', '0', '5000', '5000', first, '6'],
    ['quick', waited, '5000', '5000', second, '6'],
  ]);
  // The connection is given back in a turn of the event loop of its own.
  expect(Number(waited)).toBeGreaterThanOrEqual(5_000);
  expect(Number(waited)).toBeLessThan(10_000);
  expect(of.rows.map(({ epoch, trace_id: trace }) => [epoch, trace])).toEqual([
    ['1', ''],
    ['1', ''],
  ]);
});

test('a back-off in the lane is no wait: that begins when it is over', async () => {
  let shortages = 1;
  const of = open(4, () =>
    shortages-- > 0
      ? { kind: 'fail', code: 'EMFILE', beforeSend: true, afterMs: 0 }
      : { kind: 'answer', status: 200, afterMs: 5 },
  );
  of.send(1, [{ tenant: 'acme', type: 'user.created' }]);
  await of.pass(10_000);
  expect(of.rows.map(({ outcome }) => outcome)).toEqual(['retrying', 'delivered']);
  const [first, second] = of.rows.map((row) => Number(row.attempted_at) * 1_000);
  expect((second ?? 0) - (first ?? 0)).toBeGreaterThanOrEqual(1_000);
  expect(Number(of.rows[1]?.waited_us)).toBeLessThan(100_000);
});

test('what got no answer has no time to its head, though an attempt before it had one', async () => {
  const statuses = [503];
  const of = open(4, () => {
    const status = statuses.shift();
    return status === undefined
      ? { kind: 'fail', code: 'ECONNRESET', beforeSend: false, afterMs: 7 }
      : { kind: 'answer', status, afterMs: 3 };
  });
  of.beginRetries(1);
  of.send(1, [{ tenant: 'acme', type: 'user.created' }]);
  await of.pass(100);
  const [first] = of.handovers;
  const trace: [string, Uint8Array] = ['traceparent', Buffer.from(`00-${TRACE}-00f067aa0ba902b7-01`)];
  of.sendRetries(1, first === undefined ? [] : [{ ...first, headers: [trace, ...first.headers] }]);
  await of.pass(100);
  expect(of.rows.map(({ first_byte_us: us, response_bytes: bytes }) => [us, bytes])).toEqual([
    ['3000', '6'],
    ['0', '0'],
  ]);
  expect(of.rows.map(({ epoch, trace_id: id }) => [epoch, id])).toEqual([
    ['1', ''],
    [String(retryAssignment(1)), TRACE],
  ]);
});

test('a row that is no attempt has nothing of one', async () => {
  const of = open(1, () => ({ kind: 'answer', status: 200, afterMs: 50 }));
  const expiresAtMs = Date.now() + 20;
  of.send(1, [contact, { ...contact, expiresAtMs }]);
  await of.pass(500);
  const expired = of.rows.filter(({ outcome }) => outcome === 'expired');
  expect(expired.length).toBeGreaterThan(0);
  for (const row of expired) {
    expect([row.waited_us, row.first_byte_us, row.request_bytes, row.response_bytes]).toEqual([
      '0',
      '0',
      '0',
      '0',
    ]);
  }
});
