import { limits } from '../domain/limits.ts';
import { reasonCode } from './reason-code.ts';

const MAGIC = 0;
const TOO_SHORT = reasonCode('too_short');
const NOT_AVRO = reasonCode('not_avro');

/**
 * The schema id in the Confluent header (magic byte 0, big-endian 32-bit id) of
 * a record's value; the Avro bytes start `limits.wireHeaderBytes` later.
 * A negative result is `-reasonCode` of `too_short` or `not_avro`.
 */
export function readSchemaId(buffer: Buffer, start: number, end: number): number {
  if (end - start < limits.wireHeaderBytes) return -TOO_SHORT;
  if (buffer[start] !== MAGIC) return -NOT_AVRO;
  return buffer.readUInt32BE(start + 1);
}

/** Writes the Confluent header at the beginning of `target`. */
export function writeSchemaId(target: Buffer, id: number): void {
  target[0] = MAGIC;
  target.writeUInt32BE(id, 1);
}

/** A record's value: the Confluent header, then the Avro bytes. */
export function encodeConfluent(id: number, avro: Uint8Array): Buffer {
  const value = Buffer.allocUnsafe(limits.wireHeaderBytes + avro.length);
  writeSchemaId(value, id);
  value.set(avro, limits.wireHeaderBytes);
  return value;
}
