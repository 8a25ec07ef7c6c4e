/** Zigzag varints of this many bytes carry 49 bits, which number arithmetic keeps exact. */
const EXACT_BYTES = 7;
const EXACT_BELOW = 2 ** 48;

/** The value of a zigzag varint, exact whatever its size: a number where one holds it, else a bigint. `end` is exclusive. */
export function decodeVarint(bytes: Uint8Array, start: number, end: number): number | bigint {
  if (end - start > EXACT_BYTES) return decodeLongVarint(bytes, start, end);
  let zigzag = 0;
  for (let i = end - 1; i >= start; i--) zigzag = zigzag * 0x80 + ((bytes[i] as number) & 0x7f);
  return zigzag % 2 === 0 ? zigzag / 2 : -(zigzag + 1) / 2;
}

function decodeLongVarint(bytes: Uint8Array, start: number, end: number): number | bigint {
  let zigzag = 0n;
  for (let i = end - 1; i >= start; i--) zigzag = (zigzag << 7n) | BigInt((bytes[i] as number) & 0x7f);
  const value = (zigzag & 1n) === 1n ? -(zigzag >> 1n) - 1n : zigzag >> 1n;
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

/** A whole number as a zigzag varint. */
export function encodeVarint(value: number | bigint): Buffer {
  if (typeof value === 'bigint' || Math.abs(value) >= EXACT_BELOW) return encodeLongVarint(BigInt(value));
  const bytes = Buffer.allocUnsafe(EXACT_BYTES);
  let zigzag = value >= 0 ? value * 2 : -value * 2 - 1;
  let length = 0;
  for (; zigzag >= 0x80; zigzag = Math.floor(zigzag / 0x80)) bytes[length++] = (zigzag % 0x80) | 0x80;
  bytes[length++] = zigzag;
  return bytes.subarray(0, length);
}

function encodeLongVarint(value: bigint): Buffer {
  const bytes: number[] = [];
  let zigzag = value >= 0n ? value << 1n : (-value << 1n) - 1n;
  for (; zigzag >= 0x80n; zigzag >>= 7n) bytes.push(Number(zigzag & 0x7fn) | 0x80);
  bytes.push(Number(zigzag));
  return Buffer.from(bytes);
}
