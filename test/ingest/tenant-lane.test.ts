/** Proves that a tenant's lane is the same at any place in any buffer and on any run, and that tenants spread evenly. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { hashOfTenant, laneOfHash } from '../../src/ingest/tenant-lane.ts';

function laneOf(tenant: string, lanes: number): number {
  const bytes = Buffer.from(tenant);
  return laneOfHash(hashOfTenant(bytes, 0, bytes.length), lanes);
}

test('it never changes between versions: two processes agree who owns a tenant', () => {
  // FNV-1a of "" and "a" is published: 811c9dc5, e40c292c. Folded: ^ (hash >>> 15).
  const fold = (hash: number): number => (hash ^ (hash >>> 15)) >>> 0;
  expect(laneOf('', 2 ** 31)).toBe(fold(0x811c9dc5) % 2 ** 31);
  expect(laneOf('a', 2 ** 31)).toBe(fold(0xe40c292c) % 2 ** 31);
});

test('only the bytes between start and end count', () => {
  fc.assert(
    fc.property(
      fc.uint8Array(),
      fc.uint8Array(),
      fc.uint8Array(),
      fc.integer({ min: 1, max: 255 }),
      (a, b, c, lanes) => {
        const inside = Buffer.concat([a, b, c]);
        const lane = laneOfHash(hashOfTenant(inside, a.length, a.length + b.length), lanes);
        expect(lane).toBe(laneOfHash(hashOfTenant(b, 0, b.length), lanes));
        expect(lane).toBeGreaterThanOrEqual(0);
        expect(lane).toBeLessThan(lanes);
      },
    ),
  );
});

test.each([2, 3, 4, 8, 16])('tenants with numbered names spread over %d lanes', (lanes) => {
  const counts = new Array<number>(lanes).fill(0);
  const tenants = 4_000;
  for (let i = 0; i < tenants; i++) counts[laneOf(`tenant-${i}`, lanes)]!++;
  const share = tenants / lanes;
  expect(Math.min(...counts)).toBeGreaterThan(share * 0.75);
  expect(Math.max(...counts)).toBeLessThan(share * 1.25);
});
