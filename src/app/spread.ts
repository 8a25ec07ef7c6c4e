import type { Config } from '../config/config.ts';
import { limitOfTenant } from '../domain/destination.ts';
import { TenantSpread } from '../ingest/tenant-spread.ts';
import type { SharedLimit } from '../lanes/protocol.ts';
import { sharedBucketMemory } from '../limit/shared-token-bucket.ts';
import { RouteTable } from '../route/route-table.ts';

/** Who is in several lanes, with destinations in the order in which lanes know them. */
export function spreadOf({ lanes, destinations }: Config): TenantSpread {
  const routes = new RouteTable(destinations);
  return new TenantSpread(
    Object.entries(lanes.spread).map(([tenant, most]) => ({
      tenant,
      lanes: most,
      destinations: routes.forTenant(tenant).destinations.map(({ id }) => id),
    })),
  );
}

/** One bucket for each spread tenant that has a limit. */
export function spreadLimitsOf({ lanes, limits }: Config): Map<string, SharedLimit> {
  const shared = new Map<string, SharedLimit>();
  for (const tenant of Object.keys(lanes.spread)) {
    const limit = limitOfTenant(limits.tenants, tenant);
    if (limit !== null) shared.set(tenant, { limit, memory: sharedBucketMemory(lanes.count) });
  }
  return shared;
}
