import { buildEvent } from '../decode/envelope.ts';
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
    // The same place makes the same event id, whichever topic the record has gone through since.
    const place = record.rekeyed ?? record;
    const { buffer, valueStart, valueBytes, headers } = record.bytes;
    if (valueBytes === ABSENT) return 'null_value';
    const start = valueStart + limits.wireHeaderBytes;
    try {
      const decoded = this.#decoder.decode(schemaId, buffer, start, valueStart + valueBytes, mapping);
      return buildEvent(
        decoded,
        mapping,
        {
          topic: place.topic,
          partition: place.partition,
          offset: place.offset,
          timestampMs: record.producedAtMs,
          key: record.bytes.key,
          headers: headers === null ? NO_HEADERS : headersOf(record, headers),
        },
        tenant,
      );
    } catch (error) {
      if (error instanceof InvalidRecord) return error.reason;
      throw error;
    }
  }
}

function headersOf({ retry, rekeyed }: OpenRecord, packed: Buffer): readonly RecordHeader[] {
  const headers = unpackHeaders(packed);
  return retry === null && rekeyed === null ? headers : originalHeaders(headers);
}
