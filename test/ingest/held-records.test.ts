/**
 * Proves that the ring finds each record that lanes hold, and only those, however
 * far the frontier stretches and wherever its sequence wraps: one that was forgotten
 * would stay in its tenant's share for as long as the partition is owned.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { HeldRecords } from '../../src/ingest/held-records.ts';
import { variantOf } from '../domain/planted-bug.ts';

type HeldRecordsClass = typeof HeldRecords;

/** A run of admissions, of which every `hops`th never goes to a lane; or the end of one held record, by its rank. */
type Step =
  | { readonly kind: 'admit'; readonly records: number; readonly hops: number }
  | { readonly kind: 'report'; readonly rank: number }
  | { readonly kind: 'end' };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('admit' as const),
      records: fc.integer({ min: 1, max: 150 }),
      hops: fc.integer({ min: 1, max: 5 }),
    }),
  },
  { weight: 12, arbitrary: fc.record({ kind: fc.constant('report' as const), rank: fc.nat() }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'end' as const }) },
);
const firstSequence = fc.constantFrom(0, 1, 2 ** 32 - 100);

function followsModel(Tested: HeldRecordsClass, first: number, steps: readonly Step[]): void {
  const ring = new Tested();
  const model = new Map<number, { holder: number; bytes: number }>();
  let [head, tail] = [first, first];
  for (const now of steps) {
    if (now.kind === 'admit') {
      for (let i = 0; i < now.records; i++) {
        const [sequence, holder, bytes] = [tail, (tail * 7) % 1_000, tail % 5_000];
        tail = (tail + 1) >>> 0;
        if (i % now.hops === 0) continue;
        ring.add(sequence, holder, bytes);
        model.set(sequence, { holder, bytes });
      }
    } else if (now.kind === 'report') {
      const sequence = [...model.keys()][now.rank % Math.max(1, model.size)];
      if (sequence === undefined) continue;
      expect(ring.take(sequence)).toBe(model.get(sequence)?.bytes);
      model.delete(sequence);
    } else {
      const taken: unknown[] = [];
      ring.takeAll((holder, bytes) => taken.push([holder, bytes]));
      const held = [...model.values()].map(({ holder, bytes }) => [holder, bytes]);
      expect(taken.map(String).toSorted()).toEqual(held.map(String).toSorted());
      ring.takeAll(() => taken.push('twice'));
      expect(taken).not.toContain('twice');
      model.clear();
    }
    while (head !== tail && !model.has(head)) head = (head + 1) >>> 0;
    for (let sequence = head; sequence !== tail; sequence = (sequence + 1) >>> 0) {
      if (ring.holderOf(sequence) !== (model.get(sequence)?.holder ?? -1)) {
        expect([sequence, ring.holderOf(sequence)]).toEqual([sequence, model.get(sequence)?.holder ?? -1]);
      }
    }
  }
}

function property(Tested: HeldRecordsClass): fc.IProperty<[number, Step[]]> {
  return fc.property(firstSequence, fc.array(step, { maxLength: 40 }), (first, steps) => {
    followsModel(Tested, first, steps);
  });
}

test('over any run of admissions and reports it holds what a plain map holds', () => {
  fc.assert(property(HeldRecords));
});

test.each([
  ['a ring that keeps its places when it grows', '(sequences[from] as number) & (capacity - 1)', 'from'],
  ['a ring that overwrites instead of growing', 'this.#holders[at] !== 0', 'false'],
  ['a record that stays after its report', 'this.#holders[at] = 0;', ''],
  ['a record taken for its neighbour in the ring', 'this.#sequences[at] === sequence', 'true'],
  ['an end that leaves the records where they are', 'this.#holders.fill(0);', ''],
])('the property catches %s', async (_, right, wrong) => {
  const broken = await variantOf<{ HeldRecords: HeldRecordsClass }>('ingest/held-records.ts', [right, wrong]);
  expect(fc.check(property(broken.HeldRecords), { seed: 1, numRuns: 300, endOnFailure: true }).failed).toBe(
    true,
  );
});
