/**
 * Proves that only another record of an event that was seen within the window, under an
 * assignment that still lasts, is told as a duplicate: one told wrongly is an event lost; and that
 * memory is bounded, the oldest forgotten first.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { hashEvent, SeenEvents, type EventHash } from '../../src/duplicates/seen-events.ts';
import { variantOf } from '../domain/planted-bug.ts';

const WINDOW_MS = 100;

type Step =
  | {
      readonly kind: 'see';
      readonly tenant: string;
      readonly id: string;
      readonly partition: number;
      readonly offset: number;
    }
  | { readonly kind: 'pass'; readonly ms: number }
  | { readonly kind: 'reassign'; readonly partition: number; readonly before: readonly Recalled[] };

/** What the ledger knows of a partition. */
interface Recalled {
  readonly tenant: string;
  readonly id: string;
  readonly offset: number;
  readonly ageMs: number;
}

interface First {
  readonly assignment: number;
  readonly offset: number;
  readonly seenMs: number;
  /** How many ids were remembered before it. */
  readonly rank: number;
}

/** The same by plain means: it forgets nothing but what is too old or belongs to nobody. */
class Model {
  readonly firsts = new Map<string, First>();
  remembered = 0;

  /** Half of all that may be remembered are younger, and may have pushed it out. */
  isOld(name: string, maxRemembered: number): boolean {
    const first = this.firsts.get(name);
    return first !== undefined && this.remembered - first.rank > maxRemembered / 2;
  }

  see(
    name: string,
    isLive: (assignment: number) => boolean,
    next: Omit<First, 'rank'>,
    nowMs: number,
  ): First | null {
    const first = this.firsts.get(name);
    if (first !== undefined && isLive(first.assignment) && nowMs - first.seenMs < WINDOW_MS)
      return first.assignment === next.assignment && first.offset === next.offset ? null : first;
    this.firsts.set(name, { ...next, rank: this.remembered++ });
    return null;
  }
}

const event = {
  tenant: fc.constantFrom('a', 'ab', 'b'),
  id: fc.constantFrom('1', 'b1', '2', '11', 'x'),
  offset: fc.nat(3),
};
const recalled = fc
  .array(fc.record({ ...event, ageMs: fc.nat(150) }), { maxLength: 4 })
  .map((before) => before.toSorted((a, b) => b.ageMs - a.ageMs));
const anyStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('see' as const), partition: fc.nat(1), ...event }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('pass' as const), ms: fc.nat(60) }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('reassign' as const), partition: fc.nat(1), before: recalled }),
  },
);

/** @throws when it tells a duplicate that is none, or misses one that it must remember. */
function check(Seen: typeof SeenEvents, steps: readonly Step[], maxRemembered: number): void {
  const seen = new Seen({ windowMs: WINDOW_MS, maxRemembered });
  const model = new Model();
  const current = [1, 2];
  let assignments = 2;
  const isLive = (assignment: number): boolean => current.includes(assignment);
  for (const assignment of current) seen.begin(assignment, undefined, 0);
  let nowMs = 1_000;
  for (const step of steps) {
    if (step.kind === 'pass') nowMs += step.ms;
    else if (step.kind === 'reassign') {
      seen.end(current[step.partition]!);
      current[step.partition] = ++assignments;
      seen.begin(assignments, seenBefore(step.before), nowMs);
      for (const { tenant, id, offset, ageMs } of step.before) {
        if (ageMs >= WINDOW_MS) continue;
        if (model.isOld(nameOf(tenant, id), maxRemembered)) return;
        const first = { assignment: assignments, offset, seenMs: nowMs - ageMs };
        model.see(nameOf(tenant, id), isLive, first, nowMs);
      }
    } else {
      const { tenant, id, partition, offset } = step;
      const assignment = current[partition]!;
      const name = nameOf(tenant, id);
      const isForgotten = model.isOld(name, maxRemembered);
      const first = model.see(name, isLive, { assignment, offset, seenMs: nowMs }, nowMs);
      const isTold = seen.see(tenant, id, assignment, offset, nowMs);
      if (isTold && first === null) throw new Error(`${name} at ${assignment}/${offset} is no duplicate`);
      // From here on the model would have to forget what the other may have forgotten.
      if (isForgotten) return;
      if (!isTold && first !== null) throw new Error(`${name} at ${assignment}/${offset} is a duplicate`);
    }
    if (seen.size > maxRemembered) throw new Error(`${seen.size} ids are remembered`);
  }
}

const nameOf = (tenant: string, id: string): string => JSON.stringify([tenant, id]);

function seenBefore(before: readonly Recalled[]): Float64Array {
  const hash: EventHash = { low: 0, high: 0 };
  return Float64Array.from(
    before.flatMap(({ tenant, id, offset, ageMs }) => {
      hashEvent(tenant, id, hash);
      return [hash.low, hash.high, offset, ageMs];
    }),
  );
}

const holds = (Seen: typeof SeenEvents): void => {
  fc.assert(
    fc.property(fc.array(anyStep, { maxLength: 80 }), fc.constantFrom(4, 1_000), (steps, max) => {
      check(Seen, steps, max);
    }),
    { numRuns: 2_000, seed: 5 },
  );
};

test('over any order of records, reassignments and time it tells duplicates and nothing else', () => {
  holds(SeenEvents);
});

test.each([
  [
    'takes a record that is read again for a duplicate',
    'found.assignment !== assignment || found.offset !== offset',
    'true',
  ],
  ['tells records by their offset alone', 'found.assignment !== assignment || ', ''],
  [
    'never forgets by time',
    'const isFresh = nowMs - generation.seenMs < this.#windowMs;',
    'const isFresh = true;',
  ],
  [
    'trusts what it saw under an assignment that has ended',
    'isFresh && this.#live.has(generation.assignment)',
    'isFresh',
  ],
  [
    'tells one tenant’s events from another’s not at all',
    'for (let i = 0; i < tenant.length; i += 2)',
    'for (let i = 0; i < 0; i += 2)',
  ],
  [
    'forgets the young instead of the old',
    'this.#young = this.#old;\n    this.#old = young;\n    this.#young.clear();',
    'young.clear();',
  ],
  ['never forgets by number', 'young.size < this.#maxOfGeneration && ', ''],
  ['recalls as seen now', 'nowMs - ageMs, nowMs)', 'nowMs, nowMs)'],
])('the property catches one that %s', async (_what, from, to) => {
  const { SeenEvents: Planted } = await variantOf<{ SeenEvents: typeof SeenEvents }>(
    'duplicates/seen-events.ts',
    [from, to],
  );
  expect(() => {
    holds(Planted);
  }).toThrow();
});

describe('memory', () => {
  test('is bounded in ids and bytes, and what came last is kept', () => {
    const seen = new SeenEvents({ windowMs: 3_600_000, maxRemembered: 10_000 });
    seen.begin(1, undefined, 0);
    let told = 0;
    for (let i = 0; i < 50_000; i++) if (seen.see('t', `event-${i}`, 1, i, i)) told++;
    expect(told).toBe(0);
    expect(seen.size).toBeLessThanOrEqual(10_000);
    expect(seen.bytes).toBeLessThanOrEqual(2 * 16_384 * 32);
    for (let i = 45_001; i < 50_000; i++) if (seen.see('t', `event-${i}`, 1, 90_000, 50_000)) told++;
    expect(told).toBe(4_999);
    expect(seen.see('t', 'event-0', 1, 90_000, 50_000)).toBe(false);
  });

  test('takes little while little is remembered', () => {
    const seen = new SeenEvents({ windowMs: 3_600_000, maxRemembered: 1_000_000 });
    seen.begin(1, undefined, 0);
    for (let i = 0; i < 500; i++) seen.see('t', `event-${i}`, 1, i, i);
    expect(seen.bytes).toBeLessThan(100_000);
  });
});

test('a hundred thousand alike ids have as many hashes', () => {
  const hash: EventHash = { low: 0, high: 0 };
  const seen = new Set<string>();
  const lows = new Set<number>();
  for (let i = 0; i < 100_000; i++) {
    hashEvent('tenant', `evt_${i}`, hash);
    seen.add(`${hash.low}/${hash.high}`);
    lows.add(hash.low);
  }
  expect(seen.size).toBe(100_000);
  // Of 100,000 random 32-bit words about one in 86,000 meets another.
  expect(lows.size).toBeGreaterThan(99_980);
});
