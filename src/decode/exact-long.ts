import avsc from 'avsc';
import { decodeVarint, encodeVarint } from './varint.ts';

/**
 * A `long` that keeps every value: numbers as far as they are exact, beyond that
 * decimal digits. avsc's own refuses values beyond ±2^53, and between −2^53 and
 * −2^52 it reads and writes wrong ones without an error, because it computes the
 * doubled (zigzag) value in a double.
 *
 * avsc hands over and takes the varint's bytes as they are on the wire.
 */
export const exactLong = avsc.types.LongType.__with(
  {
    fromBuffer: (varint: Buffer): number | string => asJson(decodeVarint(varint, 0, varint.length)),
    toBuffer: (value: number | string): Buffer =>
      encodeVarint(typeof value === 'number' ? value : BigInt(value)),
    fromJSON: (value: unknown): unknown => value,
    toJSON: (value: unknown): unknown => value,
    isValid: (value: unknown): boolean => Number.isSafeInteger(value) || isDecimal(value),
    compare: (a: number | string, b: number | string): number => Number(BigInt(a) - BigInt(b)),
  },
  true,
);

const LEAST = -(2n ** 63n);
const MOST = 2n ** 63n - 1n;

function isDecimal(value: unknown): boolean {
  if (typeof value !== 'string' || !/^-?\d{1,19}$/.test(value)) return false;
  const whole = BigInt(value);
  return whole >= LEAST && whole <= MOST;
}

function asJson(value: number | bigint): number | string {
  return typeof value === 'number' ? value : String(value);
}
