import type { JsonOutput } from './json-output.ts';
import type { AvroRecord, AvroType } from './schema-model.ts';
import { decodeVarint } from './varint.ts';

const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const NULL = Buffer.from('null');
const TRUE = Buffer.from('true');
const FALSE = Buffer.from('false');
const FLOAT_BYTES = 4;
const DOUBLE_BYTES = 8;

/** Where a transcoding stands: what is read from, and what is written to. */
interface Cursor {
  readonly source: Buffer;
  at: number;
  readonly output: JsonOutput;
}

/** Reads one value at the cursor and writes its JSON. */
type Transcode = (cursor: Cursor) => void;

/**
 * Makes JSON of the Avro bytes of one record, without making JavaScript values of
 * them in between: about a third of the cost of decoding and stringifying, and no
 * garbage. It trusts that `RecordWalker` accepted the bytes.
 *
 * Unions are unwrapped, logical types are their base values, bytes and fixed are
 * base64, an enum is its symbol; numbers as `JsonOutput` writes them. Of a map's
 * repeated keys all are written.
 */
export class JsonTranscoder {
  readonly #transcode: Transcode;
  readonly #output: JsonOutput;

  /** @param output shared by the transcoders of a thread. */
  constructor(record: AvroRecord, output: JsonOutput) {
    this.#transcode = compile(record, new Map());
    this.#output = output;
  }

  /** The record as UTF-8 JSON in a buffer of its own, and where its bytes ended. */
  transcode(source: Buffer, start: number): { readonly json: Buffer; readonly end: number } {
    const cursor: Cursor = { source, at: start, output: this.#output };
    this.#output.begin();
    this.#transcode(cursor);
    return { json: this.#output.end(), end: cursor.at };
  }
}

/** @param compiled records met before, so that a recursive schema refers to itself. */
function compile(type: AvroType, compiled: Map<AvroRecord, Transcode>): Transcode {
  switch (type.kind) {
    case 'null':
      return (cursor) => {
        cursor.output.raw(NULL);
      };
    case 'boolean':
      return (cursor) => {
        cursor.output.raw(cursor.source[cursor.at++] === 1 ? TRUE : FALSE);
      };
    case 'int':
    case 'long':
      return (cursor) => {
        cursor.output.integer(readVarint(cursor));
      };
    case 'float':
      return (cursor) => {
        cursor.output.float(cursor.source.readFloatLE(cursor.at));
        cursor.at += FLOAT_BYTES;
      };
    case 'double':
      return (cursor) => {
        cursor.output.float(cursor.source.readDoubleLE(cursor.at));
        cursor.at += DOUBLE_BYTES;
      };
    case 'bytes':
      return (cursor) => {
        transcodeBytes(cursor, readLength(cursor));
      };
    case 'fixed':
      return (cursor) => {
        transcodeBytes(cursor, type.sizeBytes);
      };
    case 'string':
      return transcodeString;
    case 'enum':
      return transcodeEnum(type.symbols.map((symbol) => Buffer.from(JSON.stringify(symbol))));
    case 'array':
      return transcodeArray(compile(type.items, compiled));
    case 'map':
      return transcodeMap(compile(type.items, compiled));
    case 'union':
      return transcodeUnion(type.branches.map((branch) => compile(branch, compiled)));
    case 'record':
      return transcodeRecord(type, compiled);
  }
}

function transcodeRecord(record: AvroRecord, compiled: Map<AvroRecord, Transcode>): Transcode {
  const known = compiled.get(record);
  if (known !== undefined) return known;
  const names: Buffer[] = [];
  const values: Transcode[] = [];
  const transcode: Transcode = (cursor) => {
    const { output } = cursor;
    for (let i = 0; i < names.length; i++) {
      output.raw(names[i] as Buffer);
      (values[i] as Transcode)(cursor);
    }
    output.raw(names.length === 0 ? EMPTY_OBJECT : CLOSING);
  };
  compiled.set(record, transcode);
  record.fields.forEach((field, index) => {
    names.push(Buffer.from(`${index === 0 ? '{' : ','}${JSON.stringify(field.name)}:`));
    values.push(compile(field.type, compiled));
  });
  return transcode;
}

const EMPTY_OBJECT = Buffer.from('{}');
const CLOSING = Buffer.from('}');

function transcodeString(cursor: Cursor): void {
  const length = readLength(cursor);
  const end = cursor.at + length;
  cursor.output.string(cursor.source, cursor.at, end);
  cursor.at = end;
}

function transcodeBytes(cursor: Cursor, length: number): void {
  const end = cursor.at + length;
  cursor.output.base64(cursor.source, cursor.at, end);
  cursor.at = end;
}

function transcodeEnum(symbols: readonly Buffer[]): Transcode {
  return (cursor) => {
    cursor.output.raw(symbols[readLength(cursor)] as Buffer);
  };
}

function transcodeUnion(branches: readonly Transcode[]): Transcode {
  return (cursor) => {
    (branches[readLength(cursor)] as Transcode)(cursor);
  };
}

function transcodeArray(item: Transcode): Transcode {
  return (cursor) => {
    cursor.output.character(OPEN_ARRAY);
    eachItem(cursor, item);
    cursor.output.character(CLOSE_ARRAY);
  };
}

function transcodeMap(value: Transcode): Transcode {
  return (cursor) => {
    cursor.output.character(OPEN_OBJECT);
    eachItem(cursor, () => {
      transcodeString(cursor);
      cursor.output.character(COLON);
      value(cursor);
    });
    cursor.output.character(CLOSE_OBJECT);
  };
}

/** Blocks as `RecordWalker` describes them; a negative count is followed by the block's size. */
function eachItem(cursor: Cursor, item: Transcode): void {
  let isFirst = true;
  for (let count = readLength(cursor); count !== 0; count = readLength(cursor)) {
    if (count < 0) readLength(cursor);
    for (let left = Math.abs(count); left > 0; left--) {
      if (!isFirst) cursor.output.character(COMMA);
      isFirst = false;
      item(cursor);
    }
  }
}

/** A length, count or index: it passed the walker, so it is small enough for a number. */
function readLength(cursor: Cursor): number {
  const first = cursor.source[cursor.at] as number;
  if (first < 0x80) {
    cursor.at++;
    return (first >> 1) ^ -(first & 1);
  }
  return Number(readVarint(cursor));
}

function readVarint(cursor: Cursor): number | bigint {
  const { source, at } = cursor;
  let end = at;
  while ((source[end] as number) >= 0x80) end++;
  cursor.at = end + 1;
  return decodeVarint(source, at, end + 1);
}
