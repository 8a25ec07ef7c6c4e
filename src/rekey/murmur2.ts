const SEED = 0x9747b28c;
const M = 0x5bd1e995;
const R = 24;

/**
 * The partition that Kafka's Java producer gives a key: murmur2, made positive,
 * modulo the partitions (`BuiltInPartitioner.partitionForKey`, `Utils.murmur2`). So a
 * topic which Java producers key by tenant and the rekeyed one agree on a tenant's number.
 *
 * @param bytes those from `start` to `end` are the key.
 */
export function partitionOfKey(bytes: Uint8Array, start: number, end: number, partitions: number): number {
  return (murmur2(bytes, start, end) & 0x7fff_ffff) % partitions;
}

/** @returns a signed 32-bit integer, as Java's `int`. */
export function murmur2(bytes: Uint8Array, start: number, end: number): number {
  const at = (index: number): number => bytes[index] as number;
  let hash = SEED ^ (end - start);
  let i = start;
  for (; i + 4 <= end; i += 4) {
    let k = at(i) | (at(i + 1) << 8) | (at(i + 2) << 16) | (at(i + 3) << 24);
    k = Math.imul(k, M);
    k ^= k >>> R;
    hash = Math.imul(hash, M) ^ Math.imul(k, M);
  }
  const left = end - i;
  if (left >= 3) hash ^= at(i + 2) << 16;
  if (left >= 2) hash ^= at(i + 1) << 8;
  if (left >= 1) hash = Math.imul(hash ^ at(i), M);
  hash = Math.imul(hash ^ (hash >>> 13), M);
  return hash ^ (hash >>> 15);
}
