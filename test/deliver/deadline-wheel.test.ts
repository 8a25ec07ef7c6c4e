/**
 * Proves that a deadline never ends an entry early, and ends it at most one slot
 * late when the wheel is advanced in time: over adds, removals, entries far beyond
 * a turn of the ring, and expiries that add and remove others.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DeadlineWheel, OFF_WHEEL, type Deadlined } from '../../src/deliver/deadline-wheel.ts';
import { variantOf } from '../domain/planted-bug.ts';

type WheelClass = typeof DeadlineWheel;

const SLOT_MS = 10;
const SLOTS = 8;

class Entry implements Deadlined {
  readonly deadlineMs: number;
  wheelSlot = OFF_WHEEL;
  wheelPrevious: Deadlined | null = null;
  wheelNext: Deadlined | null = null;
  readonly onDeadline: () => void;

  constructor(deadlineMs: number, onDeadline: (entry: Entry) => void) {
    this.deadlineMs = deadlineMs;
    this.onDeadline = () => {
      onDeadline(this);
    };
  }
}

type Step =
  | { readonly kind: 'add'; readonly inMs: number; readonly onExpiry: 'nothing' | 'remove' | 'add' | 'both' }
  | { readonly kind: 'remove'; readonly pick: number }
  | { readonly kind: 'advance'; readonly byMs: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('add' as const),
      inMs: fc.oneof(fc.double({ min: 0, max: 60, noNaN: true }), fc.integer({ min: 0, max: 500 })),
      onExpiry: fc.constantFrom('nothing', 'remove', 'add', 'both'),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('remove' as const), pick: fc.nat() }) },
  // In time, mostly; now and then the thread was busy for longer than a turn of the ring.
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('advance' as const),
      byMs: fc.integer({ min: 1, max: SLOT_MS }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('advance' as const), byMs: fc.integer({ min: 1, max: 300 }) }),
  },
);

function followsModel(Wheel: WheelClass, steps: readonly Step[], startMs: number): void {
  let nowMs = startMs;
  const wheel = new Wheel(SLOT_MS, SLOTS, nowMs);
  const live = new Set<Entry>();
  const add = (inMs: number, onExpiry: string): void => {
    const entry = new Entry(nowMs + inMs, (expired) => {
      expect(live.delete(expired), 'ended once').toBe(true);
      expect(expired.wheelSlot).toBe(OFF_WHEEL);
      expect(expired.deadlineMs).toBeLessThanOrEqual(nowMs);
      const newest = [...live].at(-1);
      if (newest !== undefined && (onExpiry === 'remove' || onExpiry === 'both')) remove(newest);
      if (onExpiry === 'add' || onExpiry === 'both') add(inMs, 'nothing');
    });
    live.add(entry);
    wheel.add(entry);
  };
  const remove = (entry: Entry): void => {
    live.delete(entry);
    wheel.remove(entry);
    wheel.remove(entry);
  };
  for (const one of steps) {
    if (one.kind === 'add') add(one.inMs, one.onExpiry);
    else if (one.kind === 'remove') {
      const entry = [...live][one.pick % Math.max(1, live.size)];
      if (entry !== undefined) remove(entry);
    } else {
      nowMs += one.byMs;
      wheel.advance(nowMs);
      for (const entry of live)
        expect(entry.deadlineMs, 'at most one slot late').toBeGreaterThan(nowMs - SLOT_MS);
    }
    expect(wheel.size).toBe(live.size);
  }
}

function property(Wheel: WheelClass): fc.IProperty<[Step[], number]> {
  return fc.property(
    fc.array(step, { maxLength: 80 }),
    fc.constantFrom(0, 7.5, 1e9 + 3.25),
    (steps, startMs) => {
      followsModel(Wheel, steps, startMs);
    },
  );
}

describe('against a set of deadlines', () => {
  test('over any schedule', () => {
    fc.assert(property(DeadlineWheel), { numRuns: 1_000 });
  });

  test.each([
    [
      'entries a turn away end a turn early',
      'if (entry.deadlineMs <= nowMs)',
      'if (entry.deadlineMs <= Infinity)',
    ],
    [
      'a pause of more than a turn leaves slots out',
      'const first = target - steps + 1;',
      'const first = target;',
    ],
    [
      'an expiry that takes its neighbour off ends the walk',
      '(this.#heads[slot] ?? null);\n    }',
      'null;\n    }',
    ],
    [
      'removing the first of a slot loses the rest',
      'this.#heads[entry.wheelSlot] = entry.wheelNext',
      'this.#heads[entry.wheelSlot] = null',
    ],
  ])('a planted bug is caught: %s', async (_what, from, to) => {
    const { DeadlineWheel: Buggy } = await variantOf<{ DeadlineWheel: WheelClass }>(
      'deliver/deadline-wheel.ts',
      [from, to],
    );
    expect(fc.check(property(Buggy), { seed: 1, numRuns: 1_000 }).failed).toBe(true);
  });
});

test('an expiry that takes its neighbour off does not delay the rest of the slot by a turn', () => {
  const wheel = new DeadlineWheel(SLOT_MS, SLOTS, 0);
  const ended: string[] = [];
  const last = new Entry(5, () => ended.push('last'));
  const middle = new Entry(5, () => ended.push('middle'));
  const first = new Entry(5, () => {
    ended.push('first');
    wheel.remove(middle);
  });
  // The newest is looked at first.
  for (const entry of [last, middle, first]) wheel.add(entry);
  wheel.advance(10);
  expect(ended).toEqual(['first', 'last']);
  expect(wheel.size).toBe(0);
});

test('time that stands still or has moved within one slot ends nothing', () => {
  const wheel = new DeadlineWheel(SLOT_MS, SLOTS, 100);
  wheel.add(new Entry(105, () => expect.unreachable()));
  wheel.advance(100);
  wheel.advance(109);
  expect(wheel.size).toBe(1);
});
