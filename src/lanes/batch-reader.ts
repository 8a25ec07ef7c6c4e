import { ABSENT, WORD, WORDS, fromWords, invalidOf, partOf, partsOf } from '../domain/batch-layout.ts';
import { RecordBytes } from './record-bytes.ts';

const WORD_BYTES = 4;

/**
 * Walks the records of a packed batch (`domain/batch-layout.ts`): `next`, then
 * read the fields of the record it stands on.
 */
export class BatchReader {
  readonly #words: Uint32Array;
  readonly #bytes: Buffer;
  readonly #count: number;
  #index = -1;
  #at: number;

  constructor(buffer: ArrayBuffer, count: number) {
    this.#words = new Uint32Array(buffer, 0, count * WORDS);
    this.#bytes = Buffer.from(buffer);
    this.#count = count;
    this.#at = count * WORDS * WORD_BYTES;
  }

  next(): boolean {
    if (this.#index >= 0) this.#at += this.payloadBytes;
    return ++this.#index < this.#count;
  }

  /** Which record of the batch it stands on. */
  get index(): number {
    return this.#index;
  }

  /** Goes back to a record by the `index` and `payloadStart` that were read there. */
  seek(index: number, payloadStart: number): void {
    this.#index = index;
    this.#at = payloadStart;
  }

  get assignment(): number {
    return this.#word(WORD.assignment);
  }

  get sequence(): number {
    return this.#word(WORD.sequence);
  }

  get offset(): number {
    return fromWords(this.#word(WORD.offsetLow), this.#word(WORD.offsetHigh));
  }

  get timestampMs(): number {
    return fromWords(this.#word(WORD.timestampLow), this.#word(WORD.timestampHigh));
  }

  get schemaId(): number {
    return this.#word(WORD.schemaId);
  }

  get invalid(): number {
    return invalidOf(this.#word(WORD.marks));
  }

  get part(): number {
    return partOf(this.#word(WORD.marks));
  }

  get parts(): number {
    return partsOf(this.#word(WORD.marks));
  }

  get tenant(): string {
    return this.#bytes.toString('utf8', this.#at, this.#at + this.#word(WORD.tenantBytes));
  }

  /** Key, headers and value, in the batch's own buffer. */
  get bytes(): RecordBytes {
    return new RecordBytes(
      this.#bytes,
      this.#at + this.#word(WORD.tenantBytes),
      this.#word(WORD.keyBytes),
      this.#word(WORD.headersBytes),
      this.#word(WORD.valueBytes),
    );
  }

  /** Where its tenant, key, headers and value begin in the batch. */
  get payloadStart(): number {
    return this.#at;
  }

  /** Bytes of tenant, key, headers and value together: what admission counts. */
  get payloadBytes(): number {
    return (
      this.#word(WORD.tenantBytes) +
      this.#length(WORD.keyBytes) +
      this.#length(WORD.headersBytes) +
      this.#length(WORD.valueBytes)
    );
  }

  /** Copies the record it stands on: its words as the `index`th there, its payload to `at`. */
  copyTo(words: Uint32Array, index: number, payload: Uint8Array, at: number): void {
    words.set(this.#words.subarray(this.#index * WORDS, (this.#index + 1) * WORDS), index * WORDS);
    payload.set(this.#bytes.subarray(this.#at, this.#at + this.payloadBytes), at);
  }

  #length(lengthWord: number): number {
    const length = this.#word(lengthWord);
    return length === ABSENT ? 0 : length;
  }

  #word(word: number): number {
    return this.#words[this.#index * WORDS + word] as number;
  }
}
