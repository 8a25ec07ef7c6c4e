/**
 * Proves what the ledger and the offsets rest on: whatever happens to the requests,
 * each delivery ends exactly once, through all of its retries; each record, whether of
 * a source or of a delay topic, is reported done exactly once, when the last of its
 * deliveries has ended or left by a hand-over and its rows are on their way.
 */
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { laneSlots, type LaneSlot } from '../../src/observability/lane-slots.ts';
import {
  doneIn,
  handedRowsIn,
  headersOf,
  LaneBench,
  retryAssignment,
  rowsIn,
  type AttemptCells,
  type LaneRecord,
  type Treatment,
} from './lane-bench.ts';
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
const pause = fc.record({
  kind: fc.constant('answer' as const),
  status: fc.constantFrom(429, 503),
  afterMs: fc.integer({ min: 1, max: 80 }),
  retryAfter: fc.constantFrom('1', '3', 'soon'),
});
const failure = fc.record({
  kind: fc.constant('fail' as const),
  code: fc.constantFrom('ECONNREFUSED', 'ECONNRESET', 'EVENTDISPATCH_BLOCKED', 'EMFILE'),
  beforeSend: fc.boolean(),
  afterMs: fc.nat(30),
});
const treatment: fc.Arbitrary<Treatment> = fc.oneof(
  { weight: 4, arbitrary: answer },
  pause,
  failure,
  fc.constant<Treatment>({ kind: 'silence' }),
);
const record: fc.Arbitrary<LaneRecord> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      tenant: fc.constantFrom('acme', 'beta', 'gamma', 'nobody'),
      type: fc.constantFrom('contact.created', 'contact.updated', 'email.sent'),
      key: fc.constantFrom('', 'a', 'b'),
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

const PARTITIONS = [1, 2, 3];

test('over any mixture of outcomes, retries and abandoned partitions: each delivery ends once, each record is done once', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(treatment, { maxLength: 40 }),
      fc.array(step, { minLength: 1, maxLength: 10 }),
      fc.integer({ min: 1, max: 5 }),
      async (treatments, steps, connections) => {
        const pending = [...treatments];
        const bench = new LaneBench(laneDestinations, connections, () => pending.shift() ?? ok);
        for (const partition of PARTITIONS) {
          bench.begin(partition);
          bench.beginRetries(partition);
        }
        const abandoned = new Set<number>();
        const delayTopic = new DelayTopic(bench, abandoned);
        for (const { assignment, records, passMs, abandon } of steps) {
          if (!abandoned.has(assignment)) bench.send(assignment, records);
          await bench.pass(passMs);
          delayTopic.comeBack();
          if (abandon === 0 && !abandoned.has(assignment)) {
            abandoned.add(assignment);
            bench.lane.receive({
              kind: 'abandon',
              assignments: [assignment, retryAssignment(assignment)],
            });
          }
        }
        // Longer than ordered deliveries of one key may pause in the lane, one after another.
        do await bench.pass(30_000);
        while (delayTopic.comeBack());
        bench.stop();
        expectSettledOnce(bench, abandoned, delayTopic);
        expectAtRest(bench);
      },
    ),
    { numRuns: 150 },
  );
}, 120_000);

/** Gives back what was handed over for a retry, whether or not it is due; what it gave back is known by its place. */
class DelayTopic {
  /** Destination of each record, by `assignment/sequence`. */
  readonly destinations = new Map<string, string>();
  readonly #bench: LaneBench;
  readonly #abandoned: ReadonlySet<number>;
  #seen = 0;

  constructor(bench: LaneBench, abandoned: ReadonlySet<number>) {
    this.#bench = bench;
    this.#abandoned = abandoned;
  }

  /** @returns false when nothing came back. */
  comeBack(): boolean {
    const { handovers } = this.#bench;
    const fresh = handovers.slice(this.#seen).filter(({ to }) => to === 'retry');
    this.#seen = handovers.length;
    for (const handover of fresh) {
      const headers = headersOf(handover);
      const partition = Number(headers['eventdispatch-source-partition']);
      if (this.#abandoned.has(partition)) continue;
      const sequence = this.#bench.sendRetries(partition, [handover]);
      const key = `${retryAssignment(partition)}/${sequence}`;
      this.destinations.set(key, headers['eventdispatch-destination-id']!);
    }
    return fresh.length > 0;
  }
}

/** Which record a row is about, of the source or of the delay topic, as `assignment/sequence`. */
function recordOf(row: AttemptCells): string {
  return row.retry_topic === ''
    ? `${row.partition}/${row.offset}`
    : `${retryAssignment(Number(row.retry_partition))}/${row.retry_offset}`;
}

function add(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

function expectSettledOnce(
  bench: LaneBench,
  abandoned: ReadonlySet<number>,
  { destinations }: DelayTopic,
): void {
  /** By record and destination: how often the delivery ended there, for good or by a hand-over. */
  const ends = new Map<string, number>();
  /** By source record and destination: how often it ended for good. */
  const finals = new Map<string, number>();
  const done = new Set<string>();
  for (const message of bench.messages) {
    const own = rowsIn(message);
    expect(
      own.filter((row) => row.hand_over !== ''),
      'rows of hand-overs go with them',
    ).toEqual([]);
    for (const row of [...own, ...handedRowsIn(message)]) {
      if (row.is_final === '1') add(finals, `${row.partition}/${row.offset} ${row.destination_id}`);
      if (row.is_final === '1' || row.hand_over !== '') add(ends, `${recordOf(row)} ${row.destination_id}`);
    }
    for (const key of doneIn(message.records)) {
      expect(done.has(key), `${key} was done before`).toBe(false);
      done.add(key);
      for (const to of destinationsOf(key)) expect(ends.get(`${key} ${to}`), `${key} ${to}`).toBe(1);
    }
  }
  for (const [assignment, records] of bench.sent) {
    if (abandoned.has(assignment)) continue;
    records.forEach((_, sequence) => {
      const key = `${assignment}/${sequence}`;
      expect(done).toContain(key);
      for (const to of destinationsOf(key)) expect(finals.get(`${key} ${to}`), `${key} ${to}`).toBe(1);
    });
  }
  for (const key of destinations.keys()) {
    if (!abandoned.has(Number.parseInt(key) - retryAssignment(0))) expect(done).toContain(key);
  }
  const lost = bench.rows.filter(
    ({ outcome, hand_over: to }) => outcome === 'rejected' || to === 'dead_letter',
  );
  const handed = bench.handovers.filter(({ to }) => to === 'dead_letter');
  expect(handed).toHaveLength(lost.length);

  function destinationsOf(key: string): string[] {
    const retried = destinations.get(key);
    if (retried !== undefined) return [retried];
    const [assignment, sequence] = key.split('/').map(Number) as [number, number];
    const sent = bench.sent.get(assignment)![sequence]!;
    const isEvent = sent.invalid === undefined && sent.undecodable !== true;
    const wanted = isEvent ? wantedBy(sent) : [];
    return wanted.length === 0 ? [''] : wanted;
  }
}

function expectAtRest(bench: LaneBench): void {
  expect(bench.messages.reduce((sum, { releasedRecords }) => sum + releasedRecords, 0)).toBe(
    bench.sentRecords,
  );
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
