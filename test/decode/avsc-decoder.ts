import { avroType } from '../../src/decode/avro-type.ts';
import { toJsonValue } from './avsc-json-value.ts';

/**
 * The other way from Avro to JSON, by avsc and JavaScript values: what the lanes'
 * transcoder is compared with, and what reads by another schema than the writer's.
 */
export class AvscDecoder {
  readonly #decode: (record: Buffer) => { readonly value: unknown; readonly offset: number };

  /**
   * @param writer a self-contained schema.
   * @param reader with one, records are given as it shapes them (Avro's schema resolution).
   */
  constructor(writer: string, reader: string = writer) {
    const type = avroType(reader);
    const resolver = reader === writer ? undefined : type.createResolver(avroType(writer));
    this.#decode = (record) => type.decode(record, 0, resolver);
  }

  /**
   * The record as a value that `JSON.stringify` renders without loss: longs
   * beyond 2^53 are decimal strings, bytes and fixed are base64, unions are
   * unwrapped, logical types are their base values. NaN and the infinities stay
   * numbers here and become null there.
   *
   * @throws Error when the bytes are not one record of the schema.
   */
  decode(record: Buffer): unknown {
    const { value, offset } = this.#decode(record);
    if (offset !== record.length) throw new Error(`the record ends at ${offset}, not at ${record.length}`);
    return toJsonValue(value);
  }
}
