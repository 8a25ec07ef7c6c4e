/**
 * Proves that rekeying loses nothing and repeats nothing while the process lives: each
 * record is produced until the broker has it, its source offset stays open until then,
 * records of a partition keep their order, and memory is bounded, whatever the broker,
 * the group and the registry do meanwhile.
 */
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { limits } from '../../src/domain/limits.ts';
import type { FieldMapping } from '../../src/domain/event.ts';
import type { OnAck, RecordProducer } from '../../src/domain/record-producer.ts';
import type { RecordHeader, SourceRecord } from '../../src/domain/record.ts';
import { rekeyedFrom } from '../../src/domain/rekeyed-from.ts';
import type { Assignment } from '../../src/ingest/assignment.ts';
import { Assignments } from '../../src/ingest/assignments.ts';
import { Peek, type RecordProjection } from '../../src/ingest/peek.ts';
import { Rekeyer } from '../../src/rekey/rekeyer.ts';
import { ManualClock } from '../domain/manual-clock.ts';
import { variantOf } from '../domain/planted-bug.ts';
import { FakeSource, recordOf } from '../ingest/intake-fakes.ts';

const MAPPING = { tenant: { from: 'avro', path: ['tenantId'] } } as unknown as FieldMapping;
const RETRY_MS = 500;
/** Longer than a full bound holds back the next poll. */
const LONGEST_HOLD_MS = 300;

interface Produced {
  readonly partition: number;
  /** Its place on the source. */
  readonly from: string;
  readonly onAck: OnAck;
}

/** A broker that answers when the test says. */
class FakeTarget implements RecordProducer {
  readonly pending: Produced[] = [];
  /** What the broker has, in the order of its acknowledgements. */
  readonly acknowledged: Produced[] = [];
  isFull = false;
  thrown: Error | null = null;

  produce(
    topic: string,
    partition: number,
    _key: Buffer | null,
    _value: Buffer | null,
    headers: readonly RecordHeader[],
    onAck: OnAck,
  ): boolean {
    expect(topic).toBe('rekeyed');
    if (this.thrown !== null) throw this.thrown;
    if (this.isFull) return false;
    const from = rekeyedFrom(headers);
    this.pending.push({ partition, from: `${from?.partition}/${from?.offset}`, onAck });
    return true;
  }

  acknowledge(count: number): void {
    for (const produced of this.pending.splice(0, count)) {
      this.acknowledged.push(produced);
      produced.onAck(null);
    }
  }

  refuse(count: number): void {
    const noLeader = Object.assign(new Error('no leader'), { code: 5 });
    for (const produced of this.pending.splice(0, count)) produced.onAck(noLeader);
  }
}

class RekeyBench {
  readonly clock = new ManualClock();
  readonly source: FakeSource;
  readonly target = new FakeTarget();
  readonly assignments = new Assignments();
  readonly knownSchemas = new Set([1]);
  readonly needed: number[] = [];
  readonly failures: string[] = [];
  readonly errors: string[] = [];
  readonly rekeyer: Rekeyer<Assignment>;

  constructor(logs: readonly (readonly SourceRecord[])[], Tested: typeof Rekeyer = Rekeyer) {
    this.source = new FakeSource(logs);
    logs.forEach((_, partition) => this.assignments.begin({ topic: 't', partition }));
    const range = { end: 0 };
    const projection: RecordProjection = {
      walk: (_value, _start, end) => {
        range.end = end;
        return 0;
      },
      tenantStart: () => 5,
      tenantEnd: () => range.end,
    };
    this.rekeyer = new Tested<Assignment>({
      source: this.source,
      target: this.target,
      partitions: this.assignments,
      topic: { name: 'rekeyed', partitions: 6, maxBytes: 10_000, maxValueBytes: 1_000 },
      finder: new Peek({ find: (id) => (this.knownSchemas.has(id) ? projection : 'unresolved') }, 1_000),
      mappingOf: () => MAPPING,
      headersOf: () => [],
      clock: this.clock,
      onSchemaNeeded: (schemaId) => this.needed.push(schemaId),
      onFailure: (message) => this.failures.push(message),
      onError: (message) => this.errors.push(message),
    });
    this.rekeyer.start();
  }

  /** One poll answered, and the next one asked for. */
  async poll(max: number, error: string | null = null): Promise<void> {
    if (!this.source.isPolled) await vi.advanceTimersByTimeAsync(LONGEST_HOLD_MS);
    this.source.answer(max, error);
    await vi.advanceTimersByTimeAsync(1);
  }

  /** As ownership does it. */
  revoke(partition: number): void {
    const assignment = this.assignments.find('t', partition);
    if (assignment === undefined) return;
    this.assignments.revoke(assignment);
    this.rekeyer.forget(assignment);
    this.assignments.end(assignment);
  }

  position(partition: number): number {
    return this.assignments.find('t', partition)?.frontier.position ?? -1;
  }

  get order(): string[] {
    return this.target.acknowledged.map(({ from }) => from);
  }
}

function logOf(partition: number, count: number, schemaId = 1): SourceRecord[] {
  return Array.from({ length: count }, (_, i) => recordOf(partition, 2 * i, `tenant-${i % 3}`, schemaId));
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe('a record', () => {
  test('settles on its source when the broker has it, not before', async () => {
    const bench = new RekeyBench([logOf(0, 3)]);
    await bench.poll(10);
    expect(bench.position(0)).toBe(0);
    bench.target.acknowledge(2);
    expect(bench.position(0)).toBe(4);
    bench.target.acknowledge(1);
    expect(bench.position(0)).toBe(5);
    expect(bench.rekeyer.stats).toEqual({ moved: 3, failed: 0, pending: 0, pendingBytes: 0 });
  });

  test('of one tenant goes to one partition, wherever it came from', async () => {
    const bench = new RekeyBench([[recordOf(0, 0, 'acme')], [recordOf(1, 7, 'acme')]]);
    await bench.poll(10);
    const partitions = new Set(bench.target.pending.map(({ partition }) => partition));
    expect(bench.target.pending).toHaveLength(2);
    expect(partitions.size).toBe(1);
  });

  test('that is refused is produced again, and nothing new before it', async () => {
    const bench = new RekeyBench([logOf(0, 5)]);
    await bench.poll(2);
    bench.target.refuse(2);
    await bench.poll(2);
    expect(bench.target.pending).toEqual([]);
    expect(bench.position(0)).toBe(0);
    expect(bench.rekeyer.health.lastError).toBe('no leader');
    await vi.advanceTimersByTimeAsync(RETRY_MS);
    await bench.poll(2);
    bench.target.acknowledge(10);
    await bench.poll(10);
    bench.target.acknowledge(10);
    expect(bench.order).toEqual(['0/0', '0/2', '0/4', '0/6', '0/8']);
    expect(bench.rekeyer.health.lastError).toBeNull();
    expect(bench.failures, 'one line for all that are refused at once').toHaveLength(1);
    expect(bench.rekeyer.stats).toMatchObject({ moved: 5, failed: 2, pending: 0 });
  });

  test('that the producer refuses to take is tried again, not lost', async () => {
    const bench = new RekeyBench([logOf(0, 1)]);
    bench.target.thrown = new Error('message too large');
    await bench.poll(10);
    expect(bench.rekeyer.health.lastError).toBe('message too large');
    bench.target.thrown = null;
    await vi.advanceTimersByTimeAsync(RETRY_MS);
    bench.target.acknowledge(1);
    expect(bench.position(0)).toBe(1);
  });
});

describe('a schema that nobody can tell now', () => {
  test('holds its partition back and no other, without a busy poll', async () => {
    const bench = new RekeyBench([[recordOf(0, 0, 'a', 9), recordOf(0, 1, 'a')], logOf(1, 4)]);
    await bench.poll(10);
    await bench.poll(10);
    bench.target.acknowledge(10);
    expect(bench.order).toEqual(['1/0', '1/2', '1/4', '1/6']);
    expect(bench.source.calls).toEqual(['pause 0']);
    expect(new Set(bench.needed)).toEqual(new Set([9]));
    bench.knownSchemas.add(9);
    bench.rekeyer.onSchemaKnown();
    bench.target.acknowledge(10);
    expect(bench.order.slice(4)).toEqual(['0/0', '0/1']);
    expect(bench.source.calls).toEqual(['pause 0', 'resume 0']);
  });
});

describe('a broker that acknowledges nothing', () => {
  test('stops the reading at a bound, and reading goes on when it does', async () => {
    const bench = new RekeyBench([logOf(0, 12_000)]);
    while (bench.rekeyer.stats.pending < limits.rekeyPendingRecords) await bench.poll(1_000);
    for (let i = 0; i < 20; i++) await bench.poll(1_000);
    expect(bench.rekeyer.stats.pending).toBe(limits.rekeyPendingRecords);
    expect(bench.source.calls).toEqual(['pause 0']);
    for (let i = 0; i < 200 && !bench.source.isReadToTheEnd; i++) {
      bench.target.acknowledge(1_000);
      await bench.poll(1_000);
    }
    bench.target.acknowledge(12_000);
    await bench.poll(1_000);
    bench.target.acknowledge(12_000);
    expect(bench.rekeyer.stats).toMatchObject({ moved: 12_000, pending: 0, pendingBytes: 0 });
  });

  test('shows in how long nothing was acknowledged, until something is', async () => {
    const bench = new RekeyBench([logOf(0, 4)]);
    expect(bench.rekeyer.health.waitingSinceMs).toBeNull();
    await bench.poll(2);
    const sinceMs = bench.clock.nowMs;
    bench.clock.nowMs += 5_000;
    await bench.poll(1);
    expect(bench.rekeyer.health).toMatchObject({ waitingSinceMs: sinceMs, lastPollMs: sinceMs + 5_000 });
    bench.target.acknowledge(1);
    expect(bench.rekeyer.health.waitingSinceMs).toBe(sinceMs + 5_000);
    bench.target.acknowledge(2);
    expect(bench.rekeyer.health.waitingSinceMs).toBeNull();
  });
});

test('while it drains it polls and takes nothing; stopped, it does neither', async () => {
  const bench = new RekeyBench([logOf(0, 9)]);
  await bench.poll(2);
  bench.rekeyer.stopTaking();
  await bench.poll(2);
  expect(bench.target.pending).toHaveLength(2);
  bench.target.acknowledge(2);
  expect(bench.position(0)).toBe(3);
  bench.rekeyer.stop();
  bench.source.answer(2);
  await vi.advanceTimersByTimeAsync(LONGEST_HOLD_MS);
  expect(bench.source.isPolled).toBe(false);
});

test('a poll that fails is told of, and polling goes on', async () => {
  const bench = new RekeyBench([logOf(0, 1)]);
  await bench.poll(1, 'broker away');
  await bench.poll(1);
  expect(bench.errors).toEqual(['broker away']);
  expect(bench.target.pending).toHaveLength(1);
});

type Step =
  | { readonly do: 'poll'; readonly max: number }
  | { readonly do: 'acknowledge' | 'refuse'; readonly count: number }
  | { readonly do: 'rewind'; readonly partition: number; readonly by: number }
  | { readonly do: 'revoke'; readonly partition: number }
  | { readonly do: 'fill' | 'learn' | 'wait' };

const PARTITIONS = 3;
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant('poll' as const), max: fc.integer({ min: 1, max: 8 }) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('acknowledge' as const), count: fc.integer({ min: 1, max: 6 }) }),
  },
  fc.record({ do: fc.constant('refuse' as const), count: fc.integer({ min: 1, max: 4 }) }),
  fc.record({
    do: fc.constant('rewind' as const),
    partition: fc.nat(PARTITIONS - 1),
    by: fc.integer({ min: 1, max: 4 }),
  }),
  fc.record({ do: fc.constant('revoke' as const), partition: fc.constant(0) }),
  fc.constantFrom<Step>({ do: 'fill' }, { do: 'learn' }, { do: 'wait' }, { do: 'wait' }),
);
const logs = fc.tuple(
  ...Array.from({ length: PARTITIONS }, (_, partition) =>
    fc
      .array(fc.constantFrom(1, 1, 1, 1, 2), { maxLength: 20 })
      .map((schemas) =>
        schemas.map((schemaId, i) => recordOf(partition, 3 * i, `tenant-${i % 4}`, schemaId)),
      ),
  ),
);

async function run(bench: RekeyBench, steps: readonly Step[], log: readonly SourceRecord[][]): Promise<void> {
  for (const next of steps) {
    if (next.do === 'poll') await bench.poll(next.max);
    else if (next.do === 'acknowledge') bench.target.acknowledge(next.count);
    else if (next.do === 'refuse') bench.target.refuse(next.count);
    else if (next.do === 'rewind') bench.source.rewind(next.partition, next.by);
    else if (next.do === 'revoke') bench.revoke(next.partition);
    else if (next.do === 'fill') bench.target.isFull = !bench.target.isFull;
    else if (next.do === 'wait') await vi.advanceTimersByTimeAsync(RETRY_MS);
    else {
      bench.knownSchemas.add(2);
      bench.rekeyer.onSchemaKnown();
    }
    checkPositions(bench, log);
    expect(bench.rekeyer.stats.pending).toBeLessThanOrEqual(SMALL_BOUND);
  }
}

/** Nothing before a position may be missing at the broker. */
function checkPositions(bench: RekeyBench, log: readonly SourceRecord[][]): void {
  const acknowledged = new Set(bench.order);
  log.forEach((records, partition) => {
    const position = bench.position(partition);
    const missing = records.filter(
      ({ offset }) => offset < position && !acknowledged.has(`${partition}/${offset}`),
    );
    expect(missing).toEqual([]);
  });
}

/** Everything answers again: what is left must go through. */
async function heal(bench: RekeyBench): Promise<void> {
  bench.target.isFull = false;
  bench.knownSchemas.add(2);
  bench.rekeyer.onSchemaKnown();
  for (let i = 0; i < 60; i++) {
    bench.target.acknowledge(1_000);
    await vi.advanceTimersByTimeAsync(RETRY_MS);
    await bench.poll(50);
  }
}

const SMALL_BOUND = 8;

/** With a small bound, so that it is reached. */
async function smallVariant(...changes: Parameters<typeof variantOf>[1][]): Promise<typeof Rekeyer> {
  const bound = ['rekeyPendingRecords: 10_000', `rekeyPendingRecords: ${SMALL_BOUND}`, 'domain/limits.ts'];
  const module = await variantOf<{ Rekeyer: typeof Rekeyer }>(
    'rekey/rekeyer.ts',
    bound as unknown as Parameters<typeof variantOf>[1],
    ...changes,
  );
  return module.Rekeyer;
}

async function check(
  Tested: typeof Rekeyer,
  parameters: fc.Parameters<[SourceRecord[][], Step[]]>,
): Promise<void> {
  await fc.assert(
    fc.asyncProperty(logs, fc.array(step, { maxLength: 60 }), async (log, steps) => {
      const bench = new RekeyBench(log, Tested);
      await run(bench, steps, log);
      await heal(bench);
      checkPositions(bench, log);
      const owned = [0, 1, 2].filter((partition) => bench.assignments.find('t', partition) !== undefined);
      for (const partition of owned) {
        const wanted = log[partition]!.map(({ offset }) => `${partition}/${offset}`);
        const got = bench.order.filter((from) => from.startsWith(`${partition}/`));
        const wasRefused = steps.some((taken) => taken.do === 'refuse');
        // What was on its way behind a refused record is there before it; nothing that was read later is.
        expect(wasRefused ? got.sort() : got).toEqual(wasRefused ? wanted.sort() : wanted);
      }
      const { pending, pendingBytes } = bench.rekeyer.stats;
      expect({ pending, pendingBytes }).toEqual({ pending: 0, pendingBytes: 0 });
      bench.rekeyer.stop();
    }),
    parameters,
  );
}

test('whatever happens meanwhile, each record of an owned partition arrives once, in order, and no position passes one that did not', async () => {
  await check(await smallVariant(), { numRuns: 100 });
});

test.each([
  ['a refusal settles the record', ['else this.#refuse(move, error.message);', 'else this.#settle(move);']],
  ['a stash is overtaken', ['if (!held.isBlocked) {', 'if (held.id > 0) {']],
  ['a record read again is moved again', ['record.offset <= held.lastRead', 'record.offset < held.lastRead']],
  ['a pause is never taken back', ['if (this.#paused.delete(held)) toResume.push(held);', '']],
  [
    'no bound holds',
    ['pending < MAX_RECORDS && pendingBytes < MAX_BYTES', 'pending >= 0 && pendingBytes >= 0'],
  ],
  ['a full queue loses the record', ['if (!isTaken) this.#again(move);', 'if (!isTaken) this.#letGo(move);']],
  ['what ended is counted for ever', ['=== undefined) this.#letGo(waiting);', '=== undefined) continue;']],
] as const)('the property catches that %s', async (_, change) => {
  const planted = await smallVariant(change);
  await expect(check(planted, { numRuns: 300, endOnFailure: true })).rejects.toThrow();
});
