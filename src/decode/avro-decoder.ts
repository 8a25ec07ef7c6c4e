import type { Type } from 'avsc';
import { messageOf } from '../domain/errors.ts';
import { limits } from '../domain/limits.ts';
import { avroType } from './avro-type.ts';
import { BoundedCache } from './bounded-cache.ts';
import { InvalidRecord } from './errors.ts';
import { needsJsonValue, toJsonValue } from './json-value.ts';
import { typeAt, type AvroRecord } from './schema-model.ts';
import { parseSchemas } from './schema-parser.ts';
import { timeScaleOf, type TimeScale } from './time-scale.ts';

/** Reader schemas' texts by the full name of the writer's record they read. */
export type ReaderSchemas = ReadonlyMap<string, string>;

/**
 * Decodes records in full, in a lane thread, by schemas that were defined before.
 * It trusts that `RecordWalker` accepted the bytes: without that a few bytes may
 * decode to gigabytes.
 *
 * Texts are kept for good, since main defines an id once; what is compiled from
 * them is bounded by `limits.schemaCacheEntries`.
 */
export class AvroDecoder {
  readonly #sources = new Map<number, string>();
  readonly #compiled = new BoundedCache<number, CompiledSchema>(limits.schemaCacheEntries);
  readonly #readers: ReaderSchemas;

  /** @param readers with one, records are given as it shapes them (Avro's schema resolution) instead of as written. */
  constructor(readers: ReaderSchemas = new Map()) {
    this.#readers = readers;
  }

  /** @param source a writer schema's `source`, as the schema store gives it. */
  define(id: number, source: string): void {
    this.#sources.set(id, source);
  }

  /**
   * The record as a value that `JSON.stringify` renders without loss: longs
   * beyond 2^53 are decimal strings, bytes and fixed are base64, unions are
   * unwrapped, logical types are their base values. NaN and the infinities, for
   * which JSON has no form, stay numbers here and become null there.
   *
   * @throws InvalidRecord `undecodable` when the bytes do not fit, or the reader schema cannot read the writer's.
   */
  decode(id: number, bytes: Buffer, start: number, end: number): unknown {
    return this.#schema(id).decode(bytes, start, end);
  }

  /** The full name of the record's schema. */
  schemaName(id: number): string {
    return this.#schema(id).shape.name;
  }

  /** What a number at this path counts since the epoch; millis unless its logical type says otherwise. */
  timeScale(id: number, path: readonly string[]): TimeScale {
    return this.#schema(id).timeScale(path);
  }

  #schema(id: number): CompiledSchema {
    const known = this.#compiled.get(id);
    if (known !== undefined) return known;
    const source = this.#sources.get(id);
    if (source === undefined) throw new InvalidRecord('undecodable', `schema ${id} was never defined`);
    const compiled = compile(source, this.#readers);
    this.#compiled.set(id, compiled);
    return compiled;
  }
}

function compile(source: string, readers: ReaderSchemas): CompiledSchema {
  try {
    const writer = parseSchemas([source]);
    const reader = readers.get(writer.name);
    return new CompiledSchema(source, reader ?? null, reader === undefined ? writer : parseSchemas([reader]));
  } catch (error) {
    throw new InvalidRecord('undecodable', messageOf(error), { cause: error });
  }
}

class CompiledSchema {
  /** The record as it is decoded: the reader's where there is one. */
  readonly shape: AvroRecord;
  readonly #type: Type;
  readonly #resolver: ReturnType<Type['createResolver']> | undefined;
  readonly #needsJsonValue: boolean;
  #timePath: readonly string[] | null = null;
  #timeScale: TimeScale = 'millis';

  constructor(writer: string, reader: string | null, shape: AvroRecord) {
    this.shape = shape;
    this.#type = avroType(reader ?? writer);
    this.#resolver = reader === null ? undefined : this.#type.createResolver(avroType(writer));
    this.#needsJsonValue = needsJsonValue(shape);
  }

  decode(bytes: Buffer, start: number, end: number): unknown {
    const value = this.#decodeExactly(bytes, start, end);
    return this.#needsJsonValue ? toJsonValue(value) : value;
  }

  timeScale(path: readonly string[]): TimeScale {
    if (path !== this.#timePath) {
      this.#timePath = path;
      this.#timeScale = timeScaleOf(typeAt(this.shape, path));
    }
    return this.#timeScale;
  }

  #decodeExactly(bytes: Buffer, start: number, end: number): unknown {
    try {
      const decoded = this.#type.decode(bytes, start, this.#resolver);
      if (decoded.offset === end) return decoded.value;
    } catch (error) {
      throw new InvalidRecord('undecodable', messageOf(error), { cause: error });
    }
    throw new InvalidRecord('undecodable', 'the record does not end where its bytes do');
  }
}
