/** Proves that main and lanes agree on which lane has a destination of a spread tenant, and that no other tenant is spread. */
import { describe, expect, test } from 'vitest';
import { partOfDestination } from '../../src/domain/spread.ts';
import { hashOfTenant } from '../../src/ingest/tenant-lane.ts';
import { laneOfPart, TenantSpread, type SpreadTenant } from '../../src/ingest/tenant-spread.ts';

function find(spread: TenantSpread, tenant: string, asIf = tenant): SpreadTenant | null {
  const bytes = Buffer.from(`<${tenant}>`);
  const hash = hashOfTenant(Buffer.from(asIf), 0, Buffer.byteLength(asIf));
  return spread.find(hash, bytes, 1, bytes.length - 1);
}

const destinations = ['a', 'b', 'c', 'd', 'e'];

describe('a spread tenant', () => {
  test('has each destination in the part that its lanes take it for', () => {
    const found = find(new TenantSpread([{ tenant: 'acme', lanes: 3, destinations }]), 'acme')!;
    expect(found.parts).toBe(3);
    expect([...found.partByDestination]).toEqual(
      destinations.map((id, index) => [id, partOfDestination(index, 3)]),
    );
    expect([...found.partByDestination.values()]).toEqual([0, 1, 2, 0, 1]);
  });

  test('has no more parts than destinations: a lane without one would get copies for nothing', () => {
    const spread = new TenantSpread([
      { tenant: 'two', lanes: 8, destinations: ['a', 'b'] },
      { tenant: 'one', lanes: 8, destinations: ['a'] },
      { tenant: 'none', lanes: 8, destinations: [] },
    ]);
    expect(['two', 'one', 'none'].map((tenant) => find(spread, tenant)?.parts)).toEqual([
      2,
      undefined,
      undefined,
    ]);
  });

  test('is told by its name: others whose hash is the same are in one lane', () => {
    const spread = new TenantSpread([{ tenant: 'acme', lanes: 2, destinations }]);
    expect(find(spread, 'beta')).toBeNull();
    expect(find(spread, 'beta', 'acme')).toBeNull();
    expect(find(new TenantSpread(), 'acme')).toBeNull();
  });
});

test('parts are in lanes of their own, from the tenant’s home lane on', () => {
  expect([0, 1, 2, 3].map((part) => laneOfPart(2, part, 4))).toEqual([2, 3, 0, 1]);
});
