import { closeSync, openSync, writeSync } from 'node:fs';
import { messageOf, UserError } from '../../domain/errors.ts';
import type { Sample } from '../../samples/generator.ts';

const FLUSH_CHARACTERS = 64 * 1024;

/**
 * A file with a line per acknowledged event, tab-separated: event id, tenant,
 * type, partition, offset, time of producing in epoch milliseconds.
 */
export class Manifest {
  readonly #descriptor: number;
  #pending = '';

  /** Appends to the file if it is there. @throws UserError when it cannot be opened. */
  constructor(file: string) {
    try {
      this.#descriptor = openSync(file, 'a');
    } catch (error) {
      throw new UserError([`--manifest ${file}: ${messageOf(error)}`]);
    }
  }

  add(sample: Sample, partition: number, offset: number, producedAtMs: number): void {
    const cells = [sample.eventId, sample.tenant, sample.type, partition, offset, producedAtMs];
    this.#pending += `${cells.join('\t')}\n`;
    if (this.#pending.length >= FLUSH_CHARACTERS) this.#flush();
  }

  close(): void {
    this.#flush();
    closeSync(this.#descriptor);
  }

  #flush(): void {
    const bytes = Buffer.from(this.#pending);
    this.#pending = '';
    // A write may take a part only, when the disk is nearly full.
    for (let written = 0; written < bytes.length;) written += writeSync(this.#descriptor, bytes, written);
  }
}
