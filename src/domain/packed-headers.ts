import type { RecordHeader } from './record.ts';

const LENGTH_BYTES = 4;

/**
 * Record headers as bytes: for each, name length, name, value length, value;
 * lengths are 32-bit little-endian. Used where a record crosses threads.
 */
export function packHeaders(headers: readonly RecordHeader[]): Buffer {
  const parts: Uint8Array[] = [];
  for (const [name, value] of headers) {
    const nameBytes = Buffer.from(name, 'utf8');
    parts.push(lengthOf(nameBytes), nameBytes, lengthOf(value), value);
  }
  return Buffer.concat(parts);
}

/** Values are views on `bytes`. */
export function unpackHeaders(bytes: Buffer): RecordHeader[] {
  const headers: RecordHeader[] = [];
  let at = 0;
  while (at < bytes.length) {
    const nameEnd = at + LENGTH_BYTES + bytes.readUInt32LE(at);
    const valueEnd = nameEnd + LENGTH_BYTES + bytes.readUInt32LE(nameEnd);
    headers.push([
      bytes.toString('utf8', at + LENGTH_BYTES, nameEnd),
      bytes.subarray(nameEnd + LENGTH_BYTES, valueEnd),
    ]);
    at = valueEnd;
  }
  return headers;
}

function lengthOf(bytes: Uint8Array): Buffer {
  const length = Buffer.allocUnsafe(LENGTH_BYTES);
  length.writeUInt32LE(bytes.length);
  return length;
}
