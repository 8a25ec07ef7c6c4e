import { ABSENT } from '../domain/batch-layout.ts';

/**
 * A record's own bytes as they stand in a buffer: key, headers (packed as in
 * `domain/packed-headers.ts`), value, one after the other. A part that there is
 * not has the length `ABSENT`. Views are made only when somebody asks for one.
 */
export class RecordBytes {
  readonly buffer: Buffer;
  readonly start: number;
  readonly keyBytes: number;
  readonly headersBytes: number;
  readonly valueBytes: number;

  constructor(buffer: Buffer, start: number, keyBytes: number, headersBytes: number, valueBytes: number) {
    this.buffer = buffer;
    this.start = start;
    this.keyBytes = keyBytes;
    this.headersBytes = headersBytes;
    this.valueBytes = valueBytes;
  }

  get key(): Buffer | null {
    return this.#part(this.start, this.keyBytes);
  }

  get headers(): Buffer | null {
    return this.#part(this.start + lengthOf(this.keyBytes), this.headersBytes);
  }

  get value(): Buffer | null {
    return this.#part(this.valueStart, this.valueBytes);
  }

  get valueStart(): number {
    return this.start + lengthOf(this.keyBytes) + lengthOf(this.headersBytes);
  }

  /** The same in a buffer of their own. */
  copy(): RecordBytes {
    const end = this.valueStart + lengthOf(this.valueBytes);
    const own = Buffer.allocUnsafe(end - this.start);
    this.buffer.copy(own, 0, this.start, end);
    return new RecordBytes(own, 0, this.keyBytes, this.headersBytes, this.valueBytes);
  }

  #part(start: number, length: number): Buffer | null {
    return length === ABSENT ? null : this.buffer.subarray(start, start + length);
  }
}

function lengthOf(bytes: number): number {
  return bytes === ABSENT ? 0 : bytes;
}
