import { limits } from '../domain/limits.ts';
import { reasonCode } from './reason-code.ts';
import type { AvroRecord } from './schema-model.ts';
import {
  BOOLEAN,
  CALL,
  CHARGE,
  ENUM,
  ENUM_AT,
  INTEGER,
  INTEGER_AT,
  ITEMS,
  JUMP,
  OPERANDS,
  RETURN,
  SKIP,
  TEXT,
  TEXT_AT,
  UNION,
  compileProgram,
  type WalkProgram,
} from './walk-program.ts';
import { decodeVarint } from './varint.ts';

const TRUNCATED = reasonCode('truncated');
const TRAILING_BYTES = reasonCode('trailing_bytes');
const MALFORMED = reasonCode('malformed');

const LONG_BYTES = 10;
/** What the tenth byte of a 64-bit varint may hold. */
const LONG_LAST = 0x01;

/** What a slot holds after a walk. */
const NOTHING = 0;
const IS_TEXT = 1;
const IS_INTEGER = 2;
const IS_ENUM = 3;

/**
 * @param paths of field names, from the record down. They may lead through nested
 *   records and unions to a string, int, long or enum; elsewhere they find nothing.
 * @throws UnusableSchema when no record of this schema can be walked.
 */
export function compileWalker(record: AvroRecord, paths: readonly (readonly string[])[]): RecordWalker {
  return new RecordWalker(compileProgram(record, paths));
}

/**
 * Walks the Avro bytes of one record without making anything of them: finds the
 * fields it was compiled for, and proves that decoding is safe. Every read is
 * within the bytes, values that take none are counted against `limits.zeroWidthItems` a
 * record, nesting against `limits.avroDepth`. What a walk accepts, `JsonTranscoder`
 * reads without an error and without running away. UTF-8 is not checked.
 *
 * A walker's findings stand until its next walk.
 */
export class RecordWalker {
  readonly #code: Int32Array;
  readonly #slotOfPath: readonly number[];
  readonly #symbols: readonly string[];
  readonly #kinds: Uint8Array;
  readonly #starts: Int32Array;
  readonly #ends: Int32Array;
  /** The value that `#readLong` read last; exact up to 2^53, and beyond that only ever compared. */
  #long = 0;
  /** The index that `#readIndex` read last. */
  #index = 0;
  #freeValues = 0;

  constructor(program: WalkProgram) {
    this.#code = program.code;
    this.#slotOfPath = program.slotOfPath;
    this.#symbols = program.symbols;
    this.#kinds = new Uint8Array(program.slots);
    this.#starts = new Int32Array(program.slots);
    this.#ends = new Int32Array(program.slots);
  }

  /** @returns 0, or the reason code of `truncated`, `trailing_bytes` or `malformed`. */
  walk(buffer: Uint8Array, start: number, end: number): number {
    const kinds = this.#kinds;
    for (let slot = 0; slot < kinds.length; slot++) kinds[slot] = NOTHING;
    this.#freeValues = 0;
    const position = this.#run(buffer, start, end, 0, 1);
    if (position < 0) return -position;
    return position === end ? 0 : TRAILING_BYTES;
  }

  /** Where the UTF-8 bytes of a path's string begin; −1 when the record has no string there. */
  rangeStart(path: number): number {
    const slot = this.#slotOfPath[path] as number;
    return this.#kinds[slot] === IS_TEXT ? (this.#starts[slot] as number) : -1;
  }

  /** Where they end, exclusive; −1 when the record has no string there. */
  rangeEnd(path: number): number {
    const slot = this.#slotOfPath[path] as number;
    return this.#kinds[slot] === IS_TEXT ? (this.#ends[slot] as number) : -1;
  }

  /** A path's value as text: a string as it is, an int or long in decimal, an enum's symbol; null when absent. */
  text(path: number, buffer: Buffer): string | null {
    const slot = this.#slotOfPath[path] as number;
    const start = this.#starts[slot] as number;
    const end = this.#ends[slot] as number;
    switch (this.#kinds[slot]) {
      case IS_TEXT:
        return buffer.toString('utf8', start, end);
      case IS_INTEGER:
        return String(decodeVarint(buffer, start, end));
      case IS_ENUM:
        return this.#symbols[start] ?? null;
      default:
        return null;
    }
  }

  /** A path's int or long, exact; null when there is none. */
  integer(path: number, buffer: Buffer): number | bigint | null {
    const slot = this.#slotOfPath[path] as number;
    if (this.#kinds[slot] !== IS_INTEGER) return null;
    return decodeVarint(buffer, this.#starts[slot] as number, this.#ends[slot] as number);
  }

  /**
   * Executes from `at` until that program returns.
   *
   * @returns the position after it, or a negative reason code.
   */
  #run(buffer: Uint8Array, from: number, end: number, at: number, depth: number): number {
    const code = this.#code;
    let position = from;
    let next = at;
    while (position >= 0) {
      const op = code[next++] as number;
      if (op === TEXT) {
        position = this.#skipText(buffer, position, end);
      } else if (op === INTEGER) {
        position = skipInteger(buffer, position, end, code[next] as number, code[next + 1] as number);
        next += 2;
      } else if (op === UNION) {
        position = this.#readIndex(buffer, position, end, code[next] as number);
        next = code[next + 1 + this.#index] as number;
      } else if (op === JUMP) {
        next = code[next] as number;
      } else if (op === RETURN) {
        return position;
      } else {
        position = this.#runRare(buffer, position, end, next - 1, depth);
        next += OPERANDS[op] as number;
      }
    }
    return position;
  }

  /** The instructions that a typical record has few of. */
  #runRare(buffer: Uint8Array, position: number, end: number, at: number, depth: number): number {
    const code = this.#code;
    const first = code[at + 1] as number;
    const second = code[at + 2] as number;
    switch (code[at]) {
      case TEXT_AT:
        return this.#keepText(buffer, position, end, first);
      case SKIP:
        return first > end - position ? -TRUNCATED : position + first;
      case BOOLEAN:
        return skipBoolean(buffer, position, end);
      case ENUM:
        return this.#readIndex(buffer, position, end, first);
      case ITEMS:
        return this.#skipItems(buffer, position, end, first, second, depth + 1);
      case CALL:
        return depth >= limits.avroDepth ? -MALFORMED : this.#run(buffer, position, end, first, depth + 1);
      case CHARGE:
        return this.#charge(position, first);
      case INTEGER_AT:
        return this.#keepInteger(buffer, position, end, first, second, code[at + 3] as number);
      case ENUM_AT:
        return this.#keepSymbol(buffer, position, end, first, second, code[at + 3] as number);
      default:
        return -MALFORMED;
    }
  }

  #skipText(buffer: Uint8Array, from: number, end: number): number {
    const position = this.#readLong(buffer, from, end);
    if (position < 0) return position;
    const length = this.#long;
    if (length < 0) return -MALFORMED;
    return length > end - position ? -TRUNCATED : position + length;
  }

  #keepText(buffer: Uint8Array, from: number, end: number, slot: number): number {
    const position = this.#skipText(buffer, from, end);
    if (position >= 0) this.#keep(slot, IS_TEXT, position - this.#long, position);
    return position;
  }

  #keepInteger(
    buffer: Uint8Array,
    from: number,
    end: number,
    slot: number,
    mostBytes: number,
    mostLast: number,
  ): number {
    const position = skipInteger(buffer, from, end, mostBytes, mostLast);
    if (position >= 0) this.#keep(slot, IS_INTEGER, from, position);
    return position;
  }

  #keepSymbol(
    buffer: Uint8Array,
    from: number,
    end: number,
    slot: number,
    count: number,
    firstSymbol: number,
  ): number {
    const position = this.#readIndex(buffer, from, end, count);
    if (position >= 0) this.#keep(slot, IS_ENUM, firstSymbol + this.#index, position);
    return position;
  }

  #keep(slot: number, kind: number, start: number, end: number): void {
    this.#kinds[slot] = kind;
    this.#starts[slot] = start;
    this.#ends[slot] = end;
  }

  /**
   * The blocks of an array or a map: each a count of items, and when the count is
   * negative also the block's size in bytes, which lets readers skip it
   * (https://avro.apache.org/docs/1.12.0/specification/#arrays-1). The size must
   * be true, so that readers which skip by it and those which do not read the same.
   */
  #skipItems(
    buffer: Uint8Array,
    from: number,
    end: number,
    item: number,
    freeValues: number,
    depth: number,
  ): number {
    if (depth > limits.avroDepth) return -MALFORMED;
    let position = this.#readLong(buffer, from, end);
    while (position >= 0 && this.#long !== 0) {
      const count = Math.abs(this.#long);
      let blockEnd = -1;
      if (this.#long < 0) {
        position = this.#skipText(buffer, position, end);
        if (position < 0) return position;
        blockEnd = position;
        position -= this.#long;
      }
      if (freeValues > 0) {
        position = this.#charge(position, count * freeValues);
      } else {
        // Every item takes a byte at least, so a count beyond the bytes that are left ends with them.
        position = this.#runTimes(buffer, position, end, item, depth, count);
      }
      if (position >= 0 && blockEnd >= 0 && position !== blockEnd) return -MALFORMED;
      if (position >= 0) position = this.#readLong(buffer, position, end);
    }
    return position;
  }

  /** Counts values that take no bytes, of which a record may hold so many. */
  #charge(position: number, values: number): number {
    this.#freeValues += values;
    return this.#freeValues > limits.zeroWidthItems ? -MALFORMED : position;
  }

  #runTimes(buffer: Uint8Array, from: number, end: number, at: number, depth: number, times: number): number {
    let position = from;
    for (let i = 0; i < times && position >= 0; i++) position = this.#run(buffer, position, end, at, depth);
    return position;
  }

  /** Reads the index of a union's branch or of an enum's symbol into `#index`. */
  #readIndex(buffer: Uint8Array, from: number, end: number, count: number): number {
    const position = this.#readLong(buffer, from, end);
    const index = this.#long;
    if (position < 0) return position;
    if (index < 0 || index >= count) return -MALFORMED;
    this.#index = index;
    return position;
  }

  /** Reads a varint into `#long`. */
  #readLong(buffer: Uint8Array, from: number, end: number): number {
    if (from >= end) return -TRUNCATED;
    const first = buffer[from] as number;
    if (first >= 0x80) return this.#readLongerLong(buffer, from, end);
    this.#long = (first >> 1) ^ -(first & 1);
    return from + 1;
  }

  #readLongerLong(buffer: Uint8Array, from: number, end: number): number {
    const position = skipInteger(buffer, from, end, LONG_BYTES, LONG_LAST);
    if (position < 0) return position;
    let zigzag = 0;
    for (let i = position - 1; i >= from; i--) zigzag = zigzag * 0x80 + ((buffer[i] as number) & 0x7f);
    const isNegative = ((buffer[from] as number) & 1) === 1;
    this.#long = isNegative ? -(zigzag + 1) / 2 : zigzag / 2;
    return position;
  }
}

function skipInteger(
  buffer: Uint8Array,
  from: number,
  end: number,
  mostBytes: number,
  mostLast: number,
): number {
  const last = from + mostBytes - 1;
  for (let position = from; position < end; position++) {
    const byte = buffer[position] as number;
    if (position === last && byte > mostLast) return -MALFORMED;
    if (byte < 0x80) return position + 1;
  }
  return -TRUNCATED;
}

function skipBoolean(buffer: Uint8Array, position: number, end: number): number {
  if (position >= end) return -TRUNCATED;
  return (buffer[position] as number) > 1 ? -MALFORMED : position + 1;
}
