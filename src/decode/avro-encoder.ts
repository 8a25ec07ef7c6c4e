import type { Type } from 'avsc';
import { limits } from '../domain/limits.ts';
import { avroType } from './avro-type.ts';
import type { SchemaFolder } from './schema-folder.ts';
import { writeSchemaId } from './wire.ts';

const FIRST_SCRATCH_BYTES = 4096;

/** Encodes records of one schema in the Confluent wire format. */
export class AvroEncoder {
  readonly #id: number;
  readonly #type: Type;
  #scratch = Buffer.allocUnsafeSlow(FIRST_SCRATCH_BYTES);

  /**
   * @param text an Avro schema that refers to no other.
   * @throws UnusableSchema
   */
  constructor(id: number, text: string) {
    this.#id = id;
    this.#type = avroType(text);
  }

  /**
   * @param value fields that have defaults may be left out.
   * @throws Error when the value does not fit the schema.
   */
  encode(value: unknown): Buffer {
    const end = this.#encodeIntoScratch(value);
    writeSchemaId(this.#scratch, this.#id);
    return Buffer.from(this.#scratch.subarray(0, end));
  }

  #encodeIntoScratch(value: unknown): number {
    const end = this.#type.encode(value, this.#scratch, limits.wireHeaderBytes);
    if (end >= 0) return end;
    // A negative result is the number of bytes that were missing.
    this.#scratch = Buffer.allocUnsafeSlow(this.#scratch.length - end);
    return this.#encodeIntoScratch(value);
  }
}

/** Encoders for the schemas of a folder. */
export class FolderEncoder {
  readonly #folder: SchemaFolder;

  constructor(folder: SchemaFolder) {
    this.#folder = folder;
  }

  /** A new encoder for a subject's schema; null when the folder has no such version. */
  find(subject: string, version: number): AvroEncoder | null {
    for (const schema of this.#folder.values()) {
      if (schema.subject === subject && schema.version === version)
        return new AvroEncoder(schema.id, schema.text);
    }
    return null;
  }
}
