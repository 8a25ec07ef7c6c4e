/**
 * Proves that the shares are back to nothing when everything was reported or its
 * assignment has ended, whatever comes when: reports of ended epochs, records that
 * never went to a lane, a thread that dies with what it held.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { WORD, WORDS } from '../../src/domain/batch-layout.ts';
import { Admission } from '../../src/ingest/admission.ts';
import type { Assignment } from '../../src/ingest/assignment.ts';
import { Assignments } from '../../src/ingest/assignments.ts';
import { FlowGate } from '../../src/ingest/flow-gate.ts';
import { LaneShares } from '../../src/ingest/lane-shares.ts';
import { RetainedBatches } from '../../src/lanes/retained-batches.ts';

const LANES = 2;
const bounds = { maxRecords: 30, maxBytes: 3_000 };
const TENANTS = [11, 22, 33];

interface Held {
  readonly lane: number;
  readonly tenant: number;
  readonly assignment: Assignment;
  readonly sequence: number;
  readonly bytes: number;
}

/** Admission with the pool's memory of what lanes hold, and lanes that report when the test says. */
class Bench {
  readonly assignments = new Assignments((topic) => (topic === 'delay' ? 1_000 : null));
  readonly gate = new FlowGate(LANES, bounds);
  readonly shares = new LaneShares(LANES, bounds, { tenant: 0.5, first: 0.875, retry: 0.5 }, 64);
  readonly admission = new Admission(this.assignments, this.gate, this.shares);
  readonly retained = new RetainedBatches(LANES);
  readonly owned = ['source', 'delay'].map((topic) => this.assignments.begin({ topic, partition: 0 }));
  /** What the lanes' threads hold, records of ended assignments included. */
  held: Held[] = [];
  #offset = 0;

  /** @returns false when it was refused. */
  offer(which: number, tenant: number, bytes: number): boolean {
    const assignment = this.owned[which]!;
    const lane = tenant % LANES;
    const holder = this.admission.holderOf(lane, tenant);
    if (assignment.frontier.isFull || this.admission.refusal(lane, holder, assignment) !== null) return false;
    const sequence = assignment.frontier.admit(++this.#offset);
    this.admission.admit(assignment, sequence, lane, holder, bytes);
    this.retained.keep(lane, packed(assignment.id, sequence, bytes), 1);
    this.held.push({ lane, tenant, assignment, sequence, bytes });
    return true;
  }

  /** A hop: admitted to the frontier, and to no lane. */
  hop(): void {
    const { frontier } = this.owned[1]!;
    if (!frontier.isFull) frontier.release(frontier.admit(++this.#offset));
  }

  /** A lane reports one of its records: as done, or as let go of when the assignment has ended. */
  report(rank: number): void {
    const one = this.held[rank % Math.max(1, this.held.length)];
    if (one === undefined) return;
    this.held = this.held.filter((other) => other !== one);
    const { assignment, sequence, lane, bytes } = one;
    this.#settle(lane, assignment.state === 'ended' ? [] : [assignment.id, sequence], { records: 1, bytes });
    if (assignment.state !== 'ended') assignment.frontier.release(sequence);
  }

  /** A report that crossed the end of its epoch. */
  reportLate(rank: number): void {
    const one = this.held[rank % Math.max(1, this.held.length)];
    if (one?.assignment.state !== 'ended') return;
    this.held = this.held.filter((other) => other !== one);
    this.#settle(one.lane, [one.assignment.id, one.sequence], { records: 1, bytes: one.bytes });
  }

  end(which: number): void {
    const old = this.owned[which]!;
    this.assignments.revoke(old);
    this.assignments.end(old);
    this.admission.end(old);
    this.retained.forget([old.id]);
    this.owned[which] = this.assignments.begin(old);
  }

  /** A thread dies; what it had of assignments that last is given to the next one. */
  restart(lane: number): void {
    const lost = this.retained.handOn(lane);
    this.held = this.held.filter((one) => one.lane !== lane || one.assignment.state !== 'ended');
    this.admission.settle(new Uint32Array(0));
    this.admission.release(lane, lost.records, lost.bytes);
  }

  #settle(lane: number, pairs: readonly number[], released: { records: number; bytes: number }): void {
    this.retained.release(lane, Uint32Array.from(pairs), released);
    this.admission.settle(Uint32Array.from(pairs));
    this.admission.release(lane, released.records, released.bytes);
  }

  /** Records and bytes of a tenant, by the shares and by what its lane holds for assignments that last. */
  countsOf(tenant: number): readonly [counted: readonly number[], held: readonly number[]] {
    const own = this.held.filter((one) => one.tenant === tenant && one.assignment.state !== 'ended');
    return [
      this.shares.held(this.admission.holderOf(tenant % LANES, tenant)),
      [own.length, own.reduce((sum, { bytes }) => sum + bytes, 0)],
    ];
  }
}

/** A batch of one record, which is its tenant's name and nothing else. */
function packed(assignment: number, sequence: number, bytes: number): ArrayBuffer {
  const buffer = new ArrayBuffer(WORDS * 4 + bytes);
  const words = new Uint32Array(buffer, 0, WORDS);
  words[WORD.assignment] = assignment;
  words[WORD.sequence] = sequence;
  words[WORD.tenantBytes] = bytes;
  for (const absent of [WORD.keyBytes, WORD.headersBytes, WORD.valueBytes]) words[absent] = 0xffff_ffff;
  return buffer;
}

describe('a lane whose thread dies', () => {
  test('still holds its tenants’ shares, since the next thread is given the same records', () => {
    const bench = new Bench();
    while (bench.offer(0, 22, 10));
    expect(bench.held).toHaveLength(13);
    bench.restart(0);
    expect(bench.offer(0, 22, 10)).toBe(false);
    for (let i = 0; i < 13; i++) bench.report(0);
    expect([bench.countsOf(22), bench.gate.records(0)]).toEqual([
      [
        [0, 0],
        [0, 0],
      ],
      0,
    ]);
  });
});

test('the end of an assignment gives its share back at once, though a lane holds its records still', () => {
  const bench = new Bench();
  while (bench.offer(0, 22, 10));
  bench.end(0);
  expect(bench.countsOf(22)[0]).toEqual([0, 0]);
  expect(bench.gate.records(0)).toBe(13);
  expect(bench.offer(0, 22, 10)).toBe(true);
});

const step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('offer' as const),
      which: fc.nat(1),
      tenant: fc.constantFrom(...TENANTS),
      bytes: fc.integer({ min: 1, max: 300 }),
    }),
  },
  { weight: 6, arbitrary: fc.record({ kind: fc.constantFrom('report', 'late'), rank: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('end', 'restart'), rank: fc.nat(1) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('hop' as const) }) },
);

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

function take(bench: Bench, now: Step): void {
  if ('tenant' in now) bench.offer(now.which, now.tenant, now.bytes);
  else if (!('rank' in now)) bench.hop();
  else if (now.kind === 'report') bench.report(now.rank);
  else if (now.kind === 'late') bench.reportLate(now.rank);
  else if (now.kind === 'end') bench.end(now.rank);
  else bench.restart(now.rank);
}

function follows(bench: Bench, steps: readonly Step[]): void {
  for (const now of steps) {
    take(bench, now);
    for (const tenant of TENANTS) {
      const [counted, held] = bench.countsOf(tenant);
      if (String(counted) !== String(held)) expect(counted).toEqual(held);
    }
  }
  while (bench.held.length > 0) bench.report(0);
  for (const tenant of TENANTS) expect(bench.countsOf(tenant)[0]).toEqual([0, 0]);
  for (let lane = 0; lane < LANES; lane++) {
    expect(bench.shares.heldOfLane(lane)).toEqual([0, 0]);
    expect([bench.gate.records(lane), bench.gate.bytes(lane)]).toEqual([0, 0]);
  }
}

test('over any sequence of admissions, reports, ends and restarts the counts are what lanes hold, and end at nothing', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      follows(new Bench(), steps);
    }),
    { numRuns: 200 },
  );
});

test.each([
  [
    'an end that lets nothing go',
    (bench: Bench) => {
      bench.admission.end = () => undefined;
    },
  ],
  [
    'a restart that lets go what is handed on',
    (bench: Bench) => {
      const { restart } = bench;
      bench.restart = (lane) => {
        const pairs = bench.held.flatMap((one) =>
          one.lane === lane ? [one.assignment.id, one.sequence] : [],
        );
        bench.admission.settle(Uint32Array.from(pairs));
        restart.call(bench, lane);
      };
    },
  ],
])('the property catches %s', (_, plant) => {
  const property = fc.property(fc.array(step, { minLength: 40, maxLength: 120 }), (steps) => {
    const bench = new Bench();
    plant(bench);
    follows(bench, steps);
  });
  expect(fc.check(property, { seed: 1, numRuns: 300, endOnFailure: true }).failed).toBe(true);
});
