/**
 * Proves that the frontier tells, after any sequence of admissions, holds and
 * releases, the first offset that is not durable: never past an open record, never
 * back, across gaps in the offsets, copies of one record, and the wrap of its 32-bit sequence.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Frontier } from '../../src/ingest/frontier.ts';
import { variantOf } from '../domain/planted-bug.ts';

type FrontierClass = typeof Frontier;

/** `pick` chooses among the open records. */
type Step =
  | { readonly kind: 'admit'; readonly gap: number }
  | { readonly kind: 'copy' }
  | { readonly kind: 'hold' | 'release'; readonly pick: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('admit' as const), gap: fc.integer({ min: 0, max: 1e9 }) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('copy' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('hold' as const), pick: fc.nat() }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('release' as const), pick: fc.nat() }) },
);
const steps = fc.array(step, { maxLength: 120 });
const capacity = fc.constantFrom(1, 2, 4, 8, 16);

interface ModelRecord {
  readonly offset: number;
  readonly sequence: number;
  holds: number;
}

/** The naive model: every record ever admitted, each copy as one, and a search. */
class Model {
  readonly records: ModelRecord[] = [];

  get open(): ModelRecord[] {
    return this.records.filter(({ holds }) => holds > 0);
  }

  get position(): number {
    const last = this.records.at(-1);
    return last === undefined ? -1 : (this.open[0]?.offset ?? last.offset + 1);
  }

  get passed(): number {
    return this.records.length - this.span;
  }

  get span(): number {
    const first = this.open[0];
    return first === undefined ? 0 : this.records.length - this.records.indexOf(first);
  }
}

function followsModel(
  Tested: FrontierClass,
  firstSequence: number,
  size: number,
  plan: readonly Step[],
): void {
  const frontier = new Tested(size);
  const model = new Model();
  let nextOffset = 0;
  for (const { kind, ...rest } of plan) {
    const before = frontier.position;
    const passed = model.passed;
    if (kind === 'admit') {
      const offset = nextOffset + (rest as { gap: number }).gap;
      if (model.span === size) {
        expect(() => frontier.admit(offset)).toThrow('full');
        continue;
      }
      const sequence = frontier.admit(offset);
      expect(sequence).toBe((firstSequence + model.records.length) >>> 0);
      model.records.push({ offset, sequence, holds: 1 });
      nextOffset = offset + 1;
    } else if (kind === 'copy') {
      if (model.span === 0 || model.span === size) {
        expect(() => frontier.admitCopy()).toThrow(model.span === 0 ? 'no open record' : 'full');
        continue;
      }
      const sequence = frontier.admitCopy();
      expect(sequence).toBe((firstSequence + model.records.length) >>> 0);
      model.records.push({ offset: nextOffset - 1, sequence, holds: 1 });
    } else {
      const { open } = model;
      const record = open[(rest as { pick: number }).pick % Math.max(1, open.length)];
      if (record === undefined) continue;
      record.holds += kind === 'hold' ? 1 : -1;
      if (kind === 'hold') frontier.hold(record.sequence);
      else expect(frontier.release(record.sequence)).toBe(model.passed > passed);
    }
    expect(frontier.position).toBe(model.position);
    expect(frontier.position).toBeGreaterThanOrEqual(before);
    expect(frontier.span).toBe(model.span);
    expect(frontier.passed).toBe(model.passed);
    expect(frontier.open).toBe(model.open.length);
    expect(frontier.isFull).toBe(model.span === size);
    expect([0, 1, 2, 3].filter((records) => frontier.hasRoomFor(records))).toEqual(
      [0, 1, 2, 3].filter((records) => model.span + records <= size),
    );
  }
}

function property(Tested: FrontierClass, firstSequence = 0): fc.IProperty<[number, Step[]]> {
  return fc.property(capacity, steps, (size, plan) => {
    followsModel(Tested, firstSequence, size, plan);
  });
}

/** A frontier three records before the wrap: no test lives long enough to get there from 0. */
const NEAR_WRAP = 2 ** 32 - 3;
const nearWrap = [
  ['#head = 0;', `#head = ${NEAR_WRAP};`],
  ['#tail = 0;', `#tail = ${NEAR_WRAP};`],
] as const;

describe('against the naive model', () => {
  test('from the first record on', () => {
    fc.assert(property(Frontier), { numRuns: 500 });
  });

  test('across the wrap of the sequence at 2^32', async () => {
    const { Frontier: Wrapping } = await variantOf<{ Frontier: FrontierClass }>(
      'ingest/frontier.ts',
      ...nearWrap,
    );
    fc.assert(property(Wrapping, NEAR_WRAP), { numRuns: 500 });
  });

  test.each([
    [
      'a hand-over does not hold its record',
      '(this.#holds[slot] as number) + 1',
      '(this.#holds[slot] as number) + 0',
    ],
    ['the frontier steps over one open record', '& this.#mask] === 0) {', '& this.#mask] <= 1) {'],
    ['the newest offset itself is committed', 'return this.#lastOffset + 1;', 'return this.#lastOffset;'],
    [
      'a record is copied that was committed already',
      "if (this.#head === this.#tail) throw new RangeError('there is no open record to copy');",
      '',
    ],
    [
      'a copy stands for the record that comes next',
      'return this.#append(this.#lastOffset);',
      'return this.#append(this.#lastOffset + 1);',
    ],
  ])('a planted bug is caught: %s', async (_what, from, to) => {
    const { Frontier: Buggy } = await variantOf<{ Frontier: FrontierClass }>('ingest/frontier.ts', [
      from,
      to,
    ]);
    expect(fc.check(property(Buggy), { seed: 1, numRuns: 500 }).failed).toBe(true);
  });

  test('a planted bug is caught: the span forgets the wrap', async () => {
    const bug = ['return (this.#tail - this.#head) >>> 0;', 'return this.#tail - this.#head;'] as const;
    const { Frontier: Buggy } = await variantOf<{ Frontier: FrontierClass }>(
      'ingest/frontier.ts',
      ...nearWrap,
      bug,
    );
    expect(fc.check(property(Buggy, NEAR_WRAP), { seed: 1, numRuns: 500 }).failed).toBe(true);
  });
});

describe('what would break a promise is refused', () => {
  test('an offset that does not grow', () => {
    const frontier = new Frontier(4);
    frontier.admit(5);
    expect(() => frontier.admit(5)).toThrow('does not follow');
    expect(() => frontier.admit(4)).toThrow('does not follow');
  });

  test('a release of what is not open: released already, not admitted yet, long gone', () => {
    const frontier = new Frontier(2);
    const sequence = frontier.admit(5);
    frontier.release(sequence);
    expect(() => frontier.release(sequence)).toThrow('not open');
    expect(() => {
      frontier.hold(sequence);
    }).toThrow('not open');
    expect(() => frontier.release(sequence + 1)).toThrow('not open');
    frontier.admit(6);
    // One turn of the ring later the slot is in use again, by another record.
    expect(() => frontier.release(sequence - 1)).toThrow('not open');
  });

  test.each([0, 3, -4, 2 ** 31])('capacity %d', (size) => {
    expect(() => new Frontier(size)).toThrow('power of two');
  });

  test('offsets beyond 2^32 are kept exactly', () => {
    const frontier = new Frontier(2);
    const sequence = frontier.admit(2 ** 52 + 1);
    expect(frontier.position).toBe(2 ** 52 + 1);
    frontier.release(sequence);
    expect(frontier.position).toBe(2 ** 52 + 2);
  });
});
