/**
 * Proves that whatever refuses a record for a while (a full lane, a full ledger, a
 * missing schema, a full window), every record of every partition is admitted
 * exactly once and in order, and polling never stops.
 */
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { limits } from '../../src/domain/limits.ts';
import type { SourceRecord } from '../../src/domain/record.ts';
import { IntakeBench, recordOf } from './intake-fakes.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
});

afterEach(() => {
  vi.useRealTimers();
});

const roomy = { maxRecords: 10_000, maxBytes: 1e9 };

function logOf(partition: number, tenants: readonly string[], schemaId = 1): SourceRecord[] {
  return tenants.map((tenant, offset) => recordOf(partition, offset, tenant, schemaId));
}

function started(bench: IntakeBench): IntakeBench {
  bench.intake.start();
  return bench;
}

describe('a full lane', () => {
  const twoRecords = { maxRecords: 2, maxBytes: 1e9 };

  test('holds back the next poll until it has room: what librdkafka prefetched is not thrown away', async () => {
    const bench = started(new IntakeBench([logOf(0, ['a', 'a', 'a', 'a', 'a'])], 1, twoRecords));
    await bench.poll(10);
    expect(bench.offsetsOf(0)).toEqual([0, 1]);
    bench.release(2);
    expect(bench.offsetsOf(0)).toEqual([0, 1, 2, 3]);
    expect(bench.source.isPolled).toBe(false);
    bench.release(2);
    expect(bench.offsetsOf(0)).toEqual([0, 1, 2, 3, 4]);
    expect(bench.source.isPolled).toBe(true);
    expect(bench.source.calls).toEqual([]);
  });

  test('that stays full pauses only the partition it refuses, which resumes when all of it is admitted', async () => {
    const bench = started(
      new IntakeBench([logOf(0, ['a', 'a', 'a', 'a', 'a']), logOf(1, [])], 1, twoRecords),
    );
    await bench.poll(10);
    await bench.untilPolled();
    expect([bench.source.calls, bench.paused]).toEqual([['pause 0'], 1]);
    await bench.poll(10);
    expect(bench.source.isPolled).toBe(true);
    bench.release(2);
    await bench.poll(10);
    expect([bench.offsetsOf(0), bench.source.calls]).toEqual([[0, 1, 2, 3], ['pause 0']]);
    bench.release(2);
    await bench.poll(10);
    expect(bench.offsetsOf(0)).toEqual([0, 1, 2, 3, 4]);
    expect([bench.source.calls, bench.paused]).toEqual([['pause 0', 'resume 0'], 0]);
  });
});

describe('a missing schema', () => {
  test('holds up its own partition, is asked for, and loses nothing', async () => {
    const bench = started(new IntakeBench([logOf(0, ['a', 'b'], 9), logOf(1, ['a', 'b'])], 1, roomy));
    await bench.poll(10);
    expect(bench.neededSchemas).toContain(9);
    expect([bench.offsetsOf(0), bench.offsetsOf(1)]).toEqual([[], [0, 1]]);
    await bench.untilPolled();
    bench.knownSchemas.add(9);
    await bench.poll(10);
    expect(bench.offsetsOf(0)).toEqual([0, 1]);
    expect(bench.source.calls).toEqual(['pause 0', 'resume 0']);
  });
});

test('a partition’s window bounds what is open of it', async () => {
  const window = limits.partitionWindowRecords;
  const log = logOf(0, new Array<string>(window + 5).fill('a'));
  const bench = started(new IntakeBench([log], 1, { maxRecords: 1e6, maxBytes: 1e9 }));
  await bench.poll(log.length);
  expect(bench.feed.admitted).toHaveLength(window);
  bench.release(3);
  expect(bench.feed.admitted).toHaveLength(window + 3);
  bench.release(window);
  expect(bench.feed.admitted).toHaveLength(window + 5);
});

test('what is not committed is bounded, too: a crash leaves all of it to be looked up', async () => {
  const [window, bound] = [limits.partitionWindowRecords, limits.uncommittedRecords];
  const log = logOf(0, new Array<string>(bound + 5).fill('a'));
  const bench = started(new IntakeBench([log], 1, { maxRecords: 1e6, maxBytes: 1e9 }));
  await bench.poll(log.length);
  for (let released = 0; released < bound; released += window) bench.release(window);
  expect(bench.feed.admitted).toHaveLength(bound);
  const assignment = bench.assignments.find('t', 0)!;
  assignment.onCommitAsked(assignment.frontier.position);
  bench.intake.onRoom();
  expect(bench.feed.admitted).toHaveLength(bound);
  assignment.onCommitted(assignment.commitRequested);
  bench.intake.onRoom();
  expect(bench.feed.admitted).toHaveLength(bound + 5);
});

describe('a partition that is given up', () => {
  test('admits nothing more, and is not left paused: it may come back to this process', async () => {
    const log = logOf(0, ['a', 'a', 'a', 'a']);
    const bench = started(new IntakeBench([log], 1, { maxRecords: 1, maxBytes: 1e9 }));
    await bench.poll(2);
    await bench.untilPolled();
    const assignment = bench.assignments.find('t', 0)!;
    bench.assignments.revoke(assignment);
    bench.intake.forget(assignment);
    // librdkafka keeps an application's pause over unassign and assign.
    expect(bench.source.calls).toEqual(['pause 0', 'resume 0']);
    bench.release(1);
    await bench.poll(10);
    expect(bench.source.isReadToTheEnd).toBe(true);
    expect(bench.offsetsOf(0)).toEqual([0]);
    bench.intake.forget(assignment);
    expect(bench.source.calls).toEqual(['pause 0', 'resume 0']);
  });

  test('starts anew under its next epoch, from whatever offset', async () => {
    const bench = started(new IntakeBench([logOf(0, ['a', 'a', 'a'])], 1, roomy));
    await bench.poll(10);
    const assignment = bench.assignments.find('t', 0)!;
    bench.assignments.revoke(assignment);
    bench.intake.forget(assignment);
    bench.assignments.end(assignment);
    bench.assignments.begin({ topic: 't', partition: 0 });
    bench.source.rewind(0, 2);
    await bench.poll(10);
    expect(bench.feed.admitted.map(({ offset }) => offset)).toEqual([0, 1, 2, 1, 2]);
  });
});

describe('the poll loop', () => {
  test('goes on after an error, which is told', async () => {
    const bench = started(new IntakeBench([logOf(0, ['a'])], 1, roomy));
    await bench.poll(10, 'Local: Broker transport failure');
    expect(bench.errors).toEqual(['Local: Broker transport failure']);
    await bench.poll(10);
    expect(bench.offsetsOf(0)).toEqual([0]);
    expect(bench.intake.stats).toMatchObject({ polls: 2, recordsPolled: 1, bytesPolled: 6 });
  });

  test('keeps polling but admits nothing while the process drains, and ends when stopped', async () => {
    const bench = started(new IntakeBench([logOf(0, ['a', 'a', 'a'])], 1, { maxRecords: 1, maxBytes: 1e9 }));
    await bench.poll(10);
    bench.intake.stopAdmitting();
    bench.release(1);
    await bench.poll(10);
    expect(bench.source.isPolled).toBe(true);
    expect([bench.offsetsOf(0), bench.paused]).toEqual([[0], 0]);
    bench.intake.stop();
    await bench.poll(10);
    await bench.untilPolled();
    expect(bench.source.isPolled).toBe(false);
  });

  test('stopped while it is held back, it is not started again by a lane that has room', async () => {
    const bench = started(new IntakeBench([logOf(0, ['a', 'a', 'a'])], 1, { maxRecords: 1, maxBytes: 1e9 }));
    await bench.poll(10);
    bench.intake.stopAdmitting();
    bench.intake.stop();
    bench.release(1);
    await bench.untilPolled();
    expect(bench.source.isPolled).toBe(false);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('tells when it last came back', async () => {
    const bench = started(new IntakeBench([[]], 1, roomy));
    bench.clock.nowMs += 5_000;
    await bench.poll(10);
    expect(bench.intake.stats.lastPollMs).toBe(bench.clock.nowMs);
    expect(bench.intake.stats.pollSeconds).toBeCloseTo(5);
  });
});

test('an invalid record goes to its partition’s lane with its reason, and the ones behind it go on', async () => {
  const bad: SourceRecord = { topic: 't', partition: 1, offset: 0, value: null, key: Buffer.from('k') };
  const bench = started(new IntakeBench([[], [bad, recordOf(1, 1, 'a')]], 2, roomy));
  await bench.poll(10);
  expect(bench.feed.admitted.find(({ offset }) => offset === 0)).toMatchObject({
    lane: 1,
    tenant: '',
    bytes: 1,
  });
  expect(bench.feed.admitted.map(({ offset }) => offset).toSorted()).toEqual([0, 1]);
});

test('over any schedule of full lanes, missing schemas, a full ledger and re-read records: each exactly once, in order', async () => {
  const records = fc.array(
    fc.record({
      gap: fc.nat(2),
      tenant: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
      schema: fc.integer({ min: 1, max: 3 }),
    }),
    { maxLength: 40 },
  );
  const step = fc.record({
    max: fc.integer({ min: 0, max: 12 }),
    release: fc.nat(12),
    late: fc.boolean(),
    learn: fc.option(fc.integer({ min: 2, max: 3 })),
    mayAdmit: fc.boolean(),
    rewind: fc.nat(3),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(records, { minLength: 1, maxLength: 3 }),
      fc.array(step, { maxLength: 25 }),
      async (plans, steps) => {
        const logs = plans.map((plan, partition) => {
          let next = 0;
          return plan.map(({ gap, tenant, schema }) =>
            recordOf(partition, (next += gap + 1), tenant, schema),
          );
        });
        const bench = started(new IntakeBench(logs, 2, { maxRecords: 4, maxBytes: 60 }));
        for (const { max, release, late, learn, mayAdmit, rewind } of steps) {
          bench.mayAdmit = mayAdmit;
          if (learn !== null) bench.knownSchemas.add(learn);
          if (rewind > 0) bench.source.rewind(max % logs.length, rewind);
          await bench.poll(max);
          if (late) await bench.untilPolled();
          bench.release(release);
        }
        bench.mayAdmit = true;
        bench.knownSchemas.add(2).add(3);
        for (let turns = 0; turns < 1_000; turns++) {
          if (bench.source.isReadToTheEnd && bench.paused === 0 && bench.source.isPolled) break;
          await bench.poll(12);
          bench.release(100);
          await bench.untilPolled();
        }
        bench.release(1_000);
        bench.intake.stop();
        logs.forEach((log, partition) => {
          const offsets = log.map(({ offset }) => offset);
          expect(bench.offsetsOf(partition).toSorted((a, b) => a - b)).toEqual(offsets);
          for (const lane of [0, 1]) {
            const own = bench.feed.admitted.filter((one) => one.partition === partition && one.lane === lane);
            expect(own.map(({ offset }) => offset)).toEqual(
              own.map(({ offset }) => offset).toSorted((a, b) => a - b),
            );
          }
          const { frontier } = bench.assignments.find('t', partition)!;
          expect(frontier.position).toBe(offsets.length === 0 ? -1 : offsets.at(-1)! + 1);
        });
        const lanesOfTenants = new Set(bench.feed.admitted.map(({ lane, tenant }) => `${tenant}${lane}`));
        expect(lanesOfTenants.size).toBe(new Set(bench.feed.admitted.map(({ tenant }) => tenant)).size);
        expect([bench.gate.totalRecords, bench.gate.totalBytes]).toEqual([0, 0]);
        expect(bench.source.partitions.some(({ paused }) => paused)).toBe(false);
      },
    ),
    { numRuns: 150 },
  );
});
