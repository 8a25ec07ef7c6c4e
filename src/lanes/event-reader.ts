import { AvroDecoder } from '../decode/avro-decoder.ts';
import { buildEvent, type DecodedRecord } from '../decode/envelope.ts';
import { InvalidRecord } from '../decode/errors.ts';
import type { Event, FieldMapping } from '../domain/event.ts';
import { limits } from '../domain/limits.ts';
import type { InvalidReason } from '../domain/outcome.ts';
import { unpackHeaders } from '../domain/packed-headers.ts';
import type { RecordHeader } from '../domain/record.ts';
import type { OpenRecord } from './open-record.ts';

const NO_HEADERS: readonly RecordHeader[] = [];

/** Makes events of records: full Avro decode, JSON, envelope. Main has walked their bytes before. */
export class EventReader {
  readonly #decoder = new AvroDecoder();

  define(schemaId: number, source: string): void {
    this.#decoder.define(schemaId, source);
  }

  /** @returns the event, or the reason why the record is none. */
  read(record: OpenRecord, schemaId: number, tenant: string): Event | InvalidReason {
    const { assignment, offset, timestampMs } = record.origin;
    const { topic, partition, mapping } = assignment;
    const headers = record.headers === null ? NO_HEADERS : unpackHeaders(record.headers);
    try {
      return buildEvent(
        this.#decode(record, schemaId, mapping),
        mapping,
        { topic, partition, offset, timestampMs, key: record.key, headers },
        tenant,
      );
    } catch (error) {
      if (error instanceof InvalidRecord) return error.reason;
      throw error;
    }
  }

  #decode({ value }: OpenRecord, schemaId: number, mapping: FieldMapping): DecodedRecord {
    if (value === null) throw new InvalidRecord('null_value', 'the record has no value');
    const decoded = this.#decoder.decode(schemaId, value, limits.wireHeaderBytes, value.length);
    return {
      value: decoded,
      json: JSON.stringify(decoded),
      schemaName: this.#decoder.schemaName(schemaId),
      timeScale: mapping.time.from === 'avro' ? this.#decoder.timeScale(schemaId, mapping.time.path) : 'millis',
    };
  }
}
