/**
 * Proves how a lane treats the records of a delay topic: each is the one delivery that
 * its headers name, it counts on from where that stood, and none is lost or made twice,
 * whatever became of the destination, the headers or the former owner.
 */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Destination } from '../../src/domain/destination.ts';
import type { RecordHeader } from '../../src/domain/record.ts';
import type { RetryHeaders } from '../../src/domain/retry-headers.ts';
import { encodeRetryHeaders } from '../../src/retry/retry-headers.ts';
import { laneSlots } from '../../src/observability/lane-slots.ts';
import { headersOf, LaneBench, type LaneRecord, type RetryRecord, type Treatment } from './lane-bench.ts';
import { breakerOf, destinationOf, retryHeadersOf, type SentRequest } from './lane-parts.ts';

const ok: Treatment = { kind: 'answer', status: 200, afterMs: 5 };
const failing: Treatment = { kind: 'answer', status: 500, afterMs: 5 };

let benches: LaneBench[] = [];

beforeEach(() => {
  vi.useFakeTimers();
  benches = [];
});

afterEach(() => {
  for (const bench of benches) bench.stop();
  vi.useRealTimers();
});

function open(
  treatmentOf: (request: SentRequest) => Treatment = () => ok,
  change: Partial<Destination> = {},
): LaneBench {
  const bench = new LaneBench([destinationOf('d', change), destinationOf('other')], 100, treatmentOf);
  benches.push(bench);
  bench.begin(1);
  return bench;
}

function retryRecord(change: Partial<RetryHeaders> = {}, own: readonly RecordHeader[] = []): RetryRecord {
  const value = Buffer.from(JSON.stringify({ tenant: 'acme', type: 'contact.created', id: 'evt' }));
  return { headers: encodeRetryHeaders(retryHeadersOf(change), own), value };
}

describe('a record of a delay topic', () => {
  test('is one delivery: to the destination it names, with the id and the place it names', async () => {
    const bench = open();
    bench.beginRetries(1);
    bench.sendRetries(1, [retryRecord({ attempts: 2 })]);
    await bench.pass(50);
    expect(bench.receiver.sent.map(({ path }) => path)).toEqual(['/d']);
    expect(bench.receiver.sent[0]!.headers).toEqual(['webhook-id', 'dlv']);
    expect(bench.rows).toMatchObject([
      {
        outcome: 'delivered',
        attempt: '3',
        delivery_id: 'dlv',
        topic: 't',
        partition: '1',
        offset: '40',
        produced_at: '0000000000.900',
        retry_topic: 'retry.1s',
        retry_partition: '1',
        retry_offset: '0',
      },
    ]);
    expect(bench.done).toEqual(['101/0']);
    expect(
      bench.messages.some(({ events }) => events !== null),
      'the ledger has its event',
    ).toBe(false);
  });

  test('that fails again is handed over again: original bytes and headers, ours replaced', async () => {
    const bench = open(() => failing);
    bench.beginRetries(1);
    const record = retryRecord({ attempts: 1 }, [['own', Buffer.from('x')]]);
    bench.sendRetries(1, [record]);
    await bench.pass(50);
    const [again] = bench.handovers;
    expect(again).toMatchObject({ to: 'retry', assignment: 101, sequence: 0 });
    expect(Buffer.from(again!.value!)).toEqual(record.value);
    expect(again!.headers).toHaveLength(record.headers.length);
    expect(headersOf(again!)).toMatchObject({
      ...headersOf(record),
      'eventdispatch-attempts': '2',
      'eventdispatch-due': String(again!.dueAtMs),
    });
    bench.sendRetries(1, [again!]);
    await bench.pass(50);
    expect(bench.handovers.map(({ to }) => to)).toEqual(['retry', 'dead_letter']);
    expect(headersOf(bench.handovers[1]!)).toMatchObject({
      own: 'x',
      'eventdispatch-attempts': '3',
      'eventdispatch-first-seen': '950',
      'eventdispatch-source-offset': '40',
    });
    expect(bench.done).toEqual(['101/0', '101/1']);
  });

  test('of a destination that is there no more is cancelled', async () => {
    const bench = open();
    bench.beginRetries(1);
    bench.sendRetries(1, [retryRecord({ destinationId: 'removed' })]);
    await bench.pass(50);
    expect(bench.rows).toMatchObject([
      {
        outcome: 'cancelled',
        reason: 'destination_removed',
        is_final: '1',
        delivery_id: 'dlv',
        destination_id: 'removed',
        tenant: 'acme',
        offset: '40',
        retry_topic: 'retry.1s',
      },
    ]);
    expect([bench.done, bench.receiver.sent, bench.handovers]).toEqual([['101/0'], [], []]);
  });

  test.each<[string, (record: RetryRecord) => RetryRecord]>([
    ['no headers', ({ value }) => ({ headers: [], value })],
    ['no attempts', (record) => changed(record, /"attempts":\d+,/, '')],
    ['attempts that are no number', (record) => changed(record, /"attempts":\d+/, '"attempts":"two"')],
  ])('with %s is invalid, and handed over as that', async (_what, spoil) => {
    const bench = open();
    bench.beginRetries(1);
    bench.sendRetries(1, [spoil(retryRecord())]);
    await bench.pass(50);
    expect(bench.rows).toMatchObject([
      { outcome: 'invalid', reason: 'malformed', is_final: '1', topic: 'retry.1s', hand_over: 'bad_event' },
    ]);
    expect(bench.handovers.map(({ to, assignment }) => [to, assignment])).toEqual([['bad_event', 101]]);
    expect([bench.done, bench.receiver.sent]).toEqual([['101/0'], []]);
  });

  test('that a former owner delivered or handed over is done without a request', async () => {
    const bench = open();
    bench.beginRetries(1, { deliveryIds: new Map([[0, new Set(['dlv'])]]) });
    bench.sendRetries(1, [retryRecord(), retryRecord()]);
    await bench.pass(50);
    expect([bench.done.toSorted(), bench.receiver.sent.length]).toEqual([['101/0', '101/1'], 1]);
  });

  test('makes a destination not seen before be probed: beside it nothing goes until it went well', async () => {
    const bench = open(() => ({ ...ok, afterMs: 30 }), { breaker: breakerOf({ openMs: 5_000 }) });
    bench.beginRetries(1);
    bench.sendRetries(
      1,
      [1, 2, 3].map((n) => retryRecord({ deliveryId: `dlv${n}` })),
    );
    expect(bench.receiver.sent).toHaveLength(1);
    await bench.pass(100);
    expect(bench.rows.map(({ outcome, attempt }) => [outcome, attempt]).toSorted()).toEqual([
      ['breaker_open', '1'],
      ['breaker_open', '1'],
      ['delivered', '2'],
    ]);
    bench.sendRetries(1, bench.handovers);
    await bench.pass(100);
    expect(bench.receiver.sent).toHaveLength(3);
  });

  test('of a delivery that was refused does not start its count anew', async () => {
    const bench = open(() => failing, { breaker: breakerOf() });
    bench.beginRetries(1);
    bench.send(1, new Array<LaneRecord>(3).fill({ tenant: 'acme', type: 'contact.created' }));
    await bench.pass(100);
    bench.sendRetries(1, [retryRecord({ attempts: 2, deliveryId: 'late' })]);
    await bench.pass(100);
    const refused = bench.handovers.find((one) => headersOf(one)['eventdispatch-delivery-id'] === 'late');
    expect(headersOf(refused!)).toMatchObject({
      'eventdispatch-attempts': '2',
      'eventdispatch-reason': 'breaker_open',
      'eventdispatch-first-seen': '950',
    });
    expect(bench.counters.get(laneSlots.deliveriesRefused)).toBe(1);
  });
});

describe('the receiver’s Retry-After', () => {
  test('is when the delivery is due, and for how long the others stay away', async () => {
    const bench = open(() => ({ kind: 'answer', status: 429, afterMs: 5, retryAfter: '30' }));
    const startMs = Date.now();
    bench.send(1, [{ tenant: 'acme', type: 'contact.created' }]);
    await bench.pass(100);
    const duesOf = (): number[] =>
      bench.handovers
        .filter((one) => headersOf(one)['eventdispatch-destination-id'] === 'd')
        .map(({ dueAtMs }) => Math.round((dueAtMs - startMs) / 1_000));
    expect(duesOf()).toEqual([30]);
    bench.send(1, [{ tenant: 'acme', type: 'contact.created' }]);
    await bench.pass(100);
    expect(bench.receiver.sent, 'one to each of the two destinations').toHaveLength(2);
    expect(duesOf()[1]).toBeGreaterThanOrEqual(30);
    expect(bench.rows.at(-1)).toMatchObject({ outcome: 'retrying', reason: 'paused_by_receiver', class: '' });
  });
});

test('the operator hears once that a breaker opened', async () => {
  const bench = open(() => failing, { breaker: breakerOf() });
  bench.send(1, new Array<LaneRecord>(10).fill({ tenant: 'acme', type: 'contact.created' }));
  await bench.pass(100);
  expect(bench.messages.flatMap(({ notices }) => notices)).toEqual([
    { tenant: 'acme', destination: 'd', notice: 'breaker_opened' },
  ]);
});

/** The record with something else in its header. */
function changed({ headers, value }: RetryRecord, what: RegExp, into: string): RetryRecord {
  return {
    headers: headers.map(([name, bytes]) => [
      name,
      Buffer.from(Buffer.from(bytes).toString().replace(what, into)),
    ]),
    value,
  };
}
