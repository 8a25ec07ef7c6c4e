/**
 * Proves that the lanes of a spread tenant together do what one lane would: each
 * destination is sent each event once, and what is said of an event as a whole is said
 * once, by the lane of the first part.
 */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { SeenEvents } from '../../src/duplicates/seen-events.ts';
import type { Destination } from '../../src/domain/destination.ts';
import type { FieldMapping } from '../../src/domain/event.ts';
import { partName } from '../../src/domain/spread.ts';
import { NOTHING_RECOVERED, type Recovered } from '../../src/domain/record.ts';
import { columnNames } from '../../src/ledger/columns.ts';
import { laneSlots, type LaneSlot } from '../../src/observability/lane-slots.ts';
import { LaneBench, type LaneRecord, type Treatment } from './lane-bench.ts';
import { destinationOf, type SentRequest } from './lane-parts.ts';

const PARTS = 3;
const ok: Treatment = { kind: 'answer', status: 200, afterMs: 5 };
/** Of the first part is `a` and `d`, of the second `b`, of the third `c`. */
const DESTINATIONS = [
  destinationOf('a', { events: ['contact.*'] }),
  destinationOf('b'),
  destinationOf('c', { events: ['contact.*'] }),
  destinationOf('d', { events: ['contact.*'] }),
];

let lanes: LaneBench[] = [];

beforeEach(() => {
  vi.useFakeTimers();
  lanes = [];
});

afterEach(() => {
  for (const lane of lanes) lane.stop();
  vi.useRealTimers();
});

interface Opened {
  readonly destinations?: readonly Destination[];
  readonly treatmentOf?: (request: SentRequest) => Treatment;
  readonly recovered?: Recovered;
}

function open({ destinations = DESTINATIONS, treatmentOf = () => ok, recovered }: Opened = {}): void {
  for (let part = 0; part < PARTS; part++) {
    const seen = new SeenEvents({ windowMs: 60_000, maxRemembered: 1_000 });
    const lane = new LaneBench(destinations, 10, treatmentOf, seen);
    lane.begin(1, recovered ?? NOTHING_RECOVERED);
    lanes.push(lane);
  }
}

async function send(...records: readonly LaneRecord[]): Promise<void> {
  lanes.forEach((lane, part) => {
    lane.send(1, records, { part, parts: PARTS });
  });
  for (const lane of lanes) await lane.pass(100);
}

const event = (id: string, type = 'contact.created'): LaneRecord => ({ tenant: 'acme', type, id });
const rows = (): string[][] =>
  lanes.map((lane) =>
    lane.rows
      .map((row) => `${row.offset} ${row.destination_id || '-'} ${row.outcome}`)
      .toSorted((a, b) => (a < b ? -1 : 1)),
  );
const eventRows = (): number[] =>
  lanes.map(({ messages }) => messages.reduce((sum, { eventRows: count }) => sum + count, 0));
/** By lane, of its events' rows. */
const deliveriesOfEvents = (): string[][] =>
  lanes.map(({ messages }) =>
    messages.flatMap(({ events }) =>
      Buffer.from(events ?? [])
        .toString()
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => line.split('\t')[columnNames('events').indexOf('deliveries')] ?? ''),
    ),
  );
const counts = (slot: LaneSlot): number[] => lanes.map(({ counters }) => counters.get(slot));
const done = (): string[][] => lanes.map((lane) => lane.done.toSorted());

describe('a record of a spread tenant', () => {
  test('is delivered by each lane to the destinations of its part; the event is written once', async () => {
    open();
    await send(event('e'));
    expect(rows()).toEqual([['0 a delivered', '0 d delivered'], ['0 b delivered'], ['0 c delivered']]);
    expect(lanes.map(({ receiver }) => receiver.sent.map(({ path }) => path))).toEqual([
      ['/a', '/d'],
      ['/b'],
      ['/c'],
    ]);
    expect(eventRows()).toEqual([1, 0, 0]);
    expect(deliveriesOfEvents()).toEqual([['4'], [], []]);
    expect(done()).toEqual([['1/0'], ['1/0'], ['1/0']]);
    expect([counts(laneSlots.recordsReceived), counts(laneSlots.recordsDone)]).toEqual([
      [1, 0, 0],
      [1, 0, 0],
    ]);
  });

  test('that only another part’s destination wants has its event written, and is not filtered', async () => {
    open();
    await send(event('e', 'email.sent'));
    expect(rows()).toEqual([[], ['0 b delivered'], []]);
    expect(deliveriesOfEvents()).toEqual([['1'], [], []]);
    expect(done()).toEqual([['1/0'], ['1/0'], ['1/0']]);
  });

  test.each<[string, Opened, LaneRecord, string, LaneSlot]>([
    [
      'that nobody wants',
      { destinations: DESTINATIONS.map((one) => ({ ...one, events: ['x'] })) },
      event('e'),
      'filtered',
      laneSlots.recordsFiltered,
    ],
    ['without any destination', { destinations: [] }, event('e'), 'no_route', laneSlots.recordsUnrouted],
    [
      'that the decode finds invalid',
      {},
      { ...event('e'), undecodable: true },
      'invalid',
      laneSlots.recordsInvalid,
    ],
  ])('%s has one row, and one hand-over if any', async (_what, opened, record, outcome, slot) => {
    open(opened);
    await send(record);
    expect(rows()).toEqual([[`0 - ${outcome}`], [], []]);
    expect(counts(slot)).toEqual([1, 0, 0]);
    expect(lanes.map(({ handovers }) => handovers.length)).toEqual([outcome === 'invalid' ? 1 : 0, 0, 0]);
    expect(done()).toEqual([['1/0'], ['1/0'], ['1/0']]);
  });

  test('that is a duplicate is sent by nobody, and is a duplicate once', async () => {
    open();
    await send(event('e'), event('e'));
    expect(rows()[0]).toEqual(['0 a delivered', '0 d delivered', '1 - duplicate']);
    expect(rows().slice(1)).toEqual([['0 b delivered'], ['0 c delivered']]);
    expect(counts(laneSlots.recordsDuplicate)).toEqual([1, 0, 0]);
    expect(done()).toEqual([
      ['1/0', '1/1'],
      ['1/0', '1/1'],
      ['1/0', '1/1'],
    ]);
  });
});

test.each([
  ['priority', 'urgent', 'spread', { part: 0, parts: 2 }, ['delivered', 'delivered']],
  ['priority', 'urgent', 'in one lane', { part: 0, parts: 1 }, ['delivered', 'duplicate']],
  ['class', 'imports', 'spread', { part: 0, parts: 2 }, ['delivered', 'delivered']],
  ['class', 'imports', 'in one lane', { part: 0, parts: 1 }, ['delivered', 'duplicate']],
])(
  'records of topics of different %s, %s and another, of a tenant that is %s: %o',
  async (_what, topic, _where, lanePart, outcomes) => {
    const seen = new SeenEvents({ windowMs: 60_000, maxRemembered: 1_000 });
    const urgent = { priority: { from: 'constant', value: 'high' } } as FieldMapping;
    const lane = new LaneBench(
      [destinationOf('a'), destinationOf('b', { events: ['x'] })],
      10,
      () => ok,
      seen,
      { urgent },
      { imports: 'bulk' },
    );
    lanes.push(lane);
    lane.begin(1);
    lane.begin(2, NOTHING_RECOVERED, topic);
    // Two lanes may take them in different orders, so neither may drop one for the other's sake.
    for (const assignment of [1, 2]) lane.send(assignment, [event('e')], lanePart);
    await lane.pass(100);
    expect(lane.rows.map(({ outcome }) => outcome).toSorted()).toEqual(outcomes);
  },
);

describe('what a former owner has ended', () => {
  test('without a delivery is done in all parts', async () => {
    open({ recovered: { deliveryIds: new Map([[0, new Set([''])]]) } });
    await send(event('e', 'unwanted'));
    expect(rows()).toEqual([[], [], []]);
    expect(done()).toEqual([['1/0'], ['1/0'], ['1/0']]);
  });

  test('of one part, as a record that killed its lane, is done in that part alone', async () => {
    open({ recovered: { deliveryIds: new Map([[0, new Set([partName(1, PARTS)])]]) } });
    await send(event('e'));
    expect(rows()).toEqual([['0 a delivered', '0 d delivered'], [], ['0 c delivered']]);
    expect(done()).toEqual([['1/0'], ['1/0'], ['1/0']]);
  });
});

test('a retry is delivered by the lane of its part, which says what becomes of it', async () => {
  let requests = 0;
  open({ treatmentOf: ({ path }) => (path === '/b' && ++requests === 1 ? { ...ok, status: 500 } : ok) });
  await send(event('e'));
  const [, second] = lanes as [LaneBench, LaneBench];
  second.beginRetries(1);
  second.sendRetries(1, second.handovers, { part: 1, parts: PARTS });
  await second.pass(100);
  expect(rows()[1]).toEqual(['0 b delivered', '0 b retrying']);
  expect(second.done).toEqual(['1/0', '101/0']);
  expect(second.counters.get(laneSlots.recordsReceived), 'the retry').toBe(1);
});

test('a tenant with a slow destination in one lane is parked there as if it had no other destinations', async () => {
  const slow = [destinationOf('a', { maxInFlight: 1 }), destinationOf('b'), destinationOf('c')];
  open({ destinations: slow, treatmentOf: () => ({ kind: 'silence' }) });
  lanes[0]!.send(
    1,
    Array.from({ length: 100 }, (_, i) => event(`e${i}`)),
    { part: 0, parts: PARTS },
  );
  expect(lanes[0]!.counters.get(laneSlots.recordsReceived), 'one in flight, 32 in line').toBe(33);
});
