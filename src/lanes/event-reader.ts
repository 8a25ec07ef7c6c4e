import { buildEvent, type RecordOrigin } from '../decode/envelope.ts';
import { InvalidRecord } from '../decode/errors.ts';
import { RecordDecoder } from '../decode/record-decoder.ts';
import { ABSENT } from '../domain/batch-layout.ts';
import type { Event, FieldMapping } from '../domain/event.ts';
import { limits } from '../domain/limits.ts';
import type { InvalidReason } from '../domain/outcome.ts';
import { unpackHeaders } from '../domain/packed-headers.ts';
import type { RecordHeader } from '../domain/record.ts';
import { originalHeaders } from '../retry/retry-headers.ts';
import type { OpenRecord } from './open-record.ts';

const NO_HEADERS: readonly RecordHeader[] = [];

/** Makes events of records: JSON, envelope. Main has walked their bytes before. */
export class EventReader {
  readonly #decoder = new RecordDecoder();

  define(schemaId: number, source: string): void {
    this.#decoder.define(schemaId, source);
  }

  /**
   * @param mapping of the record's source topic.
   * @returns the event, or the reason why the record is none.
   */
  read(record: OpenRecord, schemaId: number, tenant: string, mapping: FieldMapping): Event | InvalidReason {
    const { buffer, valueStart, valueBytes } = record.bytes;
    if (valueBytes === ABSENT) return 'null_value';
    const start = valueStart + limits.wireHeaderBytes;
    try {
      const decoded = this.#decoder.decode(schemaId, buffer, start, valueStart + valueBytes, mapping);
      return buildEvent(decoded, mapping, new OriginOf(record), tenant);
    } catch (error) {
      if (error instanceof InvalidRecord) return error.reason;
      throw error;
    }
  }
}

/** What the envelope may ask of a record; its key and place, which most mappings need nothing of, are made when asked. */
class OriginOf implements RecordOrigin {
  readonly headers: readonly RecordHeader[];
  readonly #record: OpenRecord;

  constructor(record: OpenRecord) {
    const { headers } = record.bytes;
    this.headers = headers === null ? NO_HEADERS : headersOf(record, headers);
    this.#record = record;
  }

  get timestampMs(): number {
    return this.#record.producedAtMs;
  }

  get key(): Buffer | null {
    return this.#record.bytes.key;
  }

  /** The same place makes the same event id, whichever topic the record has gone through since. */
  get place(): RecordOrigin['place'] {
    return this.#record.rekeyed ?? this.#record;
  }
}

function headersOf({ retry, rekeyed }: OpenRecord, packed: Buffer): readonly RecordHeader[] {
  const headers = unpackHeaders(packed);
  return retry === null && rekeyed === null ? headers : originalHeaders(headers);
}
