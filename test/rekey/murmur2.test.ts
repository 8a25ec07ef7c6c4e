/** Proves that a tenant's partition is the one that Kafka's Java producer gives a key of the same bytes. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { murmur2, partitionOfKey } from '../../src/rekey/murmur2.ts';
import { variantOf } from '../domain/planted-bug.ts';

/** From Kafka's own `UtilsTest.testMurmur2`. */
const KNOWN: readonly (readonly [text: string, hash: number])[] = [
  ['21', -973932308],
  ['foobar', -790332482],
  ['a-little-bit-long-string', -985981536],
  ['a-little-bit-longer-string', -1486304829],
  ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
  ['abc', 479470107],
];

type Hash = typeof murmur2;

function isKafkas(hash: Hash): boolean {
  return KNOWN.every(([text, expected]) => {
    const bytes = Buffer.from(text);
    return hash(bytes, 0, bytes.length) === expected;
  });
}

test('the hash of known keys is Kafka’s', () => {
  expect(isKafkas(murmur2)).toBe(true);
});

test('a hash that is not Kafka’s is noticed', async () => {
  const wrong = await variantOf<{ murmur2: Hash }>('rekey/murmur2.ts', ['left >= 2', 'left >= 3']);
  expect(isKafkas(wrong.murmur2)).toBe(false);
});

test('the partition depends on the key alone, not on what stands around it, and there is such a one', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 64 }),
      fc.uint8Array({ maxLength: 9 }),
      fc.integer({ min: 1, max: 10_000 }),
      (key, around, partitions) => {
        const inside = Buffer.concat([around, key, around]);
        const partition = partitionOfKey(inside, around.length, around.length + key.length, partitions);
        expect(partition).toBe(partitionOfKey(key, 0, key.length, partitions));
        expect(Number.isInteger(partition) && partition >= 0 && partition < partitions).toBe(true);
      },
    ),
  );
});

test('keys are spread over all partitions', () => {
  const counts = new Map<number, number>();
  for (let i = 0; i < 6_000; i++) {
    const key = Buffer.from(`tenant-${i}`);
    const partition = partitionOfKey(key, 0, key.length, 6);
    counts.set(partition, (counts.get(partition) ?? 0) + 1);
  }
  expect(counts.size).toBe(6);
  expect(Math.min(...counts.values())).toBeGreaterThan(800);
});
