/** The value of a zigzag varint, exact whatever its size. `end` is exclusive. */
export function decodeVarint(bytes: Uint8Array, start: number, end: number): bigint {
  let zigzag = 0n;
  for (let i = end - 1; i >= start; i--) zigzag = (zigzag << 7n) | BigInt((bytes[i] as number) & 0x7f);
  return (zigzag & 1n) === 1n ? -(zigzag >> 1n) - 1n : zigzag >> 1n;
}

export function encodeVarint(value: bigint): Buffer {
  const bytes: number[] = [];
  let zigzag = value >= 0n ? value << 1n : (-value << 1n) - 1n;
  for (; zigzag >= 0x80n; zigzag >>= 7n) bytes.push(Number(zigzag & 0x7fn) | 0x80);
  bytes.push(Number(zigzag));
  return Buffer.from(bytes);
}
