/**
 * Proves that what is in the overflow is stored in its order, at least once whatever fails or dies, and that an offset
 * is committed only when all before it is stored; and that no more than a share of the time goes to it.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { SourceRecord, TopicPartition, TopicPartitionOffset } from '../../src/domain/record.ts';
import { OverflowDrainer, type DrainSource } from '../../src/overflow/drainer.ts';
import { overflowHeaders, overflowRowsOf } from '../../src/overflow/overflow-record.ts';
import { variantOf } from '../domain/planted-bug.ts';
import { SimulatedTime } from '../ledger/simulated-time.ts';

type DrainerClass = typeof OverflowDrainer;

const TOPIC = 'overflow';

/** The topic and its group: what is committed outlives the drainers. */
class Topic {
  readonly committed: number[];
  readonly records: SourceRecord[][];
  constructor(lengths: readonly number[]) {
    this.committed = lengths.map(() => 0);
    this.records = lengths.map((length, partition) =>
      Array.from({ length }, (_, offset) => recordOf(partition, offset)),
    );
  }
}

function recordOf(partition: number, offset: number): SourceRecord {
  const headers = overflowHeaders({ table: 'attempts', token: 'f', rows: 2, columns: ['a'] });
  return {
    topic: TOPIC,
    partition,
    offset,
    value: Buffer.from(`${partition}/${offset}`),
    headers: headers.map(([name, value]) => ({ [name]: Buffer.from(value) })),
  };
}

/** One member of the group. */
class Member implements DrainSource {
  readonly owned = new Set<number>();
  readonly paused = new Set<number>();
  readonly positions = new Map<number, number>();
  isAlive = true;
  readonly #topic: Topic;
  readonly #time: SimulatedTime;
  constructor(topic: Topic, time: SimulatedTime) {
    this.#topic = topic;
    this.#time = time;
  }
  poll(max: number, callback: (error: string | null, records: readonly SourceRecord[]) => void): void {
    this.#time.set(() => {
      const records: SourceRecord[] = [];
      for (const partition of this.owned) {
        if (this.paused.has(partition)) continue;
        const position = this.positions.get(partition) ?? 0;
        const record = this.#topic.records[partition]?.[position];
        if (record === undefined || records.length === max) continue;
        this.positions.set(partition, position + 1);
        records.push(record);
      }
      callback(null, records);
    }, 1);
  }
  pause(places: readonly TopicPartition[]): void {
    for (const { partition } of places) this.paused.add(partition);
  }
  resume(places: readonly TopicPartition[]): void {
    for (const { partition } of places) this.paused.delete(partition);
  }
  commit(offsets: readonly TopicPartitionOffset[]): void {
    if (!this.isAlive) return;
    for (const { partition, offset } of offsets) this.#topic.committed[partition] = offset;
  }
  highWatermark(_: string, partition: number): number {
    return this.#topic.records[partition]?.length ?? -1;
  }
  assign(partitions: readonly number[]): TopicPartition[] {
    for (const partition of partitions) {
      this.owned.add(partition);
      this.positions.set(partition, this.#topic.committed[partition] ?? 0);
    }
    return partitions.map((partition) => ({ topic: TOPIC, partition }));
  }
  revoke(partitions: readonly number[]): TopicPartition[] {
    for (const partition of partitions) this.owned.delete(partition);
    return partitions.map((partition) => ({ topic: TOPIC, partition }));
  }
}

interface Plan {
  readonly lengths: readonly number[];
  /** Of each try to store: how long it takes, and whether it fails, having stored or not. */
  readonly tries: readonly { readonly takesMs: number; readonly fails: boolean; readonly stores: boolean }[];
  /** At such times the member dies, or loses a partition to the next one. */
  readonly changes: readonly { readonly afterMs: number; readonly dies: boolean }[];
}

const anyPlan: fc.Arbitrary<Plan> = fc.record({
  lengths: fc.array(fc.nat(6), { minLength: 1, maxLength: 3 }),
  tries: fc.array(fc.record({ takesMs: fc.nat(4_000), fails: fc.boolean(), stores: fc.boolean() }), {
    maxLength: 12,
  }),
  changes: fc.array(fc.record({ afterMs: fc.nat(8_000), dies: fc.boolean() }), { maxLength: 4 }),
});

function drains(Class: DrainerClass): (plan: Plan) => Promise<void> {
  return async ({ lengths, tries, changes }) => {
    const time = new SimulatedTime();
    const topic = new Topic(lengths);
    const stored = lengths.map(() => new Set<number>());
    const left = [...tries];
    const failures: string[] = [];
    const all = lengths.map((_, partition) => partition);
    const open = (): { member: Member; drainer: OverflowDrainer } => {
      const member = new Member(topic, time);
      const commit = member.commit.bind(member);
      member.commit = (offsets) => {
        for (const { partition, offset } of offsets) {
          for (let i = 0; i < offset; i++)
            if (!(stored[partition]?.has(i) ?? false))
              failures.push(`${partition}/${i} is committed, not stored`);
        }
        commit(offsets);
      };
      const drainer = new Class({
        source: member,
        store: async ({ bytes }) => {
          const [partition = 0, offset = 0] = Buffer.from(bytes).toString().split('/').map(Number);
          const { takesMs, fails, stores } = left.shift() ?? { takesMs: 1, fails: false, stores: true };
          await new Promise<void>((resolve) => time.set(resolve, takesMs));
          if (!fails || stores) {
            for (let i = 0; i < offset; i++)
              if (!(stored[partition]?.has(i) ?? false)) failures.push(`${partition}/${offset} before ${i}`);
            stored[partition]?.add(offset);
          }
          if (fails) throw new Error('ledger down');
        },
        share: 0.5,
        clock: time,
        pause: (delayMs) => new Promise((resolve) => time.set(resolve, delayMs)),
        retryDelayMs: () => 700,
        onFailure: () => undefined,
        onForeign: () => undefined,
        onDrained: () => undefined,
      });
      return { member, drainer };
    };
    let current = open();
    current.drainer.onAssign(current.member.assign(all));
    current.drainer.start();
    for (const { afterMs, dies } of changes) {
      await time.advance(afterMs);
      const next = open();
      if (dies) {
        current.member.isAlive = false;
        current.member.owned.clear();
      } else {
        current.drainer.onRevoke(current.member.revoke(all));
      }
      void current.drainer.stop();
      next.drainer.onAssign(next.member.assign(all));
      next.drainer.start();
      current = next;
    }
    for (let i = 0; i < 50 && String(topic.committed) !== String(lengths); i++) await time.advance(5_000);
    expect(failures).toEqual([]);
    expect(stored.map((offsets) => offsets.size)).toEqual(lengths);
    expect(topic.committed).toEqual(lengths);
    expect(current.drainer.lag()).toBe(0);
    void current.drainer.stop();
  };
}

test('any failures, deaths and moves', async () => {
  await fc.assert(fc.asyncProperty(anyPlan, drains(OverflowDrainer)), { numRuns: 60 });
});

describe('the property catches', () => {
  const imports = [
    `import { overflowRowsOf, type OverflowRows } from './overflow-record.ts';`,
    `const overflowRowsOf = (record) => ({ rows: 2, bytes: record.value });`,
  ] as const;
  test.each([
    {
      bug: 'a record given up that is committed',
      from: 'if (tookMs === null) return;',
      to: '',
    },
    {
      bug: 'a failure that counts as stored',
      from: 'this.#options.onFailure(error);\n        await this.#pauseUnlessOver',
      to: 'return 0;\n        await this.#pauseUnlessOver',
    },
    {
      bug: 'a commit that is one short',
      from: 'partition: record.partition, offset: record.offset + 1',
      to: 'partition: record.partition, offset: record.offset',
    },
    {
      bug: 'a commit that is one too far',
      from: 'partition: record.partition, offset: record.offset + 1',
      to: 'partition: record.partition, offset: record.offset + 2',
    },
    { bug: 'partitions that stay paused', from: 'source.resume(ownedPlaces());', to: '' },
  ])('$bug', async ({ from, to }) => {
    const { OverflowDrainer: planted } = await variantOf<{ OverflowDrainer: DrainerClass }>(
      'overflow/drainer.ts',
      imports,
      [from, to],
    );
    await expect(
      fc.assert(fc.asyncProperty(anyPlan, drains(planted)), { seed: 1, numRuns: 60, endOnFailure: true }),
    ).rejects.toThrow();
  });
});

describe('one drainer', () => {
  function setUp({ lengths = [10], share = 0.25, takesMs = 100, awayMs = 0 } = {}) {
    const time = new SimulatedTime();
    const topic = new Topic(lengths);
    const member = new Member(topic, time);
    const startedMs: number[] = [];
    const drained: number[] = [];
    const foreign: number[] = [];
    const drainer = new OverflowDrainer({
      source: member,
      store: () => {
        if (time.monotonicMs() < awayMs) return Promise.reject(new Error('ledger down'));
        startedMs.push(time.monotonicMs());
        return new Promise((resolve) => time.set(resolve, takesMs));
      },
      share,
      clock: time,
      pause: (delayMs) => new Promise((resolve) => time.set(resolve, delayMs)),
      retryDelayMs: () => 700,
      onFailure: () => undefined,
      onForeign: ({ offset }) => foreign.push(offset),
      onDrained: (rows) => drained.push(rows),
    });
    drainer.onAssign(member.assign(lengths.map((_, i) => i)));
    drainer.start();
    return { time, topic, member, drainer, startedMs, drained, foreign };
  }

  test('takes no more than its share of the time', async () => {
    const { time, startedMs, drainer } = setUp();
    await time.advance(10_000);
    expect(startedMs).toHaveLength(10);
    const gaps = startedMs.slice(1).map((atMs, i) => atMs - (startedMs[i] as number));
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(400);
    expect(Math.max(...gaps)).toBeLessThan(420);
    void drainer.stop();
  });

  test('counts no outage as time that it took: it drains as soon as the ledger is back', async () => {
    const { time, startedMs, drainer } = setUp({ awayMs: 600_000 });
    await time.advance(610_000);
    expect(startedMs).toHaveLength(10);
    void drainer.stop();
  });

  test('polls while an insert takes long, or the group would evict it, and holds no further record meanwhile', async () => {
    const { time, member, drainer, topic } = setUp({ takesMs: 60_000, share: 1, lengths: [2, 2] });
    let polls = 0;
    const poll = member.poll.bind(member);
    member.poll = (max, callback) => {
      polls++;
      poll(max, callback);
    };
    await time.advance(30_000);
    expect(polls).toBeGreaterThan(50);
    expect([...member.positions.values()].reduce((sum, position) => sum + position, 0)).toBeLessThanOrEqual(
      2,
    );
    await time.advance(300_000);
    expect(topic.committed).toEqual([2, 2]);
    void drainer.stop();
  });

  test('tells when nothing is left, once', async () => {
    const { time, drained, drainer } = setUp({ lengths: [3] });
    await time.advance(20_000);
    expect(drained).toEqual([6]);
    expect(drainer.stats).toMatchObject({ records: 3, rows: 6, failures: 0 });
    void drainer.stop();
  });

  test('passes over what nobody of us wrote, and says so', async () => {
    const { time, topic, foreign, drainer } = setUp({ lengths: [3] });
    topic.records[0]![1] = { ...recordOf(0, 1), headers: [] };
    expect(overflowRowsOf(topic.records[0]![1])).toBeNull();
    await time.advance(20_000);
    expect([foreign, topic.committed]).toEqual([[1], [3]]);
    void drainer.stop();
  });

  test('stops when what it works on is done', async () => {
    const { time, topic, drainer } = setUp({ takesMs: 1_500 });
    await time.advance(500);
    let isStopped = false;
    void drainer.stop().then(() => {
      isStopped = true;
    });
    await time.advance(900);
    expect(isStopped).toBe(false);
    await time.advance(1_000);
    expect([isStopped, topic.committed]).toEqual([true, [1]]);
    expect(time.timers).toBe(0);
  });
});
