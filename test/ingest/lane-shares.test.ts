/**
 * Proves that no tenant and no class is let in beyond its share of a lane, that a
 * share which is full refuses its owner and nobody else, and that what was let in and
 * let go of leaves nothing behind.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LaneShares, type Shares } from '../../src/ingest/lane-shares.ts';
import { variantOf } from '../domain/planted-bug.ts';

type LaneSharesClass = typeof LaneShares;

const bounds = { maxRecords: 40, maxBytes: 4_000 };
const shares: Shares = { tenant: 0.5, first: 0.875, retry: 0.5 };

function admitted(counts: LaneShares, lane: number, holder: number, isRetry: boolean, most = 100): number {
  for (let records = 0; records < most; records++) {
    if (counts.refusal(lane, holder, isRetry) !== null) return records;
    counts.admit(holder, isRetry, 1);
  }
  return most;
}

describe('a tenant', () => {
  test('that floods is refused at its share, keeps room for its retries, and leaves the lane to the others', () => {
    const counts = new LaneShares(1, bounds, shares);
    const [flood, quiet] = [counts.holderOf(0, 1), counts.holderOf(0, 2)];
    // Half of 35.
    expect(admitted(counts, 0, flood, false)).toBe(18);
    expect(counts.refusal(0, flood, false)).toBe('share');
    // Half of 40 in both classes.
    expect(admitted(counts, 0, flood, true)).toBe(2);
    expect(counts.refusal(0, flood, true)).toBe('share');
    // An eighth of 35 is kept for those that have little; of the other 12, a tenant gets 4 to each 3 that stay free.
    expect(admitted(counts, 0, quiet, false)).toBe(8);
    expect(counts.refusal(0, quiet, false)).toBe('share');
  });

  test('that holds little finds room, however many others take all they can get', () => {
    const counts = new LaneShares(1, { maxRecords: 4_000, maxBytes: 1e9 }, shares, 64);
    const greedy = Array.from({ length: 14 }, (_, slot) => slot);
    for (let round = 0; round < 20; round++) {
      for (const slot of greedy) admitted(counts, 0, slot, false, 4_000);
      expect(admitted(counts, 0, 20, false)).toBe(round === 0 ? 27 : 1);
      for (const slot of [...greedy, 20]) counts.release(slot, false, 1);
    }
  });

  test('alone may have its share, small or all', () => {
    for (const [tenant, records] of [
      [0.01, 35],
      [0.3, 1_050],
      [0.8, 2_800],
      [0.9, 3_500],
      [1, 3_500],
    ] as const) {
      const counts = new LaneShares(1, { maxRecords: 4_000, maxBytes: 1e9 }, { ...shares, tenant });
      expect(Math.abs(admitted(counts, 0, counts.holderOf(0, 1), false, 4_000) - records)).toBeLessThan(2);
    }
  });

  test('is bounded by bytes too', () => {
    const counts = new LaneShares(1, bounds, shares);
    const holder = counts.holderOf(0, 1);
    counts.admit(holder, false, 1_749);
    expect(counts.refusal(0, holder, false)).toBeNull();
    counts.admit(holder, false, 2);
    expect(counts.refusal(0, holder, false)).toBe('share');
  });

  test('that may have all of a lane is bounded as the lane is', () => {
    const counts = new LaneShares(1, bounds, { ...shares, tenant: 1 });
    const holder = counts.holderOf(0, 1);
    expect(admitted(counts, 0, holder, false)).toBe(35);
    expect(counts.refusal(0, holder, false)).toBe('bound');
  });

  test('has a share of its own in each lane, and records without a tenant have one', () => {
    const counts = new LaneShares(2, bounds, shares);
    const holders = [0, 1].flatMap((lane) => [0, 1, 2 ** 31 - 1, -1].map((h) => counts.holderOf(lane, h)));
    holders.push(counts.holderOf(0, null), counts.holderOf(1, null));
    expect(new Set(holders).size).toBe(holders.length);
  });
});

test('no bound is so small that a share of it lets nothing in', () => {
  const counts = new LaneShares(1, { maxRecords: 1, maxBytes: 100 }, { ...shares, tenant: 0.01 });
  const holder = counts.holderOf(0, 1);
  expect(admitted(counts, 0, holder, false)).toBe(1);
  counts.release(holder, false, 1);
  expect(counts.refusal(0, holder, false)).toBeNull();
});

describe('a class', () => {
  test('never fills the door for the other', () => {
    const first = new LaneShares(1, bounds, shares, 64);
    let records = 0;
    for (let slot = 0; slot < 64; slot++) records += admitted(first, 0, slot, false, 3);
    expect([records, first.refusal(0, 63, false), first.refusal(0, 63, true)]).toEqual([35, 'bound', null]);
    const retry = new LaneShares(1, bounds, shares, 64);
    records = 0;
    for (let slot = 0; slot < 64; slot++) records += admitted(retry, 0, slot, true, 3);
    expect([records, retry.refusal(0, 63, true), retry.refusal(0, 63, false)]).toEqual([20, 'share', null]);
  });
});

test('letting go of more than was held is a bug, and said so', () => {
  const counts = new LaneShares(1, bounds, shares);
  counts.admit(3, false, 10);
  expect(() => {
    counts.release(3, true, 10);
  }).toThrow(RangeError);
  expect(() => {
    counts.release(3, false, 11);
  }).toThrow(RangeError);
});

test('hundreds of numbered tenants share a slot about as rarely as chance has it', () => {
  const counts = new LaneShares(1, bounds, shares);
  const slots = new Set(Array.from({ length: 500 }, (_, i) => counts.holderOf(0, Math.imul(i, 0x01000193))));
  expect(slots.size).toBeGreaterThan(460);
});

interface Held {
  readonly holder: number;
  readonly isRetry: boolean;
  readonly bytes: number;
}

/** Small, so that short schedules reach them. */
const small = { maxRecords: 16, maxBytes: 1_600 };

const step = fc.record({
  lane: fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.constant(1) }),
  /** Two that have much, and others that have little. */
  tenant: fc.oneof({ weight: 3, arbitrary: fc.nat(1) }, { weight: 2, arbitrary: fc.nat(6) }),
  isRetry: fc.boolean(),
  bytes: fc.oneof({ weight: 3, arbitrary: fc.nat(20) }, { weight: 1, arbitrary: fc.nat(400) }),
  /** Of so many records, the one of this rank is let go of first. */
  release: fc.option(fc.nat(), { freq: 1 }),
});

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** Records and bytes of these, the last one's bytes left out: it was let in below the bound. */
function sizeOf(held: readonly Held[]): readonly [number, number] {
  return [held.length, held.slice(0, -1).reduce((sum, { bytes }) => sum + bytes, 0)];
}

function expectWithin(held: readonly Held[], share: number): void {
  const [records, bytes] = sizeOf(held);
  const most = [Math.floor(small.maxRecords * share), small.maxBytes * share] as const;
  // An assertion costs more than all the rest of a step.
  if (records > most[0] || bytes >= most[1]) expect([records, bytes]).toBe(most);
}

interface Amount {
  readonly records: number;
  readonly bytes: number;
}

function sumOf(held: readonly Held[]): Amount {
  return { records: held.length, bytes: held.reduce((total, { bytes }) => total + bytes, 0) };
}

/**
 * Whether a tenant holds its part of a class, by the rule of the docstring: share / (7/8 − share) of what is free
 * without the reserve; but a 128th is let in as long as the class is open, and the share of a lane bounds both classes.
 */
function hasItsPart(own: Amount, both: Amount, all: Amount, share: number): boolean {
  const isOver = (of: keyof Amount, most: number): boolean => {
    const full = of === 'records' ? Math.floor(most * share) : Math.ceil(most * share);
    const little = of === 'records' ? Math.max(1, Math.floor(full / 128)) : Math.ceil(full / 128);
    const ofFree = (full * (7 / 8) - all[of]) * (shares.tenant / (7 / 8 - shares.tenant));
    return (own[of] >= little && own[of] >= ofFree) || both[of] >= most * shares.tenant;
  };
  return isOver('records', small.maxRecords) || isOver('bytes', small.maxBytes);
}

function property(Tested: LaneSharesClass): fc.IProperty<[Step[]]> {
  return fc.property(fc.array(step, { minLength: 20, maxLength: 120 }), (steps) => {
    const counts = new Tested(2, small, shares, 4);
    let all: Held[] = [];
    /** Classes of lanes that were full and have not fallen well below. */
    const closed = new Set<string>();
    const mark = (lane: number, isRetry: boolean): void => {
      const { records, bytes } = sumOf(
        all.filter((one) => Math.floor(one.holder / 8) === lane && one.isRetry === isRetry),
      );
      const [share, low] = isRetry ? [shares.retry, 1 / 2] : [shares.first, 3 / 4];
      const full = [Math.floor(small.maxRecords * share), Math.ceil(small.maxBytes * share)] as const;
      if (records >= full[0] || bytes >= full[1]) closed.add(`${lane} ${isRetry}`);
      if (records <= Math.floor(full[0] * low) && bytes <= Math.floor(full[1] * low)) {
        closed.delete(`${lane} ${isRetry}`);
      }
    };
    for (const { lane, tenant, isRetry, bytes, release } of steps) {
      const gone = release === null ? undefined : all[release % Math.max(1, all.length)];
      if (gone !== undefined) {
        counts.release(gone.holder, gone.isRetry, gone.bytes);
        all = all.filter((one) => one !== gone);
        mark(Math.floor(gone.holder / 8), gone.isRetry);
      }
      const holder = lane * 8 + tenant;
      const of = (isOwn: (one: Held) => boolean): Held[] => all.filter(isOwn);
      const ofTenant = (one: Held): boolean => one.holder === holder;
      const ofLane = (one: Held): boolean => Math.floor(one.holder / 8) === lane;
      const ofClass = (one: Held): boolean => one.isRetry === isRetry;
      const share = isRetry ? shares.retry : shares.first;
      const hasPart = hasItsPart(
        sumOf(of((one) => ofTenant(one) && ofClass(one))),
        sumOf(of(ofTenant)),
        sumOf(of((one) => ofLane(one) && ofClass(one))),
        share,
      );
      if (counts.refusal(lane, holder, isRetry) === null) {
        if (hasPart || closed.has(`${lane} ${isRetry}`)) expect('let in').toBe('refused');
        all.push({ holder, isRetry, bytes });
        counts.admit(holder, isRetry, bytes);
        expectWithin(of(ofTenant), shares.tenant);
        expectWithin(
          of((one) => ofLane(one) && ofClass(one)),
          share,
        );
      } else if (!hasPart && !closed.has(`${lane} ${isRetry}`)) {
        expect('refused').toBe('let in');
      }
      mark(lane, isRetry);
      const own = of(ofTenant);
      const sum = own.reduce((total, one) => total + one.bytes, 0);
      if (String(counts.held(holder)) !== `${own.length},${sum}`) {
        expect(counts.held(holder)).toEqual([own.length, sum]);
      }
    }
    for (const { holder, isRetry, bytes } of all) counts.release(holder, isRetry, bytes);
    for (const lane of [0, 1]) expect(counts.heldOfLane(lane)).toEqual([0, 0]);
    for (let holder = 0; holder < 16; holder++) {
      expect(counts.held(holder)).toEqual([0, 0]);
      for (const isRetry of [true, false]) {
        expect(counts.refusal(Math.floor(holder / 8), holder, isRetry)).toBeNull();
      }
    }
  });
}

test('over any schedule nobody is let in beyond its part, refused below it, or left with anything', () => {
  fc.assert(property(LaneShares), { numRuns: 300 });
});

test.each([
  [
    'a tenant counted by its own class alone',
    'records + own.records(holder, 1 - cls) < maxRecords',
    'records < maxRecords',
  ],
  ['a share of bytes that nothing bounds', '|| bytes < freeBytes * this.#ofFree', '|| true'],
  ['a tenant that leaves the others nothing', '|| records < freeRecords * this.#ofFree', '|| true'],
  ['one record too many', 'records < freeRecords * this.#ofFree', 'records <= freeRecords * this.#ofFree'],
  ['a tenant that is held against what others hold', 'bytes < little.maxBytes ||', 'false ||'],
  ['a class that never closes', 'records(lane, cls) >= full.maxRecords', 'records(lane, cls) > 1e9'],
  ['a class that never opens again', '& ~(1 << cls)', ''],
  ['a lane that closes for both classes', '& (1 << cls)) !== 0', '& 3) !== 0'],
])('the property catches %s', async (_, right, wrong) => {
  const broken = await variantOf<{ LaneShares: LaneSharesClass }>('ingest/lane-shares.ts', [right, wrong]);
  expect(fc.check(property(broken.LaneShares), { seed: 1, numRuns: 300, endOnFailure: true }).failed).toBe(
    true,
  );
});
