/** Proves that an event goes to the tenant's own destinations and those of every tenant, to nobody else's. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { EVERY_TENANT, type Destination } from '../../src/domain/destination.ts';
import { RouteTable } from '../../src/route/route-table.ts';

function destination(id: string, tenant: string, ...events: string[]): Destination {
  return { id, tenant, events } as unknown as Destination;
}

const table = new RouteTable([
  destination('acme-all', 'acme', '**'),
  destination('everyone', EVERY_TENANT, 'contact.*', 'email.*'),
  destination('acme-mail', 'acme', 'email.*'),
  destination('other', 'other', '**'),
]);

function idsFor(tenant: string, type: string): string[] {
  const routes = table.forTenant(tenant);
  return routes.match(type).map((index) => routes.destinations[index]!.id);
}

test.each([
  ['acme', 'email.sent', ['acme-all', 'acme-mail', 'everyone']],
  ['acme', 'user.created', ['acme-all']],
  ['other', 'contact.created', ['other', 'everyone']],
  ['nobody', 'contact.created', ['everyone']],
  ['nobody', 'user.created', []],
])('%s, %s', (tenant, type, ids) => {
  expect(idsFor(tenant, type)).toEqual(ids);
});

test('a destination is asked once however many of its globs match', () => {
  const routes = new RouteTable([destination('d', 'acme', '**', 'a.*', 'a.b')]).forTenant('acme');
  expect(routes.match('a.b')).toEqual([0]);
});

test('a tenant without destinations is told apart from one whose filters refuse', () => {
  expect(new RouteTable([destination('d', 'acme', 'a.*')]).forTenant('other').destinations).toEqual([]);
  expect(new RouteTable([destination('d', 'acme', 'a.*')]).forTenant('acme').destinations).toHaveLength(1);
});

test('a tenant whose name is the sign for every tenant gets no more than that', () => {
  expect(idsFor(EVERY_TENANT, 'contact.created')).toEqual(['everyone']);
});

test('more types than are remembered are matched the same, the first time and again', () => {
  const routes = new RouteTable([destination('even', 'acme', '*0', '*2', '*4', '*6', '*8')]).forTenant(
    'acme',
  );
  fc.assert(
    fc.property(fc.nat(5_000), (n) => {
      expect(routes.match(`type${n}`)).toEqual(n % 2 === 0 ? [0] : []);
    }),
    { numRuns: 3_000 },
  );
});
