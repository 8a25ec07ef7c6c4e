/**
 * What tells tenants apart cheaply: FNV-1a (32 bit) of the UTF-8 bytes, folded
 * once so that the low bits depend on all of them.
 * @returns a signed 32-bit integer, which V8 keeps in a register where an unsigned one may become an object.
 */
export function hashOfTenant(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5 | 0;
  for (let i = start; i < end; i++) {
    hash = Math.imul(hash ^ (bytes[i] as number), 0x01000193);
  }
  return hash ^ (hash >>> 15);
}

/** The lane that owns a tenant of this hash: the hash, unsigned, modulo the number of lanes. */
export function laneOfHash(hash: number, lanes: number): number {
  return (hash >>> 0) % lanes;
}
