import type { Config } from '../config/config.ts';
import { TenantSpread } from '../ingest/tenant-spread.ts';
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
export function spreadLimitsOf({ lanes, limits }: Config): Map<string, SharedArrayBuffer> {
  const { byTenant, default: usual } = limits.tenants;
  const limited = Object.keys(lanes.spread).filter((tenant) => (byTenant[tenant] ?? usual) !== null);
  return new Map(limited.map((tenant) => [tenant, sharedBucketMemory(lanes.count)]));
}
