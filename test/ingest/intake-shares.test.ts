/**
 * Proves that a tenant, or the retries, which hold their share of a lane stop their
 * own partition and no other: polling waits for it a moment and once, nothing is lost or
 * admitted out of order, and the partition is not paused and resumed all the time.
 */
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { SourceRecord } from '../../src/domain/record.ts';
import type { LaneShares } from '../../src/ingest/lane-shares.ts';
import { variantOf } from '../domain/planted-bug.ts';
import { IntakeBench, recordOf, retryRecordOf, type Admitted } from './intake-fakes.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
});

afterEach(() => {
  vi.useRealTimers();
});

const bounds = { maxRecords: 16, maxBytes: 1e9 };
/** The longest that polling waits for what a share alone refuses. */
const SHARE_HOLD_MS = 25;

function logOf(partition: number, tenants: readonly string[]): SourceRecord[] {
  return tenants.map((tenant, offset) => recordOf(partition, offset, tenant));
}

function started(...args: ConstructorParameters<typeof IntakeBench>): IntakeBench {
  const bench = new IntakeBench(...args);
  bench.intake.start();
  return bench;
}

/** What the lanes hold: the feed's records but the ones that the test let go of. */
function heldOf(bench: IntakeBench, released: number, isOwn: (one: Admitted) => boolean): number {
  return bench.feed.admitted.slice(released).filter(isOwn).length;
}

describe('a tenant that floods its partition', () => {
  const flood = (records: number): SourceRecord[] => logOf(0, new Array<string>(records).fill('a'));

  test('is admitted up to its share; polling waits for it a moment, once, and others are admitted as they come', async () => {
    const bench = started([flood(100), logOf(1, ['b', 'c', 'b', 'c', 'b'])], 1, bounds, [], { tenant: 0.5 });
    await bench.poll(30);
    // Of 16 places others have 5 and 2 are kept for those with little: it has 4 of each 7 that are left.
    expect([bench.offsetsOf(0).length, bench.offsetsOf(1).length]).toEqual([6, 5]);
    expect(await bench.untilPolled()).toBe(SHARE_HOLD_MS);
    for (let polls = 0; polls < 3; polls++) {
      await bench.poll(30);
      // The next poll is asked for without any time passing.
      expect([bench.source.isPolled, bench.source.calls]).toEqual([true, []]);
    }
    expect(bench.offsetsOf(0)).toHaveLength(6);
  });

  test('is waited for again once it was refused for a moment only', async () => {
    const bench = started([flood(60)], 1, bounds, [], { tenant: 0.5 });
    await bench.poll(20);
    expect(await bench.untilPolled()).toBe(SHARE_HOLD_MS);
    for (let turns = 0; turns < 4; turns++) bench.release(8);
    expect(bench.offsetsOf(0)).toHaveLength(20);
    await bench.poll(20);
    expect([bench.offsetsOf(0).length, bench.source.isPolled]).toEqual([28, true]);
    for (let turns = 0; turns < 4; turns++) bench.release(8);
    await bench.poll(20);
    expect(await bench.untilPolled()).toBe(SHARE_HOLD_MS);
  });

  test('beside another one leaves room for those that have little', async () => {
    const other = logOf(1, new Array<string>(100).fill('b'));
    const quiet = logOf(2, ['c', 'd', 'e', 'f']);
    const bench = started([flood(100), other, quiet], 1, bounds, [], { tenant: 0.5 });
    await bench.poll(300);
    expect(bench.offsetsOf(2)).toHaveLength(4);
    expect(await bench.untilPolled()).toBe(SHARE_HOLD_MS);
  });

  test('is let in again as soon as a lane reports what it had, while a poll is open', async () => {
    const bench = started([flood(100)], 1, bounds, [], { tenant: 0.5 });
    await bench.poll(30);
    expect(bench.offsetsOf(0)).toHaveLength(8);
    bench.release(3);
    expect(bench.offsetsOf(0)).toEqual(Array.from({ length: 11 }, (_, i) => i));
  });

  test('has its partition paused once its stash is large, and resumed when that is empty: once in thousands of records', async () => {
    const records = 40_000;
    const bench = started([flood(records), []], 1, { maxRecords: 1_000, maxBytes: 1e9 }, [], { tenant: 0.5 });
    let heldMs = 0;
    for (let turns = 0; turns < 2_000 && bench.feed.admitted.length < records; turns++) {
      heldMs += await bench.untilPolled();
      await bench.poll(2_000);
      expect(bench.assignments.find('t', 0)!.stashed).toBeLessThanOrEqual(8_192 + 2_000);
      bench.clock.nowMs += 10;
      bench.release(120);
    }
    expect(heldMs).toBe(SHARE_HOLD_MS);
    expect(bench.offsetsOf(0)).toEqual(Array.from({ length: records }, (_, i) => i));
    const { calls } = bench.source;
    expect(calls.filter((_, i) => i % 2 === 0).every((call) => call === 'pause 0')).toBe(true);
    expect([calls.length >= 2, calls.length <= (2 * records) / 8_192 + 2]).toEqual([true, true]);
  });

  test('does not keep a held back partition of another tenant from holding back the poll', async () => {
    const bench = started([flood(20), logOf(1, ['b', 'c', 'd'])], 1, { maxRecords: 6, maxBytes: 1e9 }, [], {
      tenant: 0.7,
    });
    await bench.poll(30);
    expect([bench.offsetsOf(0).length, bench.offsetsOf(1).length]).toEqual([3, 3]);
    bench.release(0);
    expect(bench.source.isPolled).toBe(false);
    await bench.untilPolled();
    expect(bench.source.isPolled).toBe(true);
  });

  test('that is given up is not left blocked', async () => {
    const bench = started([flood(30)], 1, bounds, [], { tenant: 0.5 });
    await bench.poll(30);
    const assignment = bench.assignments.find('t', 0)!;
    bench.assignments.revoke(assignment);
    bench.intake.forget(assignment);
    bench.assignments.end(assignment);
    bench.admission.end(assignment);
    expect(bench.shares.heldOfLane(0)).toEqual([0, 0]);
    bench.release(8);
    expect([bench.offsetsOf(0).length, bench.source.calls]).toEqual([8, []]);
  });
});

describe('retries', () => {
  const T0 = 1_000_000;
  const due = (partition: number, records: number): SourceRecord[] =>
    Array.from({ length: records }, (_, offset) => retryRecordOf(partition, offset, T0 - 2_000, T0 - 1));

  test('fill no more than their class’s share, and hold back polling for a moment only, first attempts never', async () => {
    const bench = started([due(0, 20), logOf(1, ['b', 'c', 'd'])], 1, bounds, [1_000, null], { retry: 0.5 });
    await bench.poll(30);
    expect([bench.offsetsOf(0).length, bench.offsetsOf(1).length]).toEqual([8, 3]);
    expect([await bench.untilPolled(), bench.source.calls]).toEqual([SHARE_HOLD_MS, []]);
  });

  test('come in while first attempts are at theirs', async () => {
    const tenants = Array.from({ length: 30 }, (_, i) => `t${i}`);
    const bench = started([due(0, 2), logOf(1, tenants)], 1, bounds, [1_000, null], { first: 0.875 });
    await bench.poll(40);
    expect([bench.offsetsOf(0).length, bench.offsetsOf(1).length]).toEqual([2, 14]);
    // Full of first attempts is what full load is: it holds back the poll and throws no prefetch away.
    expect([bench.source.isPolled, bench.source.calls]).toEqual([false, []]);
  });
});

test('a tenant in two partitions is told of', async () => {
  const bench = started([logOf(0, ['a', 'b']), logOf(1, ['b', 'c', 'b'])], 2, bounds);
  await bench.poll(10);
  expect(bench.splitTenants).toEqual([{ tenant: 'b', partitions: [1, 0] }]);
});

const plan = fc.record({
  /** By partition; each has tenants of its own, few of them in some and many in others. */
  logs: fc.array(
    fc.integer({ min: 0, max: 5 }).chain((most) => fc.array(fc.nat(most), { minLength: 20, maxLength: 120 })),
    { minLength: 2, maxLength: 3 },
  ),
  steps: fc.array(fc.record({ max: fc.nat(20), release: fc.nat(4) }), { minLength: 10, maxLength: 30 }),
});

type Plan = typeof plan extends fc.Arbitrary<infer T> ? T : never;

/** Partition 0 is of a delay topic whose records are all due; the others are sources. */
function property(Counts?: typeof LaneShares): fc.IAsyncProperty<[Plan]> {
  return fc.asyncProperty(plan, async ({ logs: tenants, steps }) => {
    const logs = tenants.map((own, partition) =>
      own.map((tenant, offset) => ({
        ...recordOf(partition, offset, `${partition}${tenant}`),
        timestamp: 0,
        headers: partition === 0 ? [{ due: Buffer.from('1') }] : [],
      })),
    );
    const shares = { tenant: 0.25, first: 0.75, retry: 0.5, ...(Counts === undefined ? {} : { Counts }) };
    const bench = started(logs, 1, { maxRecords: 40, maxBytes: 1e9 }, [1], shares);
    let released = 0;
    const step = async (max: number, release: number): Promise<void> => {
      // A full lane, or one that is full of first attempts, may hold back the poll.
      const first = heldOf(bench, released, ({ partition }) => partition !== 0);
      const isFull = !bench.gate.isOpen(0) || first >= 22;
      const heldMs = await bench.untilPolled();
      if (!isFull && heldMs > SHARE_HOLD_MS) throw new Error('polling waits');
      await bench.poll(max);
      bench.release(release);
      released = Math.min(released + release, bench.feed.admitted.length);
    };
    for (const { max, release } of steps) {
      await step(max, release);
      const held = bench.feed.admitted.slice(released);
      for (const { tenant } of held) {
        if (held.filter((one) => one.tenant === tenant).length > 10) throw new Error(`too much of ${tenant}`);
      }
      const retries = held.filter(({ partition }) => partition === 0).length;
      if (retries > 20 || held.length - retries > 30) throw new Error('too much of a class');
    }
    for (let turns = 0; turns < 200; turns++) await step(20, 20);
    bench.release(1_000);
    bench.intake.stop();
    logs.forEach((log, partition) => {
      expect(bench.offsetsOf(partition)).toEqual(log.map(({ offset }) => offset));
    });
    expect(bench.shares.heldOfLane(0)).toEqual([0, 0]);
    expect(bench.source.partitions.some(({ paused }) => paused)).toBe(false);
  });
}

test('over any floods: within every share, each record once and in order, and no poll waits long for a share', async () => {
  await fc.assert(property(), { numRuns: 60 });
});

test.each([
  ['shares that hold back the poll', "? null : 'share';", "? null : 'bound';"],
  ['tenants that nothing bounds', 'return this.#mayHoldMore(lane, holder, cls)', 'return true'],
  ['what is reported stays counted', 'this.#tenants.add(holder, cls, -1, -bytes);', ''],
])('the property catches %s', async (_, right, wrong) => {
  const broken = await variantOf<{ LaneShares: typeof LaneShares }>('ingest/lane-shares.ts', [right, wrong]);
  const { failed } = await fc.check(property(broken.LaneShares), {
    seed: 1,
    numRuns: 100,
    endOnFailure: true,
  });
  expect(failed).toBe(true);
});
