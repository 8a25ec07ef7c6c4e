/**
 * Proves what intake does with delay topics: a record goes to its lane, or on to the
 * next delay topic, exactly once, in order and never before its time; and while a
 * partition waits for a due time, all others are polled and admitted as if it were not there.
 */
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { retryHeadersOf } from '../lanes/lane-parts.ts';
import { INVALID_REASONS } from '../../src/domain/outcome.ts';
import type { KeptBounds } from '../../src/ingest/kept-retries.ts';
import { IntakeBench, NOTHING_KEPT, recordOf, retryRecordOf } from './intake-fakes.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
});

afterEach(() => {
  vi.useRealTimers();
});

const roomy = { maxRecords: 10_000, maxBytes: 1e9 };
const T0 = 1_000_000;
const STEP_MS = 20;

async function pass(bench: IntakeBench, ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += STEP_MS) {
    bench.clock.nowMs += STEP_MS;
    await vi.advanceTimersByTimeAsync(STEP_MS);
    if (bench.source.isPolled) await bench.poll(50);
  }
}

function started(...args: ConstructorParameters<typeof IntakeBench>): IntakeBench {
  const bench = new IntakeBench(...args);
  bench.intake.start();
  return bench;
}

describe('a record of a delay topic', () => {
  test('waits from its own timestamp on, holds nothing but its place, and is then admitted by its source’s mapping', async () => {
    const bench = started([[retryRecordOf(0, 7, T0 - 400, T0 + 600)]], 1, roomy, [1_000]);
    await bench.poll(10);
    expect(bench.source.calls).toEqual(['hold 0']);
    expect([bench.intake.waitingPartitions, bench.paused]).toEqual([1, 0]);
    expect(bench.assignments.find('t', 0)).toMatchObject({ stashed: 0, isBlocked: false });
    await pass(bench, 580);
    expect(bench.feed.admitted).toEqual([]);
    await pass(bench, 100);
    expect(bench.feed.admitted.map(({ offset, invalid }) => [offset, invalid])).toEqual([[7, 0]]);
    expect([...bench.mappingsAsked]).toEqual(['source']);
    expect(bench.source.calls).toEqual(['hold 0', 'release 0']);
  });

  test('that is due before its topic’s delay is over does not wait for that', async () => {
    const bench = started([[retryRecordOf(0, 0, T0, T0 + 200)]], 1, roomy, [1_000]);
    await pass(bench, 300);
    expect(bench.feed.admitted).toHaveLength(1);
  });

  test('that has to wait on is handed over as it is, and is done at the broker’s ack', async () => {
    const record = retryRecordOf(0, 3, T0 - 1_000, T0 + 5_000);
    const bench = started([[record, retryRecordOf(0, 4, T0 - 1_000, T0)]], 1, roomy, [1_000]);
    await bench.poll(10);
    expect(bench.hops).toEqual([
      {
        assignment: 1,
        sequence: 0,
        key: null,
        value: record.value,
        headers: [['due', Buffer.from(String(T0 + 5_000))]],
        dueAtMs: T0 + 5_000,
        note: retryHeadersOf({ sourceTopic: 'source', dueMs: T0 + 5_000 }),
      },
    ]);
    const { frontier } = bench.assignments.find('t', 0)!;
    bench.release(1);
    expect([bench.offsetsOf(0), frontier.position]).toEqual([[4], 3]);
    bench.assignments.release(1, 0);
    expect(frontier.position).toBe(5);
  });

  test('that says what another has said is done at once, neither handed over nor tried', async () => {
    const records = [retryRecordOf(0, 3, T0 - 1_000, T0 + 5_000), retryRecordOf(0, 4, T0 - 1_000, T0)];
    const bench = started([records], 1, roomy, [1_000]);
    bench.copies.add('1/3').add('1/4');
    await bench.poll(10);
    expect([bench.hops, bench.feed.admitted]).toEqual([[], []]);
    expect(bench.assignments.find('t', 0)!.frontier.position).toBe(5);
  });

  test('is not handed over while hand-overs are at their bound', async () => {
    const bench = started([[retryRecordOf(0, 0, T0 - 1_000, T0 + 5_000)]], 1, roomy, [1_000]);
    bench.mayAdmit = false;
    await bench.poll(10);
    expect(bench.hops).toEqual([]);
    bench.mayAdmit = true;
    bench.intake.onRoom();
    expect(bench.hops).toHaveLength(1);
  });

  test('whose headers are no retry’s goes to a lane as malformed, at once', async () => {
    const bench = started([[retryRecordOf(0, 0, T0, null)]], 1, roomy, [1_000]);
    await bench.poll(10);
    expect(bench.feed.admitted.map(({ invalid }) => INVALID_REASONS[invalid])).toEqual(['malformed']);
  });
});

test('a wait inside a stash takes over the pause of its partition, which is resumed once', async () => {
  const log = [retryRecordOf(0, 0, T0 - 2_000, T0 - 1), retryRecordOf(0, 1, T0, T0 + 1_000)];
  const bench = started([log], 1, roomy, [1_000]);
  bench.mayAdmit = false;
  await bench.poll(10);
  await bench.untilPolled();
  expect([bench.source.calls, bench.paused]).toEqual([['pause 0'], 1]);
  bench.mayAdmit = true;
  await bench.poll(10);
  expect([bench.offsetsOf(0), bench.paused, bench.intake.waitingPartitions]).toEqual([[0], 0, 1]);
  bench.clock.nowMs += 1_000;
  await vi.advanceTimersByTimeAsync(1_010);
  await pass(bench, 100);
  expect(bench.offsetsOf(0)).toEqual([0, 1]);
  expect(bench.source.calls).toEqual(['pause 0', 'release 0']);
});

test('a partition given up while it waits is not left held', async () => {
  const bench = started([[retryRecordOf(0, 0, T0, T0 + 60_000)]], 1, roomy, [60_000]);
  await bench.poll(10);
  const assignment = bench.assignments.find('t', 0)!;
  bench.assignments.revoke(assignment);
  bench.intake.forget(assignment);
  expect(bench.source.calls).toEqual(['hold 0', 'release 0']);
  bench.intake.stop();
  expect(vi.getTimerCount()).toBe(0);
});

const KEPT: KeptBounds = { records: 8, bytes: 1e6, recordsPerPartition: 2, bytesPerPartition: 1e6 };

describe('records that are kept until they are due', () => {
  test('are not read again, and each is admitted at its own time', async () => {
    const log = [0, 100, 250].map((afterMs, offset) =>
      retryRecordOf(0, offset, T0 + afterMs - 500, T0 + afterMs + 500),
    );
    const bench = started([log], 1, roomy, [1_000], { keptRetries: { ...KEPT, recordsPerPartition: 4 } });
    await pass(bench, 480);
    expect([bench.feed.admitted, bench.paused, bench.intake.waitingPartitions]).toEqual([[], 0, 1]);
    await pass(bench, 400);
    bench.feed.admitted.forEach(({ atMs }, offset) => {
      expect(atMs - Number(log[offset]!.timestamp) - 1_000).toBeLessThanOrEqual(2 * STEP_MS);
    });
    expect(bench.offsetsOf(0)).toEqual([0, 1, 2]);
    expect(bench.source.calls).toEqual([]);
    expect(bench.intake.waitingPartitions).toBe(0);
  });

  test('are as many as a partition may have of them; the rest is read when they are gone', async () => {
    const log = Array.from({ length: 7 }, (_, offset) => retryRecordOf(0, offset, T0, T0 + 500));
    const bench = started([log], 1, roomy, [500], { keptRetries: KEPT });
    await bench.poll(3);
    expect([bench.assignments.find('t', 0)!.stashed, bench.source.calls]).toEqual([3, ['hold 0']]);
    await pass(bench, 600);
    expect(bench.offsetsOf(0)).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect(bench.source.calls).toEqual(['hold 0', 'release 0']);
  });

  test('are as many as there may be of all, and what one poll brings', async () => {
    const logs = [0, 1, 2].map((partition) =>
      Array.from({ length: 3 }, (_, offset) => retryRecordOf(partition, offset, T0, T0 + 5_000)),
    );
    const bench = started(logs, 1, roomy, [5_000, 5_000, 5_000], { keptRetries: { ...KEPT, records: 3 } });
    for (let polls = 0; polls < 4; polls++) await bench.poll(2);
    const stashed = [0, 1, 2].map((partition) => bench.assignments.find('t', partition)!.stashed);
    expect(stashed[0]! + stashed[1]! + stashed[2]!).toBeLessThanOrEqual(3 + 1);
    expect(bench.intake.waitingPartitions).toBe(3);
    expect(bench.source.calls.toSorted()).toEqual(['hold 0', 'hold 1', 'hold 2']);
    await pass(bench, 6_000);
    expect([0, 1, 2].map((partition) => bench.offsetsOf(partition))).toEqual(Array(3).fill([0, 1, 2]));
  });

  test('of a partition that is given up are dropped, and it is not left held', async () => {
    const log = Array.from({ length: 3 }, (_, offset) => retryRecordOf(0, offset, T0, T0 + 500));
    const bench = started([log], 1, roomy, [500], { keptRetries: KEPT });
    await bench.poll(3);
    const assignment = bench.assignments.find('t', 0)!;
    bench.assignments.revoke(assignment);
    bench.intake.forget(assignment);
    await pass(bench, 1_000);
    expect([bench.feed.admitted, bench.source.calls]).toEqual([[], ['hold 0', 'release 0']]);
    expect(bench.intake.waitingPartitions).toBe(0);
  });

  test('that find their lane full at their time are as slow as any', async () => {
    const log = Array.from({ length: 3 }, (_, offset) => retryRecordOf(0, offset, T0, T0 + 500));
    const bench = started([log], 1, roomy, [500], { keptRetries: KEPT });
    await bench.poll(3);
    bench.mayAdmit = false;
    await pass(bench, 800);
    expect([bench.feed.admitted, bench.intake.waitingPartitions]).toEqual([[], 0]);
    bench.mayAdmit = true;
    await bench.poll(3);
    expect(bench.offsetsOf(0)).toEqual([0, 1, 2]);
    expect(bench.source.calls).toEqual(['hold 0', 'release 0']);
  });
});

test('over any due times, bounds, full lanes and failed seeks: once, in order, not early, and sources never wait', async () => {
  const retry = fc.record({ afterMs: fc.nat(600), leftMs: fc.integer({ min: -500, max: 2_500 }) });
  const plan = fc.record({ delay: fc.constantFrom(300, 1_000), records: fc.array(retry, { maxLength: 8 }) });
  await fc.assert(
    fc.asyncProperty(
      fc.array(plan, { minLength: 1, maxLength: 3 }),
      fc.array(fc.boolean(), { maxLength: 4 }),
      fc.constantFrom(NOTHING_KEPT, KEPT, { ...KEPT, records: 3 }),
      async (plans, seeks, keptRetries) => {
        const logs = plans.map(({ delay, records }, partition) => {
          let timestamp = T0 - 1_500;
          return records.map(({ afterMs, leftMs }, offset) =>
            retryRecordOf(partition, offset, (timestamp += afterMs), timestamp + delay + leftMs),
          );
        });
        const source = Array.from({ length: 20 }, (_, offset) => recordOf(plans.length, offset, 'a'));
        const delays = [...plans.map(({ delay }) => delay), null];
        const bench = started([...logs, source], 2, { maxRecords: 4, maxBytes: 1e9 }, delays, {
          keptRetries,
        });
        bench.source.seekErrors = seeks.map((isRight) => (isRight ? null : 'Local: Timed out'));
        for (let turns = 0; turns < 500; turns++) {
          await pass(bench, STEP_MS);
          bench.release(2);
          // Whatever waits, the next poll does not.
          if (turns === 20) expect(bench.offsetsOf(plans.length)).toHaveLength(20);
        }
        bench.release(1_000);
        bench.intake.stop();
        logs.forEach((log, partition) => {
          const hopped = bench.hops.filter(({ assignment }) => assignment === partition + 1);
          const admitted = bench.feed.admitted.filter((one) => one.partition === partition);
          expect(hopped.length + admitted.length).toBe(log.length);
          expect(admitted.map(({ offset }) => offset)).toEqual(
            [...new Set(admitted.map(({ offset }) => offset))].toSorted((a, b) => a - b),
          );
          for (const { offset, atMs } of admitted) {
            const due = Number(String(log[offset]?.headers?.[0]?.['due']));
            expect(atMs).toBeGreaterThanOrEqual(due);
          }
          for (const { sequence } of hopped) bench.assignments.release(partition + 1, sequence);
          const { frontier } = bench.assignments.find('t', partition)!;
          expect(frontier.position).toBe(log.length === 0 ? -1 : log.length);
        });
      },
    ),
    { numRuns: 40 },
  );
});
