import type { FieldMapping, FieldSource } from '../domain/event.ts';
import { messageOf } from '../domain/errors.ts';
import { limits } from '../domain/limits.ts';
import { BoundedCache } from './bounded-cache.ts';
import type { AvroSource, DecodedRecord } from './envelope.ts';
import { InvalidRecord } from './errors.ts';
import { JsonOutput } from './json-output.ts';
import { JsonTranscoder } from './json-transcoder.ts';
import { typeAt, type AvroRecord } from './schema-model.ts';
import { parseSchemas } from './schema-parser.ts';
import { epochMs, timeScaleOf, type TimeScale } from './time-scale.ts';
import { compileWalker, type RecordWalker } from './walk.ts';

/**
 * Decodes records in full, in a lane thread, by schemas that were defined before:
 * to JSON, and to the fields the envelope is made of. Ingest has walked the bytes.
 *
 * Texts are kept for good, since main defines an id once; what is compiled from
 * them is bounded by `limits.schemaCacheEntries`.
 */
export class RecordDecoder {
  readonly #sources = new Map<number, string>();
  readonly #compiled = new BoundedCache<number, CompiledSchema>(limits.schemaCacheEntries);
  readonly #output = new JsonOutput(limits.jsonMaxBytes);

  /** @param source a writer schema's `source`, as the schema store gives it. */
  define(id: number, source: string): void {
    this.#sources.set(id, source);
  }

  /**
   * @param mapping lives as long as the program: what is compiled for it is kept by the object itself.
   * @returns what stands until the next record of this schema.
   * @throws InvalidRecord `undecodable` when the bytes do not fit the schema.
   */
  decode(id: number, bytes: Buffer, start: number, end: number, mapping: FieldMapping): DecodedRecord {
    return this.#schema(id).decode(bytes, start, end, mapping);
  }

  #schema(id: number): CompiledSchema {
    const known = this.#compiled.get(id);
    if (known !== undefined) return known;
    const source = this.#sources.get(id);
    if (source === undefined) throw new InvalidRecord('undecodable', `schema ${id} was never defined`);
    const compiled = this.#compile(source);
    this.#compiled.set(id, compiled);
    return compiled;
  }

  #compile(source: string): CompiledSchema {
    try {
      return new CompiledSchema(parseSchemas([source]), this.#output);
    } catch (error) {
      throw new InvalidRecord('undecodable', messageOf(error), { cause: error });
    }
  }
}

class CompiledSchema {
  readonly #record: AvroRecord;
  readonly #transcoder: JsonTranscoder;
  readonly #mapped = new Map<FieldMapping, MappedRecord>();

  constructor(record: AvroRecord, output: JsonOutput) {
    this.#record = record;
    this.#transcoder = new JsonTranscoder(record, output);
  }

  decode(bytes: Buffer, start: number, end: number, mapping: FieldMapping): DecodedRecord {
    const decoded = this.#mapping(mapping);
    decoded.find(bytes, start, end);
    const transcoded = this.#transcode(bytes, start);
    if (transcoded.end !== end) {
      throw new InvalidRecord(
        'undecodable',
        `the record ends at ${transcoded.end - start}, not at ${end - start}`,
      );
    }
    decoded.data = transcoded.json;
    return decoded;
  }

  #transcode(bytes: Buffer, start: number): ReturnType<JsonTranscoder['transcode']> {
    try {
      return this.#transcoder.transcode(bytes, start);
    } catch (error) {
      if (error instanceof RangeError) throw new InvalidRecord('oversize', error.message, { cause: error });
      throw error;
    }
  }

  #mapping(mapping: FieldMapping): MappedRecord {
    const known = this.#mapped.get(mapping);
    if (known !== undefined) return known;
    const mapped = new MappedRecord(this.#record, mapping);
    this.#mapped.set(mapping, mapped);
    return mapped;
  }
}

function avroSourcesOf(mapping: FieldMapping): AvroSource[] {
  return Object.values(mapping).filter(
    (source: FieldMapping[keyof FieldMapping]): source is AvroSource => source?.from === 'avro',
  );
}

const NO_BYTES = Buffer.alloc(0);

/** The envelope's fields of the record that was decoded last, found by one more walk over its bytes. */
class MappedRecord implements DecodedRecord {
  readonly schemaName: string;
  data: Buffer = NO_BYTES;
  readonly #walker: RecordWalker;
  readonly #indexes = new Map<FieldSource, number>();
  /** By the source's index. */
  readonly #timeScales: readonly TimeScale[];
  #bytes: Buffer = NO_BYTES;

  constructor(record: AvroRecord, mapping: FieldMapping) {
    const sources = avroSourcesOf(mapping);
    sources.forEach((source, index) => this.#indexes.set(source, index));
    this.#walker = compileWalker(
      record,
      sources.map((source) => source.path),
    );
    this.#timeScales = sources.map((source) => timeScaleOf(typeAt(record, source.path)));
    this.schemaName = record.name;
  }

  find(bytes: Buffer, start: number, end: number): void {
    if (this.#walker.walk(bytes, start, end) !== 0) {
      throw new InvalidRecord('undecodable', 'the bytes do not fit the schema');
    }
    this.#bytes = bytes;
  }

  text(source: AvroSource): string {
    return this.#walker.text(this.#index(source), this.#bytes) ?? '';
  }

  timeMs(source: AvroSource): number | null {
    const index = this.#index(source);
    const scale = this.#timeScales[index] ?? 'millis';
    const whole = this.#walker.integer(index, this.#bytes);
    if (whole !== null) return epochMs(Number(whole), scale);
    return epochMs(this.#walker.text(index, this.#bytes), scale);
  }

  #index(source: AvroSource): number {
    const index = this.#indexes.get(source);
    if (index === undefined) throw new RangeError(`${source.path.join('.')} is not a field of this mapping`);
    return index;
  }
}
