import avsc from 'avsc';
import { decodeVarint, encodeVarint } from './varint.ts';

/**
 * avsc's `long` refuses what a JavaScript number cannot hold exactly. This one
 * gives such a value as its decimal digits, and every other one as a number.
 * avsc hands over and takes the varint's bytes as they are on the wire.
 */
export const exactLong = avsc.types.LongType.__with(
  {
    fromBuffer: (varint: Buffer): number | string => asJson(decodeVarint(varint, 0, varint.length)),
    toBuffer: (value: number | string): Buffer => encodeVarint(BigInt(value)),
    fromJSON: (value: unknown): unknown => value,
    toJSON: (value: unknown): unknown => value,
    isValid: (value: unknown): boolean => Number.isInteger(value) || isDecimal(value),
    compare: (a: number | string, b: number | string): number => Number(BigInt(a) - BigInt(b)),
  },
  true,
);

function isDecimal(value: unknown): boolean {
  return typeof value === 'string' && /^-?\d+$/.test(value);
}

function asJson(value: bigint): number | string {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : String(value);
}
