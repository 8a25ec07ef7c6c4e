const LENGTH_BYTES = 4;
const NAME = Buffer.from('traceparent');
/** version, trace id, parent id, flags; of a later version more may follow. */
const TRACE_PARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-|$)/;
/** What is longer than a later version may sensibly be is not looked at. */
const MAX_BYTES = 128;

/**
 * The trace a record belongs to, by its `traceparent` header: https://www.w3.org/TR/trace-context/#traceparent-header
 * @param packed its headers, as in `domain/packed-headers.ts`; they are looked through without being unpacked.
 * @returns 32 hexadecimal digits, or '' when there is no such header, or no valid one.
 */
export function traceIdOf(packed: Buffer | null): string {
  if (packed === null) return '';
  let at = 0;
  while (at < packed.length) {
    const name = at + LENGTH_BYTES;
    const nameEnd = name + packed.readUInt32LE(at);
    const value = nameEnd + LENGTH_BYTES;
    const valueEnd = value + packed.readUInt32LE(nameEnd);
    if (nameEnd - name === NAME.length && NAME.compare(packed, name, nameEnd) === 0) {
      return valueEnd - value > MAX_BYTES
        ? ''
        : (TRACE_PARENT.exec(packed.toString('latin1', value, valueEnd))?.[1] ?? '');
    }
    at = valueEnd;
  }
  return '';
}
