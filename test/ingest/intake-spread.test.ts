/**
 * Proves that a record of a tenant that is spread over lanes is admitted in all of its
 * parts or in none, is durable when the last of them is, and that a retry of it goes to
 * the part that has its destination.
 */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { limits } from '../../src/domain/limits.ts';
import { hashOfTenant, laneOfHash } from '../../src/ingest/tenant-lane.ts';
import { TenantSpread } from '../../src/ingest/tenant-spread.ts';
import { IntakeBench, recordOf, retryRecordOf } from './intake-fakes.ts';

const LANES = 4;
const roomy = { maxRecords: 100_000, maxBytes: 10_000_000 };
const spread = new TenantSpread([{ tenant: 'a', lanes: 3, destinations: ['d0', 'd1', 'd2', 'd3'] }]);
const T0 = 1_000_000;

const homeLane = (tenant: string): number => {
  const bytes = Buffer.from(tenant);
  return laneOfHash(hashOfTenant(bytes, 0, bytes.length), LANES);
};
const laneOf = (part: number): number => (homeLane('a') + part) % LANES;

let benches: IntakeBench[] = [];

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date', 'performance'] });
  benches = [];
});

afterEach(() => {
  for (const bench of benches) bench.intake.stop();
  vi.useRealTimers();
});

function started(
  ...[logs, bounds, delays]: [
    ConstructorParameters<typeof IntakeBench>[0],
    ConstructorParameters<typeof IntakeBench>[2],
    (readonly (number | null)[])?,
  ]
): IntakeBench {
  const bench = new IntakeBench(logs, LANES, bounds, delays, { spread });
  benches.push(bench);
  bench.clock.nowMs = T0;
  bench.intake.start();
  return bench;
}

const copies = (bench: IntakeBench): [lane: number, offset: number, part: number, parts: number][] =>
  bench.feed.admitted.map(({ lane, offset, part, parts }) => [lane, offset, part, parts]);

describe('a record of a spread tenant', () => {
  test('goes to each of its lanes, under a sequence of its own; one of another tenant to its own lane', async () => {
    const bench = started([[recordOf(0, 0, 'a'), recordOf(0, 1, 'b')]], roomy);
    await bench.poll(10);
    expect(copies(bench).toSorted(([, a, p], [, b, q]) => a - b || p - q)).toEqual([
      [laneOf(0), 0, 0, 3],
      [laneOf(1), 0, 1, 3],
      [laneOf(2), 0, 2, 3],
      [homeLane('b'), 1, 0, 1],
    ]);
    expect(new Set(bench.feed.admitted.map(({ sequence }) => sequence)).size).toBe(4);
    expect(bench.intake.stats.recordsPolled).toBe(2);
  });

  test('is durable when all of its copies are, in whatever order they end', async () => {
    const bench = started([[recordOf(0, 7, 'a'), recordOf(0, 9, 'a')]], roomy);
    await bench.poll(10);
    const { frontier } = bench.assignments.find('t', 0)!;
    const ofFirst = bench.feed.admitted.filter(({ offset }) => offset === 7);
    const others = bench.feed.admitted.filter(({ offset }) => offset === 9);
    for (const { assignment, sequence } of [...others.slice(1), ...ofFirst.toReversed().slice(0, 2)]) {
      bench.assignments.release(assignment, sequence);
      expect(frontier.position).toBe(7);
    }
    bench.assignments.release(1, ofFirst[0]!.sequence);
    expect(frontier.position).toBe(9);
    bench.assignments.release(1, others[0]!.sequence);
    expect(frontier.position).toBe(10);
  });

  test('waits as a whole while one of its lanes is full, and is admitted once', async () => {
    const full = `x${['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j'].find((end) => homeLane(`x${end}`) === laneOf(2))!}`;
    const bench = started([[recordOf(0, 0, full), recordOf(0, 1, full), recordOf(0, 2, 'a')]], {
      maxRecords: 2,
      maxBytes: 10_000_000,
    });
    await bench.poll(10);
    expect(bench.feed.admitted.map(({ tenant }) => tenant)).toEqual([full, full]);
    expect(bench.assignments.find('t', 0)!.frontier.open).toBe(2);
    bench.release(2);
    expect(copies(bench).slice(2).toSorted()).toEqual(
      [0, 1, 2].map((part) => [laneOf(part), 2, part, 3]).toSorted(),
    );
    bench.release(3);
    expect(bench.assignments.find('t', 0)!.frontier.position).toBe(3);
    for (let lane = 0; lane < LANES; lane++) expect(bench.shares.heldOfLane(lane)).toEqual([0, 0]);
  });

  test('waits while the window of its partition has no room for all of its copies', async () => {
    const before = Array.from({ length: limits.partitionWindowRecords - 2 }, (_, i) => recordOf(0, i, 'b'));
    const bench = started([[...before, recordOf(0, before.length, 'a')]], roomy);
    for (let polls = 0; polls < 20 && !bench.source.isReadToTheEnd; polls++) await bench.poll(2_000);
    expect(bench.feed.admitted.some(({ tenant }) => tenant === 'a')).toBe(false);
    bench.release(1);
    expect(bench.feed.admitted.filter(({ tenant }) => tenant === 'a')).toHaveLength(3);
    expect(bench.assignments.find('t', 0)!.frontier.isFull).toBe(true);
  });
});

test.each([
  ['d0', 0],
  ['d1', 1],
  ['d2', 2],
  ['d3', 0],
  ['removed', 0],
])('a retry to %s goes to part %d alone', async (destination, part) => {
  const record = retryRecordOf(0, 0, T0 - 1_000, T0, 1, destination);
  const bench = started([[record]], roomy, [1_000]);
  await bench.poll(10);
  expect(copies(bench)).toEqual([[laneOf(part), 0, part, 3]]);
});
