/**
 * Which part of a tenant that is spread over lanes a destination belongs to. Main packs by
 * it and lanes keep by it; turns, so that no part has two more destinations than another.
 *
 * @param index of the destination among its tenant's, in the order of `route/route-table.ts`.
 * @param parts how many lanes the tenant is in.
 */
export function partOfDestination(index: number, parts: number): number {
  return index % parts;
}

/** What a ledger row about one part of a record has in place of a delivery's id. */
export function partName(part: number, parts: number): string {
  return `part ${part} of ${parts}`;
}
