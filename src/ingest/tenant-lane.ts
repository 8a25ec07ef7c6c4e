/**
 * The lane that owns a tenant: FNV-1a (32 bit) of its UTF-8 bytes, folded once so
 * that the low bits depend on all of them, modulo the number of lanes.
 */
export function laneOfTenant(bytes: Uint8Array, start: number, end: number, lanes: number): number {
  let hash = 0x811c9dc5;
  for (let i = start; i < end; i++) {
    hash = Math.imul(hash ^ (bytes[i] as number), 0x01000193);
  }
  hash ^= hash >>> 15;
  return (hash >>> 0) % lanes;
}
