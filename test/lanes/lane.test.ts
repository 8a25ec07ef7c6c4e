/**
 * Proves how a lane settles each kind of record, and what follows a failed attempt:
 * retry, back-off, dead letter, and what its rows say about it.
 */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { deliveryId } from '../../src/domain/ids.ts';
import { eventIdOf, headersOf, LaneBench, type LaneRecord, type Treatment } from './lane-bench.ts';
import type { SentRequest } from './lane-parts.ts';
import { laneDestinations } from './lane-destinations.ts';

const ok: Treatment = { kind: 'answer', status: 200, afterMs: 5 };

let benches: LaneBench[] = [];

beforeEach(() => {
  vi.useFakeTimers();
  benches = [];
});

afterEach(() => {
  for (const bench of benches) bench.stop();
  vi.useRealTimers();
});

function open(treatmentOf: (request: SentRequest) => Treatment = () => ok, connections = 4): LaneBench {
  const bench = new LaneBench(laneDestinations, connections, treatmentOf);
  benches.push(bench);
  bench.begin(1);
  return bench;
}

const webhookId = ({ headers }: SentRequest): string => headers[headers.indexOf('webhook-id') + 1]!;
const contact: LaneRecord = { tenant: 'beta', type: 'contact.created' };

describe('a record', () => {
  test('delivered everywhere is done, with its event once and a row per attempt', async () => {
    const bench = open();
    bench.send(1, [contact]);
    expect(bench.done).toEqual([]);
    await bench.pass(100);
    expect(bench.done).toEqual(['1/0']);
    expect(
      bench.rows.map(({ destination_id: to, outcome, status, attempt }) => [to, outcome, status, attempt]),
    ).toEqual([
      ['limited', 'delivered', '200', '1'],
      ['quick', 'delivered', '200', '1'],
    ]);
    expect(bench.messages.reduce((sum, { eventRows }) => sum + eventRows, 0)).toBe(1);
    expect(bench.receiver.sent.map(webhookId)).toEqual(
      ['limited', 'quick'].map((to) => deliveryId('beta', eventIdOf(1, 0), to)),
    );
  });

  test.each<[string, LaneRecord, string, string]>([
    ['no filter wants', { tenant: 'beta', type: 'email.sent' }, 'filtered', 'no_filter_matches'],
    [
      'of a tenant without destinations',
      { tenant: 'nobody', type: 'x' },
      'no_route',
      'tenant_has_no_destination',
    ],
    ['main found invalid', { tenant: '', type: '', invalid: 'truncated' }, 'invalid', 'truncated'],
    ['the decode finds invalid', { tenant: 'acme', type: '', undecodable: true }, 'invalid', 'undecodable'],
  ])('%s is done with one final row that says so', async (_what, record, outcome, reason) => {
    const bench = open();
    bench.send(1, [record]);
    await bench.pass(50);
    expect(bench.done).toEqual(['1/0']);
    expect(bench.rows).toEqual([
      expect.objectContaining({ outcome, reason, is_final: '1', delivery_id: '' }),
    ]);
    expect(bench.receiver.sent).toEqual([]);
    const handovers = bench.messages.flatMap(({ handovers: of }) => of);
    expect(handovers.map(({ to, sequence }) => [to, sequence])).toEqual(
      outcome === 'invalid' ? [['bad_event', 0]] : [],
    );
  });

  test('that a former owner delivered in part is delivered to the rest only', async () => {
    const bench = open();
    bench.begin(2, {
      deliveryIds: new Map([[0, new Set([deliveryId('beta', eventIdOf(2, 0), 'limited')])]]),
    });
    bench.send(2, [contact, contact]);
    await bench.pass(100);
    expect(bench.rows.map(({ offset, destination_id: to }) => `${offset} ${to}`).toSorted()).toEqual([
      '0 quick',
      '1 limited',
      '1 quick',
    ]);
    expect(bench.done).toEqual(['2/0', '2/1']);
  });

  test('that a former owner delivered everywhere is done without a request', async () => {
    const bench = open();
    const ids = ['limited', 'quick'].map((to) => deliveryId('beta', eventIdOf(2, 0), to));
    bench.begin(2, { deliveryIds: new Map([[0, new Set(ids)]]) });
    bench.send(2, [contact]);
    await bench.pass(50);
    expect([bench.done, bench.receiver.sent]).toEqual([['2/0'], []]);
  });
});

describe('a failed attempt', () => {
  test('is handed over to be made again, up to the policy’s number, then the delivery is dead and handed over as that', async () => {
    const bench = open(() => ({ kind: 'answer', status: 500, afterMs: 1 }));
    bench.beginRetries(1);
    bench.send(1, [{ tenant: 'acme', type: 'email.sent' }]);
    for (let seen = 0, round = 0; round < 5; round++) {
      await bench.pass(100);
      const retries = bench.handovers.slice(seen).filter(({ to }) => to === 'retry');
      seen = bench.handovers.length;
      bench.sendRetries(1, retries);
    }
    const outcomes = (to: string): string[] =>
      bench.rows
        .filter((row) => row.destination_id === to)
        .map(({ attempt, outcome, reason }) => `${attempt} ${outcome} ${reason}`);
    expect(outcomes('all')).toEqual(['1 retrying http_500', '2 retrying http_500', '3 dead http_500']);
    expect(outcomes('once')).toEqual(['1 dead http_500']);
    const headers = bench.handovers.filter(({ to }) => to === 'dead_letter').map(headersOf);
    expect(headers.map((of) => [of['eventdispatch-destination-id'], of['eventdispatch-attempts']])).toEqual([
      ['once', '1'],
      ['all', '3'],
    ]);
    expect(bench.done).toEqual(['1/0', '101/0', '101/1']);
    expect(bench.receiver.sent).toHaveLength(4);
  });

  test('of our own making is made again and not charged', async () => {
    let shortages = 5;
    const bench = open(() =>
      shortages-- > 0 ? { kind: 'fail', code: 'EMFILE', beforeSend: true, afterMs: 0 } : ok,
    );
    bench.send(1, [{ tenant: 'acme', type: 'user.created' }]);
    await bench.pass(10_000);
    expect(bench.rows.map(({ outcome }) => outcome)).toEqual([
      ...new Array<string>(5).fill('retrying'),
      'delivered',
    ]);
    expect(bench.rows.at(-1)?.attempt).toBe('1');
  });

  test('leaves with the time of the next one, no sooner than the back-off, and is not made again here', async () => {
    const bench = open(() => ({ kind: 'silence' }));
    bench.send(1, [{ tenant: 'acme', type: 'user.created' }]);
    await bench.pass(1_500);
    expect(bench.rows).toMatchObject([{ reason: 'deadline', outcome: 'retrying', status: '0' }]);
    const [failed] = bench.rows;
    const epochMs = (cell: string): number => Math.round(Number(cell) * 1_000);
    const { dueAtMs } = bench.handovers[0]!;
    expect(dueAtMs).toBeGreaterThanOrEqual(epochMs(failed!.attempted_at) + 1_000 + 10);
    expect(dueAtMs).toBe(epochMs(failed!.next_attempt_at));
    await bench.pass(5_000);
    expect([bench.receiver.sent.length, bench.done]).toEqual([1, ['1/0']]);
  });
});

describe('an abandoned partition', () => {
  const released = ({ messages }: LaneBench): number =>
    messages.reduce((sum, { releasedRecords }) => sum + releasedRecords, 0);

  test('gives back what waits and what is not even decoded; only what is in flight keeps its place', async () => {
    const bench = open(() => ({ kind: 'silence' }), 4);
    bench.send(1, new Array<LaneRecord>(400).fill({ tenant: 'acme', type: 'user.created' }));
    bench.lane.receive({ kind: 'abandon', assignments: [1] });
    await bench.pass(50);
    expect([released(bench), bench.done]).toEqual([396, []]);
    await bench.pass(1_500);
    expect([released(bench), bench.done]).toEqual([400, []]);
    expect(bench.receiver.sent).toHaveLength(4);
  });

  test('makes no further attempt of what was in flight, nor keeps it for its back-off', async () => {
    const bench = open(() => ({ kind: 'answer', status: 503, afterMs: 30 }));
    bench.send(1, [{ tenant: 'acme', type: 'user.created' }]);
    bench.lane.receive({ kind: 'abandon', assignments: [1] });
    await bench.pass(31);
    bench.lane.tick();
    expect(released(bench)).toBe(1);
    expect(bench.rows.map(({ outcome, is_final: isFinal }) => [outcome, isFinal])).toEqual([
      ['retrying', '0'],
    ]);
    await bench.pass(1_000);
    expect(bench.receiver.sent).toHaveLength(1);
  });

  test('is not handed over as dead, however the attempt in flight ends: its next owner starts over', async () => {
    const bench = open(() => ({ kind: 'answer', status: 500, afterMs: 30 }));
    bench.send(1, [{ tenant: 'acme', type: 'email.sent' }]);
    bench.lane.receive({ kind: 'abandon', assignments: [1] });
    await bench.pass(1_000);
    expect(bench.messages.flatMap(({ handovers }) => handovers)).toEqual([]);
    expect(bench.rows.filter(({ is_final: isFinal }) => isFinal === '1')).toEqual([]);
  });
});
