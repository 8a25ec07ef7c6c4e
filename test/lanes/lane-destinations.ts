import type { LaneRecord } from './lane-bench.ts';
import { breakerOf, destinationOf, retryOf } from './lane-parts.ts';

/** Two destinations each of two tenants, one of a third that wants order; `nobody` has none. */
export const laneDestinations = [
  destinationOf('all', { tenant: 'acme' }),
  destinationOf('once', {
    tenant: 'acme',
    events: ['email.*'],
    retry: retryOf(1, 0, 0),
  }),
  destinationOf('limited', {
    tenant: 'beta',
    events: ['contact.*'],
    rateLimit: { ratePerSecond: 100, burst: 2 },
    maxInFlight: 1,
  }),
  destinationOf('quick', {
    tenant: 'beta',
    events: ['contact.created'],
    timeoutMs: 50,
    format: 'cloudevents',
    breaker: breakerOf({ openMs: 100, maxOpenMs: 400 }),
  }),
  destinationOf('ordered', {
    tenant: 'gamma',
    order: 'key',
    maxInFlight: 2,
    poison: { maxBlockMs: 300, then: 'skip' },
  }),
];

/** Ids of the destinations that must get a record's event. */
export function wantedBy({ tenant, type }: LaneRecord): string[] {
  if (tenant === 'acme') return type.startsWith('email.') ? ['all', 'once'] : ['all'];
  if (tenant === 'gamma') return ['ordered'];
  if (tenant !== 'beta' || !type.startsWith('contact.')) return [];
  return type === 'contact.created' ? ['limited', 'quick'] : ['limited'];
}
