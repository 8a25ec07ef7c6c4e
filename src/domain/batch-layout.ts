/**
 * The packed batch that carries records to a lane, as one transferred ArrayBuffer:
 *
 *   ┌ count × WORDS 32-bit words ┐┌ per record, in order: tenant │ key │ headers │ value ┐
 *
 * Words are in the machine's byte order: both ends are threads of one process.
 * 64-bit numbers (offset, timestamp) take two words, low first.
 */
export const WORD = {
  assignment: 0,
  sequence: 1,
  offsetLow: 2,
  offsetHigh: 3,
  timestampLow: 4,
  timestampHigh: 5,
  schemaId: 6,
  /** A byte each: index into INVALID_REASONS, 0 for a usable record; which part of its tenant's destinations it is for; of how many. */
  marks: 7,
  tenantBytes: 8,
  keyBytes: 9,
  headersBytes: 10,
  valueBytes: 11,
} as const;

export const WORDS = 12;

/** Stands for "there is none" in a length word: a null key or value differs from an empty one. */
export const ABSENT = 0xffff_ffff;

const HIGH = 2 ** 32;

/** @param part 0 … parts − 1 of 1 … 255; 0 of 1 for a tenant that is in one lane. */
export function marksOf(invalid: number, part: number, parts: number): number {
  return invalid | (part << 8) | (parts << 16);
}

export function invalidOf(marks: number): number {
  return marks & 0xff;
}

export function partOf(marks: number): number {
  return (marks >>> 8) & 0xff;
}

export function partsOf(marks: number): number {
  return marks >>> 16;
}

export function lowWord(n: number): number {
  return n >>> 0;
}

export function highWord(n: number): number {
  return Math.floor(n / HIGH) >>> 0;
}

export function fromWords(low: number, high: number): number {
  return high * HIGH + low;
}
