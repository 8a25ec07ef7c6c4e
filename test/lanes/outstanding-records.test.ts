/**
 * Proves that main knows at every moment which records a lane has not reported,
 * whatever the order of reports, however far apart sequences lie and wherever they
 * wrap: a record that was forgotten would be lost with its thread, one that stayed would be sent twice.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { OutstandingRecords } from '../../src/lanes/outstanding-records.ts';
import { variantOf } from '../domain/planted-bug.ts';

type OutstandingClass = typeof OutstandingRecords;

const WINDOW = 512;
const ASSIGNMENTS = 3;

type Step =
  | {
      readonly kind: 'batch';
      readonly runs: readonly { readonly assignment: number; readonly records: number }[];
    }
  /** Reports records, by their rank among the outstanding ones. */
  | { readonly kind: 'report'; readonly ranks: readonly number[] }
  | { readonly kind: 'forget'; readonly assignment: number };

const assignment = fc.integer({ min: 1, max: ASSIGNMENTS });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('batch' as const),
      runs: fc.array(fc.record({ assignment, records: fc.integer({ min: 1, max: 60 }) }), {
        minLength: 1,
        maxLength: 3,
      }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('report' as const),
      ranks: fc.array(fc.nat(), { minLength: 1, maxLength: 60 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('forget' as const), assignment }) },
);

/** The same in the plainest way: a map of what is outstanding to its batch. */
class Model {
  readonly outstanding = new Map<string, number>();
  readonly endedBatches: number[] = [];
  /** Records left by batch. */
  readonly openBatches = new Map<number, number>();
  readonly next: number[];

  constructor(firstSequence: number) {
    this.next = Array.from({ length: ASSIGNMENTS + 1 }, () => firstSequence);
  }

  /** As a frontier does: sequences go up, within a window from the oldest one that is open. */
  admit(assignment: number, records: number): (readonly [assignment: number, sequence: number])[] {
    const next = this.next[assignment]!;
    let span = WINDOW;
    while (span > 0 && !this.outstanding.has(`${assignment}/${(next - span) >>> 0}`)) span--;
    const admitted = Math.min(records, WINDOW - span);
    this.next[assignment] = (next + admitted) >>> 0;
    return Array.from({ length: admitted }, (_, i) => [assignment, (next + i) >>> 0] as const);
  }

  delete(key: string): void {
    const batch = this.outstanding.get(key);
    if (batch === undefined) return;
    this.outstanding.delete(key);
    const left = this.openBatches.get(batch)! - 1;
    this.openBatches.set(batch, left);
    if (left > 0) return;
    this.openBatches.delete(batch);
    this.endedBatches.push(batch);
  }
}

function partsOf(key: string): [number, number] {
  return key.split('/').map(Number) as [number, number];
}

function play(Outstanding: OutstandingClass, steps: readonly Step[], firstSequence: number): void {
  const model = new Model(firstSequence);
  const endedBatches: number[] = [];
  const records = new Outstanding((batch) => endedBatches.push(batch));
  for (const one of steps) {
    if (one.kind === 'batch') {
      const admitted = one.runs.flatMap((run) => model.admit(run.assignment, run.records));
      if (admitted.length === 0) continue;
      const batch = records.openBatch();
      expect(model.openBatches.has(batch)).toBe(false);
      model.openBatches.set(batch, admitted.length);
      for (const [assignment, sequence] of admitted) {
        records.add(batch, assignment, sequence);
        model.outstanding.set(`${assignment}/${sequence}`, batch);
      }
    } else if (one.kind === 'report') {
      const keys = [...model.outstanding.keys()];
      for (const key of new Set(one.ranks.map((rank) => keys[rank % keys.length]))) {
        if (key === undefined) break;
        model.delete(key);
        expect(records.remove(...partsOf(key))).toBe(true);
        expect(records.remove(...partsOf(key))).toBe(false);
      }
      for (const rank of one.ranks) {
        const id = 1 + (rank % ASSIGNMENTS);
        const sequence = (model.next[id]! - 1 - (rank % (2 * WINDOW))) >>> 0;
        if (!model.outstanding.has(`${id}/${sequence}`)) expect(records.remove(id, sequence)).toBe(false);
      }
    } else {
      for (const key of [...model.outstanding.keys()].filter((k) => k.startsWith(`${one.assignment}/`))) {
        model.delete(key);
      }
      records.forget(one.assignment);
    }
  }
  const wrong: string[] = [];
  for (let id = 1; id <= ASSIGNMENTS; id++) {
    for (let back = 1; back <= WINDOW; back++) {
      const sequence = (model.next[id]! - back) >>> 0;
      const batch = model.outstanding.get(`${id}/${sequence}`) ?? 0;
      if (records.batchOf(id, sequence) !== batch) wrong.push(`${id}/${sequence}`);
    }
  }
  expect(wrong).toEqual([]);
  expect(endedBatches.sort()).toEqual(model.endedBatches.sort());
}

function checkProperty(Outstanding: OutstandingClass): void {
  fc.assert(
    fc.property(
      fc.array(step, { minLength: 5, maxLength: 40 }),
      fc.constantFrom(0, 100, 0xffff_ffff, 0xffff_ffff - 200),
      (steps, firstSequence) => {
        play(Outstanding, steps, firstSequence);
      },
    ),
    { numRuns: 100 },
  );
}

describe('what is outstanding', () => {
  test('is what was added and neither removed nor forgotten, and a batch ends with its last record', () => {
    checkProperty(OutstandingRecords);
  });

  test.each([
    [
      'a ring that grows and leaves records behind',
      'const slot = sequence & (capacity - 1);',
      'const slot = from;',
    ],
    [
      'a full place that is overwritten',
      'while (ring.batches[slot] !== 0) {',
      'while (ring.batches[slot] === -1) {',
    ],
    [
      'a record taken for another at the same place',
      'if (batch === 0 || ring.sequences[slot] !== sequence) return false;',
      'if (batch === 0) return false;',
    ],
    ['a batch that ends one record early', 'if (left > 0) return;', 'if (left > 1) return;'],
    ['records of a forgotten assignment that stay', 'this.#rings.delete(assignment);', ''],
  ])('the property catches %s', async (_what, from, to) => {
    const { OutstandingRecords: Broken } = await variantOf<{ OutstandingRecords: OutstandingClass }>(
      'lanes/outstanding-records.ts',
      [from, to],
    );
    expect(() => {
      checkProperty(Broken);
    }).toThrow();
  });

  test('a record given twice is refused, since one of the two reports would be lost', () => {
    const records = new OutstandingRecords(() => undefined);
    const batch = records.openBatch();
    records.add(batch, 1, 7);
    expect(() => {
      records.add(batch, 1, 7);
    }).toThrow('1/7 is outstanding already');
  });
});
