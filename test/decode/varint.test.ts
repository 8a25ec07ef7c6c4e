import fc from 'fast-check';
import { expect, it } from 'vitest';
import { decodeVarint, encodeVarint } from '../../src/decode/varint.ts';

/* Proves that varints keep all 64 bits, on both sides of where number arithmetic ends. */

const WIRE: readonly (readonly [bigint, string])[] = [
  [0n, '00'],
  [-1n, '01'],
  [64n, '8001'],
  [-65n, '8101'],
  [2n ** 48n - 1n, 'feffffffffff7f'],
  [-(2n ** 48n), 'ffffffffffff7f'],
  [2n ** 48n, '8080808080808001'],
  [2n ** 63n - 1n, 'feffffffffffffffff01'],
  [-(2n ** 63n), 'ffffffffffffffffff01'],
];

it.each(WIRE)('%s is on the wire as the specification says', (value, hex) => {
  expect(encodeVarint(value).toString('hex')).toBe(hex);
  expect(BigInt(decodeVarint(Buffer.from(hex, 'hex'), 0, hex.length / 2))).toBe(value);
});

it('every long comes back, from a number and from a bigint', () => {
  const longs = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
  const nearTheEdges = fc
    .tuple(
      fc.constantFrom(2n ** 48n, 2n ** 52n, 2n ** 53n, 0n),
      fc.bigInt({ min: -300n, max: 300n }),
      fc.boolean(),
    )
    .map(([edge, by, isNegative]) => (isNegative ? -edge - by : edge + by));
  fc.assert(
    fc.property(fc.oneof(longs, nearTheEdges), (value) => {
      const bytes = encodeVarint(value);
      const number = Number(value);
      expect(BigInt(decodeVarint(bytes, 0, bytes.length))).toBe(value);
      if (Number.isSafeInteger(number)) {
        expect(encodeVarint(number)).toEqual(bytes);
        expect(decodeVarint(bytes, 0, bytes.length)).toBe(number);
      }
    }),
    { numRuns: 3_000 },
  );
});
