/** Proves that a tenant in two partitions is told of once and by name, and that none is told of which is not. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { TenantPartitions, type SplitTenant } from '../../src/ingest/tenant-partitions.ts';
import { variantOf } from '../domain/planted-bug.ts';

type TenantPartitionsClass = typeof TenantPartitions;

interface Sight {
  readonly tenant: string;
  readonly partition: number;
}

function seen(
  Tested: TenantPartitionsClass,
  sights: readonly Sight[],
  hashOf: (tenant: string) => number,
  bounds: { watchedTenants?: number; toldTenants?: number } = {},
): { readonly told: SplitTenant[]; readonly split: number } {
  const told: SplitTenant[] = [];
  const watch = new Tested({ ...bounds, onSplit: (split) => told.push(split) });
  for (const { tenant, partition } of sights) {
    const bytes = Buffer.from(`x${tenant}y`);
    watch.see(hashOf(tenant), bytes, 1, bytes.length - 1, partition);
  }
  return { told, split: watch.split };
}

const ofLength = (tenant: string): number => tenant.length;

test('two tenants of one hash are not taken for one', () => {
  const sights = [
    { tenant: 'a', partition: 1 },
    { tenant: 'b', partition: 2 },
    { tenant: 'a', partition: 1 },
  ];
  expect(seen(TenantPartitions, sights, ofLength)).toEqual({ told: [], split: 0 });
});

test('of many split tenants the first few are told of, all are counted, and those past the table are not watched', () => {
  const twice = Array.from({ length: 9 }, (_, i) => [
    { tenant: `t${i}`, partition: i },
    { tenant: `t${i}`, partition: i + 1 },
  ]).flat();
  const { told, split } = seen(TenantPartitions, twice, (t) => Number(t.slice(1)) * 2 ** 20, {
    watchedTenants: 6,
    toldTenants: 2,
  });
  expect(told).toEqual([
    { tenant: 't0', partitions: [0, 1] },
    { tenant: 't1', partitions: [1, 2] },
  ]);
  expect(split).toBe(6);
});

const sight = fc.record({
  tenant: fc.constantFrom('a', 'b', 'cc', 'dd', 'ä', 'eee'),
  partition: fc.nat(2),
});

function property(Tested: TenantPartitionsClass): fc.IProperty<[Sight[], number]> {
  return fc.property(fc.array(sight, { maxLength: 40 }), fc.integer({ min: 1, max: 8 }), (sights, hashes) => {
    // Few hashes: neighbours in the table, and tenants of one hash, of which the first is watched.
    const hashOf = (tenant: string): number => tenant.charCodeAt(0) % hashes;
    const firstOf = new Map<number, Sight>();
    const expected: SplitTenant[] = [];
    for (const one of sights) {
      const first = firstOf.get(hashOf(one.tenant)) ?? one;
      firstOf.set(hashOf(one.tenant), first);
      const isSplit = first.tenant === one.tenant && first.partition !== one.partition;
      if (!isSplit || expected.some(({ tenant }) => tenant === one.tenant)) continue;
      expected.push({ tenant: one.tenant, partitions: [first.partition, one.partition] });
    }
    const bounds = { watchedTenants: 8, toldTenants: 100 };
    expect(seen(Tested, sights, hashOf, bounds)).toEqual({ told: expected, split: expected.length });
  });
}

test('over any sights exactly the split ones are told of, once', () => {
  fc.assert(property(TenantPartitions));
});

test.each([
  ['a false alarm', 'if (this.#names[at] !== tenant) return;', ''],
  ['telling again and again', 'this.#partitions[at] = TOLD;', ''],
  ['a table in which all share one place', 'let at = hash & mask;', 'let at = (hash = 0);'],
  ['the bytes around the name', 'bytes.subarray(start, end)', 'bytes.subarray(0, end)'],
])('the property catches %s', async (_, right, wrong) => {
  const broken = await variantOf<{ TenantPartitions: TenantPartitionsClass }>('ingest/tenant-partitions.ts', [
    right,
    wrong,
  ]);
  expect(
    fc.check(property(broken.TenantPartitions), { seed: 1, numRuns: 300, endOnFailure: true }).failed,
  ).toBe(true);
});
