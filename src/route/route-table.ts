import { EVERY_TENANT, type Destination } from '../domain/destination.ts';
import { globMatches } from './glob.ts';

/** Event types whose matches are remembered per tenant; types beyond it are matched anew. */
const REMEMBERED_TYPES = 512;

/**
 * Answers which of a tenant's destinations want an event type. Made anew for each
 * catalogue snapshot; a lane asks it once per event.
 */
export class RouteTable {
  readonly #named = new Map<string, Destination[]>();
  readonly #everyTenant: Destination[] = [];

  constructor(destinations: readonly Destination[]) {
    for (const destination of destinations) {
      if (destination.tenant === EVERY_TENANT) this.#everyTenant.push(destination);
      else this.#named.set(destination.tenant, [...(this.#named.get(destination.tenant) ?? []), destination]);
    }
  }

  /** A tenant's own view; the caller keeps it as long as it keeps the tenant. */
  forTenant(tenant: string): TenantRoutes {
    return new TenantRoutes([...(this.#named.get(tenant) ?? []), ...this.#everyTenant]);
  }
}

export class TenantRoutes {
  readonly destinations: readonly Destination[];
  readonly #byType = new Map<string, readonly number[]>();

  constructor(destinations: readonly Destination[]) {
    this.destinations = destinations;
  }

  /** Indexes into `destinations` of those that want this event type. */
  match(type: string): readonly number[] {
    const known = this.#byType.get(type);
    if (known !== undefined) return known;
    const found = this.destinations.flatMap((destination, index) =>
      destination.events.some((glob) => globMatches(glob, type)) ? [index] : [],
    );
    if (this.#byType.size < REMEMBERED_TYPES) this.#byType.set(type, found);
    return found;
  }
}
