import { partOfDestination } from '../domain/spread.ts';
import { hashOfTenant } from './tenant-lane.ts';

interface SpreadTenantOptions {
  readonly tenant: string;
  /** How many lanes it may have. */
  readonly lanes: number;
  /** Ids of its destinations, in the order in which lanes know them. */
  readonly destinations: readonly string[];
}

/** A tenant that is in several lanes: in each with a part of its destinations. */
export interface SpreadTenant {
  readonly name: Buffer;
  /** No more than it has destinations, or a lane would get copies for nothing. */
  readonly parts: number;
  readonly partByDestination: ReadonlyMap<string, number>;
}

/** Who is in several lanes, found by the bytes of a record. */
export class TenantSpread {
  /** By hash. */
  readonly #tenants = new Map<number, SpreadTenant[]>();

  constructor(tenants: Iterable<SpreadTenantOptions> = []) {
    for (const { tenant, lanes, destinations } of tenants) {
      const parts = Math.min(lanes, destinations.length);
      if (parts < 2) continue;
      const name = Buffer.from(tenant);
      const hash = hashOfTenant(name, 0, name.length);
      const partByDestination = new Map(
        destinations.map((id, index) => [id, partOfDestination(index, parts)]),
      );
      this.#tenants.set(hash, [...(this.#tenants.get(hash) ?? []), { name, parts, partByDestination }]);
    }
  }

  /** Null for a tenant that is in one lane. */
  find(hash: number, tenant: Uint8Array, start: number, end: number): SpreadTenant | null {
    if (this.#tenants.size === 0) return null;
    const found = this.#tenants.get(hash)?.find(({ name }) => name.equals(tenant.subarray(start, end)));
    return found ?? null;
  }
}

/** The lane of one part of a tenant: the parts are in lanes next to each other. */
export function laneOfPart(homeLane: number, part: number, lanes: number): number {
  return (homeLane + part) % lanes;
}
