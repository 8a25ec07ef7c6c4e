import type { FieldMapping, FieldSource } from '../domain/event.ts';
import { limits } from '../domain/limits.ts';
import { INVALID_REASONS, type InvalidReason } from '../domain/outcome.ts';
import type { SourceRecord } from '../domain/record.ts';

/** What ingest needs to know of a writer schema: how to walk its records to the tenant without decoding them. */
export interface RecordProjection {
  /** Checks the record's bytes against the schema and finds the tenant; 0, or the code of an invalid reason. */
  walk(value: Buffer, start: number, end: number): number;
  /** Range of the tenant's UTF-8 bytes found by the last walk; start −1 when there is none. */
  tenantStart(): number;
  tenantEnd(): number;
}

/** Where projections come from. Synchronous: what takes I/O answers `unresolved` and is asked for elsewhere. */
export interface ProjectionSource {
  find(
    schemaId: number,
    tenantPath: readonly string[] | null,
  ): RecordProjection | 'absent' | 'unusable' | 'unresolved';
}

const CODE: Readonly<Record<InvalidReason, number>> = Object.fromEntries(
  INVALID_REASONS.map((reason, code) => [reason, code]),
) as Record<InvalidReason, number>;

const MAGIC_BYTE = 0;
const NO_BYTES = Buffer.alloc(0);

/**
 * Looks into one record as far as admission needs: the Confluent header (magic 0,
 * big-endian schema id), the structure, the tenant. It makes no object per record:
 * the result stays readable on the peek until the next one.
 */
export class Peek {
  /** 0, or the code of the reason why the record is `invalid`. */
  invalid = 0;
  schemaId = 0;
  tenant: Uint8Array = NO_BYTES;
  tenantStart = 0;
  tenantEnd = 0;
  readonly #schemas: ProjectionSource;
  readonly #maxRecordBytes: number;

  constructor(schemas: ProjectionSource, maxRecordBytes: number) {
    this.#schemas = schemas;
    this.#maxRecordBytes = maxRecordBytes;
  }

  /** Takes a record for `malformed` without a look at its value. */
  refuse(): void {
    this.schemaId = 0;
    this.#refuse('malformed');
  }

  /** @returns false when the record's schema is not known yet: nothing can be said until it is. */
  look(record: SourceRecord, mapping: FieldMapping): boolean {
    this.invalid = 0;
    this.schemaId = 0;
    this.tenant = NO_BYTES;
    this.tenantStart = 0;
    this.tenantEnd = 0;
    const value = record.value;
    if (value === null) return this.#refuse('null_value');
    if (value.length > this.#maxRecordBytes) return this.#refuse('oversize');
    if (value.length < limits.wireHeaderBytes) return this.#refuse('too_short');
    if (value[0] !== MAGIC_BYTE) return this.#refuse('not_avro');
    this.schemaId = value.readUInt32BE(1);
    const { tenant } = mapping;
    const projection = this.#schemas.find(this.schemaId, tenant.from === 'avro' ? tenant.path : null);
    if (projection === 'unresolved') return false;
    if (projection === 'absent') return this.#refuse('unknown_schema');
    if (projection === 'unusable') return this.#refuse('unusable_schema');
    this.invalid = projection.walk(value, limits.wireHeaderBytes, value.length);
    if (this.invalid === 0) this.#findTenant(record, tenant, projection);
    return true;
  }

  #findTenant(record: SourceRecord, source: FieldSource, projection: RecordProjection): void {
    if (source.from === 'avro') {
      this.tenant = record.value ?? NO_BYTES;
      this.tenantStart = projection.tenantStart();
      this.tenantEnd = projection.tenantEnd();
    } else {
      this.tenant = (source.from === 'key' ? record.key : headerBytes(record, source.name)) ?? NO_BYTES;
      this.tenantStart = 0;
      this.tenantEnd = this.tenant.length;
    }
    const length = this.tenantEnd - this.tenantStart;
    if (this.tenantStart < 0 || length === 0) this.#refuse('no_tenant');
    else if (length > limits.identifierMaxBytes) this.#refuse('malformed');
  }

  #refuse(reason: InvalidReason): true {
    this.invalid = CODE[reason];
    this.tenant = NO_BYTES;
    this.tenantStart = 0;
    this.tenantEnd = 0;
    return true;
  }
}

function headerBytes(record: SourceRecord, name: string): Buffer | null {
  for (const header of record.headers ?? []) {
    const value = header[name];
    if (value !== undefined) return Buffer.isBuffer(value) ? value : Buffer.from(String(value));
  }
  return null;
}
