import { WORDS } from '../domain/batch-layout.ts';
import { BatchReader } from './batch-reader.ts';

/**
 * Copies records out of many batches into one of their own, since a record that
 * stays behind keeps all of its batch's memory alive, which admission counted only
 * its own bytes of.
 */
export class BatchRepacker {
  /** Of the new batch. */
  readonly reader: BatchReader;
  readonly #words: Uint32Array;
  readonly #bytes: Uint8Array;
  #count = 0;
  #at: number;

  /** @param payloadBytes of all records together, as admission counts them. */
  constructor(count: number, payloadBytes: number) {
    const wordBytes = count * WORDS * Uint32Array.BYTES_PER_ELEMENT;
    const buffer = new ArrayBuffer(wordBytes + payloadBytes);
    this.#words = new Uint32Array(buffer, 0, count * WORDS);
    this.#bytes = new Uint8Array(buffer);
    this.#at = wordBytes;
    this.reader = new BatchReader(buffer, count);
  }

  /** @returns where the record's payload begins in the new batch. */
  place(batch: BatchReader, index: number, payloadStart: number, payloadBytes: number): number {
    const at = this.#at;
    batch.seek(index, payloadStart);
    batch.copyTo(this.#words, this.#count++, this.#bytes, at);
    this.#at += payloadBytes;
    return at;
  }
}
