/**
 * Proves what the ledger and the offsets rest on: whatever happens to the requests,
 * each delivery ends exactly once, and a record is reported done exactly once, when
 * the last of its deliveries has ended and its rows are on their way.
 */
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { laneSlots, type LaneSlot } from '../../src/observability/lane-slots.ts';
import { doneIn, LaneBench, rowsIn, type LaneRecord, type Treatment } from './lane-bench.ts';
import { laneDestinations, wantedBy } from './lane-destinations.ts';

const ok: Treatment = { kind: 'answer', status: 200, afterMs: 5 };

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

const answer = fc.record({
  kind: fc.constant('answer' as const),
  status: fc.constantFrom(200, 204, 301, 404, 429, 500, 503),
  afterMs: fc.integer({ min: 1, max: 80 }),
});
const failure = fc.record({
  kind: fc.constant('fail' as const),
  code: fc.constantFrom('ECONNREFUSED', 'ECONNRESET', 'EVENTDISPATCH_BLOCKED', 'EMFILE'),
  beforeSend: fc.boolean(),
  afterMs: fc.nat(30),
});
const treatment: fc.Arbitrary<Treatment> = fc.oneof(
  { weight: 4, arbitrary: answer },
  failure,
  fc.constant<Treatment>({ kind: 'silence' }),
);
const record: fc.Arbitrary<LaneRecord> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      tenant: fc.constantFrom('acme', 'beta', 'nobody'),
      type: fc.constantFrom('contact.created', 'contact.updated', 'email.sent'),
    }),
  },
  fc.constantFrom<LaneRecord>(
    { tenant: '', type: '', invalid: 'malformed' },
    { tenant: 'acme', type: '', undecodable: true },
  ),
);
const step = fc.record({
  assignment: fc.integer({ min: 1, max: 3 }),
  records: fc.array(record, { maxLength: 6 }),
  passMs: fc.nat(150),
  abandon: fc.nat(12),
});

test('over any mixture of outcomes, retries and abandoned partitions: each delivery ends once, each record is done once', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(treatment, { maxLength: 40 }),
      fc.array(step, { minLength: 1, maxLength: 10 }),
      fc.integer({ min: 1, max: 5 }),
      async (treatments, steps, connections) => {
        const pending = [...treatments];
        const bench = new LaneBench(laneDestinations, connections, () => pending.shift() ?? ok);
        bench.begin(1);
        bench.begin(2);
        bench.begin(3);
        const abandoned = new Set<number>();
        for (const { assignment, records, passMs, abandon } of steps) {
          if (!abandoned.has(assignment)) bench.send(assignment, records);
          await bench.pass(passMs);
          if (abandon === 0 && !abandoned.has(assignment)) {
            abandoned.add(assignment);
            bench.lane.receive({ kind: 'abandon', assignments: [assignment] });
          }
        }
        await bench.pass(10_000);
        bench.stop();
        expectSettledOnce(bench, abandoned);
        expectAtRest(bench);
      },
    ),
    { numRuns: 150 },
  );
}, 60_000);

function expectSettledOnce(bench: LaneBench, abandoned: ReadonlySet<number>): void {
  const finals = new Map<string, number>();
  const done = new Set<string>();
  for (const message of bench.messages) {
    for (const row of rowsIn(message)) {
      if (row.is_final !== '1') continue;
      const key = `${row.partition}/${row.offset} ${row.destination_id}`;
      finals.set(key, (finals.get(key) ?? 0) + 1);
    }
    for (const key of doneIn(message.records)) {
      expect(done.has(key), `${key} was done before`).toBe(false);
      done.add(key);
      const [assignment, sequence] = key.split('/').map(Number) as [number, number];
      const sent = bench.sent.get(assignment)![sequence]!;
      const isEvent = sent.invalid === undefined && sent.undecodable !== true;
      const wanted = isEvent ? wantedBy(sent) : [];
      for (const to of wanted.length === 0 ? [''] : wanted)
        expect(finals.get(`${key} ${to}`), `${key} ${to}`).toBe(1);
    }
  }
  for (const [assignment, records] of bench.sent) {
    if (!abandoned.has(assignment))
      records.forEach((_, sequence) => expect(done).toContain(`${assignment}/${sequence}`));
  }
  const lost = bench.rows
    .filter(({ outcome }) => outcome === 'dead' || outcome === 'rejected')
    .filter(({ partition }) => !abandoned.has(Number(partition)));
  const handed = bench.messages
    .flatMap(({ handovers }) => handovers)
    .filter(({ to, assignment }) => to === 'dead_letter' && !abandoned.has(assignment));
  expect(handed).toHaveLength(lost.length);
}

function expectAtRest(bench: LaneBench): void {
  const records = [...bench.sent.values()].flat().length;
  expect(bench.messages.reduce((sum, { releasedRecords }) => sum + releasedRecords, 0)).toBe(records);
  expect(bench.messages.reduce((sum, { releasedBytes }) => sum + releasedBytes, 0)).toBe(bench.sentBytes);
  const gauges: readonly LaneSlot[] = [
    laneSlots.inFlight,
    laneSlots.queuedDeliveries,
    laneSlots.openRecords,
    laneSlots.openBytes,
  ];
  expect(gauges.map((slot) => bench.counters.get(slot))).toEqual([0, 0, 0, 0]);
  expect(bench.receiver.origin.inUse).toBe(0);
}
