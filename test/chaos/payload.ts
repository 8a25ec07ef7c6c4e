import { hash } from 'node:crypto';

import { readSchemaFolder } from '../../src/decode/schema-folder.ts';
import { AvscDecoder } from '../decode/avsc-decoder.ts';
import { repositoryRoot } from '../support/repository.ts';

const WIRE_HEADER_BYTES = 5;

/** What of a record must arrive, by another decoder than the dispatcher's: hashes of the same data are the same. */
export class Payloads {
  readonly #schemas = readSchemaFolder(`${repositoryRoot}/schemas`);
  readonly #decoders = new Map<number, AvscDecoder>();

  /** @param record in the Confluent wire format. */
  ofRecord(record: Buffer): string {
    const id = record.readUInt32BE(1);
    let decoder = this.#decoders.get(id);
    if (decoder === undefined) {
      const schema = this.#schemas.get(id);
      if (schema === undefined) throw new Error(`no schema ${id}`);
      decoder = new AvscDecoder(schema.text);
      this.#decoders.set(id, decoder);
    }
    return payloadOf(decoder.decode(record.subarray(WIRE_HEADER_BYTES)));
  }
}

/** A hash of a JSON value that does not depend on the order of its keys. */
export function payloadOf(value: unknown): string {
  return hash('sha256', JSON.stringify(canonical(value)), 'hex').slice(0, 16);
}

function canonical(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(canonical);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, inner]) => [key, canonical(inner)]),
  );
}
