import { messageOf } from '../domain/errors.ts';
import type { AvroRecord } from './schema-model.ts';
import { parseSchemas } from './schema-parser.ts';
import { sourceOf } from './schema-source.ts';
import { compileWalker, type RecordWalker } from './walk.ts';

/** What a schema id stands for, as far as is known now. */
export type SchemaLookup =
  | { readonly state: 'known'; readonly schema: WriterSchema }
  /** The folder does not have it, and the registry said that it does not exist. */
  | { readonly state: 'absent' }
  | { readonly state: 'unusable'; readonly reason: string }
  /** Nobody was asked yet, or not lately. */
  | { readonly state: 'unresolved' };

const TENANT = 0;

/** A walker that looks for the tenant, in the form that ingest asks for (`ingest/peek.ts`). */
class TenantProjection {
  readonly #walker: RecordWalker;

  /** @param walker compiled for the tenant's path alone. */
  constructor(walker: RecordWalker) {
    this.#walker = walker;
  }

  /** @returns 0, or the code of the reason why the record is invalid. */
  walk(value: Buffer, start: number, end: number): number {
    return this.#walker.walk(value, start, end);
  }

  /** Where the tenant's UTF-8 bytes begin in the record walked last; −1 when it has no tenant that is a string. */
  tenantStart(): number {
    return this.#walker.rangeStart(TENANT);
  }

  tenantEnd(): number {
    return this.#walker.rangeEnd(TENANT);
  }

  /** The tenant as text also where it is a number or an enum's symbol, which have no UTF-8 bytes in the record. */
  tenantText(value: Buffer): string | null {
    return this.#walker.text(TENANT, value);
  }
}

/** A schema that records were written with, ready for ingest. */
export class WriterSchema {
  readonly id: number;
  /** Self-contained JSON text, for `RecordDecoder.define` in the lanes. */
  readonly source: string;
  readonly #record: AvroRecord;
  readonly #projections = new Map<readonly string[] | null, TenantProjection>();

  constructor(id: number, record: AvroRecord) {
    this.id = id;
    this.source = sourceOf(record);
    this.#record = record;
    // A schema that lanes could not decode by must be refused here, where it is still the record's reason.
    compileWalker(parseSchemas([this.source]), []);
  }

  /**
   * How to check this schema's records and find the tenant in them.
   *
   * @param path from the field mapping, which lives as long as the program: projections are kept by the array itself.
   */
  projection(path: readonly string[] | null): TenantProjection {
    const known = this.#projections.get(path);
    if (known !== undefined) return known;
    const projection = new TenantProjection(compileWalker(this.#record, [path ?? []]));
    this.#projections.set(path, projection);
    return projection;
  }
}

/** @param texts in dependency order, the record's own last. */
export function compileWriterSchema(id: number, texts: readonly string[]): SchemaLookup {
  try {
    return { state: 'known', schema: new WriterSchema(id, parseSchemas(texts)) };
  } catch (error) {
    // Not UnusableSchema alone: definitions that chain thousands of records exhaust the stack.
    return { state: 'unusable', reason: messageOf(error) };
  }
}
