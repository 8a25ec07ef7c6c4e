import type { Type } from 'avsc';
import { limits } from '../domain/limits.ts';
import { avroType } from './avro-type.ts';
import { writeSchemaId } from './wire.ts';

const FIRST_SCRATCH_BYTES = 4096;

/** Encodes records in the Confluent wire format, for producers of samples and for tests. */
export class AvroEncoder {
  readonly #types = new Map<number, Type>();
  #scratch = Buffer.allocUnsafeSlow(FIRST_SCRATCH_BYTES);

  /**
   * @param text an Avro schema that refers to no other.
   * @throws UnusableSchema
   */
  define(id: number, text: string): void {
    this.#types.set(id, avroType(text, 'plain'));
  }

  /**
   * @param value fields that have defaults may be left out.
   * @throws Error when the value does not fit the schema, or the schema is not defined.
   */
  encode(id: number, value: unknown): Buffer {
    const type = this.#types.get(id);
    if (type === undefined) throw new Error(`schema ${id} was never defined`);
    const end = this.#encodeInto(type, value);
    writeSchemaId(this.#scratch, id);
    return Buffer.from(this.#scratch.subarray(0, end));
  }

  #encodeInto(type: Type, value: unknown): number {
    const end = type.encode(value, this.#scratch, limits.wireHeaderBytes);
    if (end >= 0) return end;
    // A negative result is the number of bytes that were missing.
    this.#scratch = Buffer.allocUnsafeSlow(this.#scratch.length - end);
    return this.#encodeInto(type, value);
  }
}
