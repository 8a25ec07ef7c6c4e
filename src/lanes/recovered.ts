import { partName } from '../domain/spread.ts';
import type { OpenRecord } from './open-record.ts';

/**
 * Whether a former owner has ended it without a delivery: the ledger has that under the
 * empty id, or, of a copy that killed its lane, under the name of its part.
 */
export function hasEnded({ origin: { assignment, offset, part, parts } }: OpenRecord): boolean {
  const ids = assignment.recovered.get(offset);
  const hasIts = ids?.has('') === true || (parts > 1 && ids?.has(partName(part, parts)) === true);
  return hasIts && assignment.recovered.delete(offset);
}

/**
 * Ids of what a former owner ended of this record, which no other record asks
 * for. Records of an assignment come in turn of their tenants, so that a late offset
 * does not tell that all earlier ones have been here.
 */
export function recoveredOf({ origin: { assignment, offset } }: OpenRecord): ReadonlySet<string> | undefined {
  const ids = assignment.recovered.get(offset);
  if (ids !== undefined) assignment.recovered.delete(offset);
  return ids;
}
