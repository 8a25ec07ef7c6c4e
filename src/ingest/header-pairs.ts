import type { RecordHeader, SourceRecord } from '../domain/record.ts';

/** A record's headers as name and value, from the form node-rdkafka has them in. */
export function headerPairs(headers: NonNullable<SourceRecord['headers']>): RecordHeader[] {
  return headers.flatMap((header) =>
    Object.entries(header).map(([name, value]): RecordHeader => [
      name,
      Buffer.isBuffer(value) ? value : Buffer.from(String(value)),
    ]),
  );
}
