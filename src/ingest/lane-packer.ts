import { ABSENT, WORD, WORDS, highWord, lowWord, marksOf } from '../domain/batch-layout.ts';

const WORD_BYTES = 4;

/** What a record is packed with; one mutable object serves them all. */
export interface PackedRecord {
  assignment: number;
  sequence: number;
  offset: number;
  timestampMs: number;
  schemaId: number;
  invalid: number;
  /** Which part of its tenant's destinations it is for, and of how many; see `domain/batch-layout.ts`. */
  part: number;
  parts: number;
  /** Where the tenant's UTF-8 bytes are. */
  tenant: Uint8Array;
  tenantStart: number;
  tenantEnd: number;
  key: Uint8Array | null;
  headers: Uint8Array | null;
  value: Uint8Array | null;
}

/**
 * Gathers the records of one lane into the layout of `domain/batch-layout.ts`.
 * Bytes are copied once into a growing buffer of its own, and once more, in bulk,
 * into the exact-size ArrayBuffer that is transferred.
 */
export class LanePacker {
  #words = new Uint32Array(256 * WORDS);
  #bytes = Buffer.allocUnsafeSlow(64 * 1024);
  #used = 0;
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** Payload bytes gathered so far. */
  get bytes(): number {
    return this.#used;
  }

  add(record: PackedRecord): void {
    const base = this.#count * WORDS;
    if (base + WORDS > this.#words.length) this.#growWords();
    const words = this.#words;
    words[base + WORD.assignment] = record.assignment;
    words[base + WORD.sequence] = record.sequence;
    words[base + WORD.offsetLow] = lowWord(record.offset);
    words[base + WORD.offsetHigh] = highWord(record.offset);
    words[base + WORD.timestampLow] = lowWord(record.timestampMs);
    words[base + WORD.timestampHigh] = highWord(record.timestampMs);
    words[base + WORD.schemaId] = record.schemaId;
    words[base + WORD.marks] = marksOf(record.invalid, record.part, record.parts);
    words[base + WORD.tenantBytes] = record.tenantEnd - record.tenantStart;
    this.#appendRange(record.tenant, record.tenantStart, record.tenantEnd);
    words[base + WORD.keyBytes] = this.#append(record.key);
    words[base + WORD.headersBytes] = this.#append(record.headers);
    words[base + WORD.valueBytes] = this.#append(record.value);
    this.#count++;
  }

  /** Everything gathered, in a buffer that may be transferred; null when there is nothing. */
  take(): { readonly buffer: ArrayBuffer; readonly count: number } | null {
    if (this.#count === 0) return null;
    const wordBytes = this.#count * WORDS * WORD_BYTES;
    const buffer = new ArrayBuffer(wordBytes + this.#used);
    const target = new Uint8Array(buffer);
    target.set(new Uint8Array(this.#words.buffer, 0, wordBytes), 0);
    target.set(this.#bytes.subarray(0, this.#used), wordBytes);
    const count = this.#count;
    this.#count = 0;
    this.#used = 0;
    return { buffer, count };
  }

  #append(bytes: Uint8Array | null): number {
    if (bytes === null) return ABSENT;
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#used);
    this.#used += bytes.length;
    return bytes.length;
  }

  #appendRange(bytes: Uint8Array, start: number, end: number): void {
    this.#reserve(end - start);
    // A tenant is a handful of bytes: a loop is cheaper than a view.
    for (let i = start; i < end; i++) this.#bytes[this.#used++] = bytes[i] as number;
  }

  #reserve(bytes: number): void {
    if (this.#used + bytes <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(this.#bytes.length * 2, this.#used + bytes));
    this.#bytes.copy(grown, 0, 0, this.#used);
    this.#bytes = grown;
  }

  #growWords(): void {
    const grown = new Uint32Array(this.#words.length * 2);
    grown.set(this.#words);
    this.#words = grown;
  }
}
