import type { LedgerChunk } from '../../src/ledger/batcher.ts';
import { LedgerError } from '../../src/ledger/errors.ts';

export const AGE_MS = 500;
export const BOUNDS = { batchMaxRows: 10, batchMaxBytes: 1_000, batchMaxAgeMs: AGE_MS };
export const LONGEST_RETRY_MS = 15_000;

export const passing = (): LedgerError => new LedgerError('socket hang up', 'retryable', null, null);
export const refusing = (): LedgerError => new LedgerError('UNKNOWN_TABLE', 'fatal', 60, null);

export const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
export const bytesOf = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));

let sequences = 0;

/** A chunk whose rows say which they are; rows of events only where asked for. */
export function chunkOf(attemptRows: number, eventRows = 0, records = [1, sequences++]): LedgerChunk {
  const name = `c${sequences++}`;
  return {
    attempts: attemptRows === 0 ? null : bytesOf(`${name}a\n`.repeat(attemptRows)),
    attemptRows,
    events: eventRows === 0 ? null : bytesOf(`${name}e\n`.repeat(eventRows)),
    eventRows,
    records: Uint32Array.from(records),
  };
}
