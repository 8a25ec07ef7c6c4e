import type { Type } from 'avsc';
import { messageOf } from '../domain/errors.ts';
import { limits } from '../domain/limits.ts';
import { avroType, type LongValues } from './avro-type.ts';
import { BoundedCache } from './bounded-cache.ts';
import { InvalidRecord } from './errors.ts';
import { needsJsonValue, toJsonValue } from './json-value.ts';
import { typeAt, type AvroRecord } from './schema-model.ts';
import { parseSchemas } from './schema-parser.ts';
import { timeScaleOf, type TimeScale } from './time-scale.ts';

/** Reader schemas' texts by the full name of the writer's record they read. */
export type ReaderSchemas = ReadonlyMap<string, string>;

/** How avsc's plain long says that a value is beyond ±2^53. */
const PRECISION_LOSS = 'potential precision loss';

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

interface Codec {
  readonly type: Type;
  readonly resolver: ReturnType<Type['createResolver']> | undefined;
}

class CompiledSchema {
  /** The record as it is decoded: the reader's where there is one. */
  readonly shape: AvroRecord;
  readonly #writer: string;
  readonly #reader: string | null;
  readonly #needsJsonValue: boolean;
  #codec: Codec;
  #longs: LongValues = 'plain';
  #timePath: readonly string[] | null = null;
  #timeScale: TimeScale = 'millis';

  constructor(writer: string, reader: string | null, shape: AvroRecord) {
    this.#writer = writer;
    this.#reader = reader;
    this.shape = shape;
    this.#needsJsonValue = needsJsonValue(shape);
    this.#codec = codecOf(writer, reader, 'plain');
  }

  decode(bytes: Buffer, start: number, end: number): unknown {
    const value = this.#decodeLongs(bytes, start, end);
    return this.#needsJsonValue ? toJsonValue(value) : value;
  }

  timeScale(path: readonly string[]): TimeScale {
    if (path !== this.#timePath) {
      this.#timePath = path;
      this.#timeScale = timeScaleOf(typeAt(this.shape, path));
    }
    return this.#timeScale;
  }

  #decodeLongs(bytes: Buffer, start: number, end: number): unknown {
    try {
      return decodeExactly(this.#codec, bytes, start, end);
    } catch (error) {
      const mayRetry = this.#longs === 'plain' && messageOf(error) === PRECISION_LOSS;
      if (!mayRetry) throw new InvalidRecord('undecodable', messageOf(error), { cause: error });
    }
    // A schema that has such values once has them often, and a throw costs more than exact longs do.
    this.#longs = 'exact';
    this.#codec = codecOf(this.#writer, this.#reader, 'exact');
    return this.#decodeLongs(bytes, start, end);
  }
}

function codecOf(writer: string, reader: string | null, longs: LongValues): Codec {
  const written = avroType(writer, longs);
  if (reader === null) return { type: written, resolver: undefined };
  const type = avroType(reader, longs);
  return { type, resolver: type.createResolver(written) };
}

function decodeExactly(codec: Codec, bytes: Buffer, start: number, end: number): unknown {
  const decoded = codec.type.decode(bytes, start, codec.resolver);
  if (decoded.offset !== end)
    throw new Error(`the record ends at ${decoded.offset - start}, not at ${end - start}`);
  return decoded.value;
}
