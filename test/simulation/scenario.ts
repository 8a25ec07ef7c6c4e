import type { Destination } from '../../src/domain/destination.ts';
import { deliveryId } from '../../src/domain/ids.ts';
import { breakerOf, destinationOf, retryOf } from '../lanes/lane-parts.ts';

/** The topics, tenants and destinations of every simulated run. */
export const SOURCE = 'events';
export const DEAD_LETTERS = 'dead';
export const BAD_EVENTS = 'bad';
export const PARTITIONS = 2;
/** Delay topics, shortest first, with delays in milliseconds. */
export const DELAYS: ReadonlyMap<string, number> = new Map([
  ['retry.1s', 1_000],
  ['retry.4s', 4_000],
]);
export const MAX_ATTEMPTS = 4;

/** Every tenant's events go to `plain`, some to `frail` as well, which has a breaker; those of the last one in order. */
export const destinations: readonly Destination[] = [
  destinationOf('plain', {
    events: ['both.*', 'plain.*'],
    maxInFlight: 4,
    retry: retryOf(MAX_ATTEMPTS, 1_000, 6_000),
  }),
  destinationOf('frail', {
    events: ['both.*'],
    maxInFlight: 2,
    retry: retryOf(2, 1_000, 6_000),
    breaker: breakerOf({ openMs: 1_500, maxOpenMs: 5_000 }),
  }),
  destinationOf('ordered', {
    tenant: 'gamma',
    events: ['ordered.*'],
    order: 'key',
    retry: retryOf(MAX_ATTEMPTS, 1_000, 2_000),
    poison: { maxBlockMs: 6_000, then: 'skip' },
  }),
];

/** Value of a record, as text; one of type `broken` is no event. */
export interface SimulatedEvent {
  readonly id: string;
  readonly tenant: string;
  readonly type: 'both.made' | 'plain.made' | 'ordered.made' | 'unwanted.made' | 'broken';
}

/** A record's value: magic byte, schema id, and the event as JSON; a broken one has another magic byte. */
export function valueOf(event: SimulatedEvent): Buffer {
  const head = Buffer.from([event.type === 'broken' ? 7 : 0, 0, 0, 0, 1]);
  return Buffer.concat([head, Buffer.from(JSON.stringify(event))]);
}

export function eventOf(value: string): SimulatedEvent {
  return JSON.parse(value.slice(5)) as SimulatedEvent;
}

/** Which number a tenant's events go to. */
export const TENANTS: Readonly<Record<string, number>> = { alpha: 0, beta: 1, gamma: 0 };

/** Ids of the deliveries that an event makes; an empty one stands for the record that makes none. */
export function deliveriesOf({ id, tenant, type }: SimulatedEvent): string[] {
  const to: Readonly<Record<SimulatedEvent['type'], readonly string[]>> = {
    'both.made': ['plain', 'frail'],
    'plain.made': ['plain'],
    'ordered.made': ['ordered'],
    'unwanted.made': [],
    broken: [],
  };
  const ids = to[type].map((destination) => deliveryId(tenant, id, destination));
  return ids.length === 0 ? [''] : ids;
}
