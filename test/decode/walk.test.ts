import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { UnusableSchema } from '../../src/decode/errors.ts';
import { parseSchemas } from '../../src/decode/schema-parser.ts';
import { encodeVarint } from '../../src/decode/varint.ts';
import { compileWalker, type RecordWalker } from '../../src/decode/walk.ts';
import { limits } from '../../src/domain/limits.ts';
import { INVALID_REASONS } from '../../src/domain/outcome.ts';
import {
  encode,
  pathsOf,
  schemaAndBytes,
  schemaAndValue,
  typeOf,
  valueAt,
  type Schema,
} from './arbitrary-avro.ts';

/*
 * Proves that the walker accepts exactly what is a record of the schema, finds
 * the fields it is asked for, and is total: no bytes make it throw, hang, read
 * outside of the record, or accept what avsc would not decode.
 */

function walkerOf(schema: unknown, paths: readonly (readonly string[])[] = []): RecordWalker {
  return compileWalker(parseSchemas([JSON.stringify(schema)]), paths);
}

function recordWith(type: unknown): unknown {
  return { type: 'record', name: 'R', fields: [{ name: 'f', type }] };
}

function verdict(walker: RecordWalker, bytes: Uint8Array, start = 0, end = bytes.length): string {
  return INVALID_REASONS[walker.walk(bytes, start, end)]!;
}

function verdictOn(type: unknown, hex: string): string {
  return verdict(walkerOf(recordWith(type)), Buffer.from(hex.replaceAll(' ', ''), 'hex'));
}

function expectedText(schema: Schema, value: unknown, path: readonly string[]): string | null {
  const found = valueAt(schema, value, path);
  if (found === null) return null;
  if (found.schema === 'string') return found.value as string;
  if (found.schema === 'int' || found.schema === 'long') return String(found.value);
  const isEnum = typeof found.schema === 'object' && 'symbols' in found.schema;
  return isEnum ? (found.value as string) : null;
}

/** Bytes that note every read outside of [start, end). */
function guarded(bytes: Buffer, start: number, end: number): { bytes: Uint8Array; outside: string[] } {
  const outside: string[] = [];
  const proxy = new Proxy(bytes, {
    get(target, property) {
      const index = typeof property === 'string' ? Number(property) : NaN;
      if (Number.isInteger(index) && (index < start || index >= end)) outside.push(String(index));
      return Reflect.get(target, property, target) as unknown;
    },
  });
  return { bytes: proxy, outside };
}

describe('any record of any schema', () => {
  it('is accepted, and its fields are found where they are', () => {
    fc.assert(
      fc.property(schemaAndValue(), fc.nat(20), fc.nat(20), (sample, before, after) => {
        const paths = [...pathsOf(sample.schema), ['no', 'such', 'field'], []];
        const record = encode(sample);
        const bytes = Buffer.concat([Buffer.alloc(before, 0xff), record, Buffer.alloc(after, 0xff)]);
        const walker = walkerOf(sample.schema, paths);

        expect(verdict(walker, bytes, before, before + record.length)).toBe('none');
        for (const [index, path] of paths.entries()) {
          expect(walker.text(index, bytes)).toBe(expectedText(sample.schema, sample.value, path));
          const found = valueAt(sample.schema, sample.value, path);
          const isInteger = found?.schema === 'int' || found?.schema === 'long';
          expect(walker.integer(index, bytes)).toBe(isInteger ? found.value : null);
          const isText = found?.schema === 'string';
          const [start, end] = [walker.rangeStart(index), walker.rangeEnd(index)];
          if (isText) expect(bytes.toString('utf8', start, end)).toBe(walker.text(index, bytes));
          else expect([start, end]).toEqual([-1, -1]);
        }
      }),
      { numRuns: 400 },
    );
  });

  it('is refused when cut short at any byte', () => {
    fc.assert(
      fc.property(schemaAndValue(), (sample) => {
        const record = encode(sample);
        const walker = walkerOf(sample.schema);
        for (let end = 0; end < record.length; end++) {
          expect(verdict(walker, record, 0, end)).not.toBe('none');
        }
      }),
      { numRuns: 200 },
    );
  });

  it('is refused with bytes after it', () => {
    fc.assert(
      fc.property(schemaAndValue(), fc.uint8Array({ minLength: 1, maxLength: 9 }), (sample, rest) => {
        const walker = walkerOf(sample.schema);
        expect(verdict(walker, Buffer.concat([encode(sample), rest]))).toBe('trailing_bytes');
      }),
      { numRuns: 200 },
    );
  });
});

describe('any bytes', () => {
  it('get a verdict without a read outside of them, and are accepted only when avsc decodes them', () => {
    let accepted = 0;
    fc.assert(
      fc.property(schemaAndBytes(), ([schema, record]) => {
        const start = 7;
        const end = start + record.length;
        const all = Buffer.concat([Buffer.alloc(start, 0x80), record, Buffer.alloc(7, 0x80)]);
        const { bytes, outside } = guarded(all, start, end);
        const result = verdict(walkerOf(schema, pathsOf(schema)), bytes, start, end);

        expect(outside).toEqual([]);
        expect(['none', 'truncated', 'trailing_bytes', 'malformed']).toContain(result);
        if (result === 'none') {
          accepted++;
          expect(decodedLength(schema, record)).toBe(record.length);
        }
      }),
      { numRuns: 2_000 },
    );
    expect(accepted).toBeGreaterThan(100);
  });

  function decodedLength(schema: Schema, record: Buffer): number {
    try {
      return (typeOf(schema).decode(record, 0) as { offset: number }).offset;
    } catch (error) {
      // A long beyond 2^53 is a good record; the decoder reads it another way.
      expect(String(error)).toContain('precision');
      return record.length;
    }
  }
});

describe('a decode bomb', () => {
  it('of five bytes, array<null> with 20 million items, is refused', () => {
    // 20,000,000 as a zigzag varint, then the end of the array.
    expect(verdictOn({ type: 'array', items: 'null' }, '80 b4 89 13 00')).toBe('malformed');
  });

  it('of items that are empty records, or fixed of size 0, is refused', () => {
    for (const items of [
      { type: 'record', name: 'E', fields: [] },
      { type: 'fixed', name: 'E', size: 0 },
    ]) {
      expect(verdictOn({ type: 'array', items }, '80 b4 89 13 00')).toBe('malformed');
    }
  });

  it('spread over many blocks is refused by the sum', () => {
    const hundred = 'c801';
    const blocks = limits.zeroWidthItems / 100;
    expect(verdictOn({ type: 'array', items: 'null' }, `${hundred.repeat(blocks)}00`)).toBe('none');
    expect(verdictOn({ type: 'array', items: 'null' }, `${hundred.repeat(blocks)}0200`)).toBe('malformed');
  });

  it('of small items that bring many nulls each is refused, also behind a union', () => {
    const nulls = Array.from({ length: 99 }, (_, i) => ({ name: `n${i}`, type: 'null' }));
    const items = { type: 'record', name: 'E', fields: [{ name: 'b', type: 'boolean' }, ...nulls] };
    const fit = Math.floor(limits.zeroWidthItems / 99);
    const list = (count: number, item: string): string =>
      `${encodeVarint(count).toString('hex')}${item.repeat(count)}00`;
    expect(verdictOn({ type: 'array', items }, list(fit, '01'))).toBe('none');
    expect(verdictOn({ type: 'array', items }, list(fit + 1, '01'))).toBe('malformed');
    const empty = { type: 'record', name: 'Z', fields: nulls };
    expect(verdictOn({ type: 'array', items: ['null', empty] }, list(fit - 1, '02'))).toBe('none');
    expect(verdictOn({ type: 'array', items: ['null', empty] }, list(fit + 1, '02'))).toBe('malformed');
  });

  it('that promises more items than bytes is refused before the first item', () => {
    expect(verdictOn({ type: 'array', items: 'int' }, '08 02 02 02 00')).toBe('truncated');
    expect(verdictOn({ type: 'array', items: 'double' }, 'feffffffffffffffff01 00')).toBe('truncated');
    expect(verdictOn({ type: 'map', values: 'null' }, '80 b4 89 13 00')).toBe('truncated');
  });

  it('of nesting is refused beyond the depth limit, and accepted up to it', () => {
    const list = { type: 'record', name: 'L', fields: [{ name: 'next', type: ['null', 'L'] }] };
    const nested = (depth: number): string => `${'02'.repeat(depth - 1)}00`;
    const walker = walkerOf(list);
    expect(verdict(walker, Buffer.from(nested(limits.avroDepth), 'hex'))).toBe('none');
    expect(verdict(walker, Buffer.from(nested(limits.avroDepth + 1), 'hex'))).toBe('malformed');
  });

  it('in a schema, of records that double without a byte, is refused when compiled', () => {
    let type: unknown = 'null';
    for (let i = 0; i < 20; i++) {
      const fields = [
        { name: 'a', type },
        { name: 'b', type: i === 0 ? 'null' : `D${i - 1}` },
      ];
      type = { type: 'record', name: `D${i}`, fields };
    }
    expect(() => walkerOf(type)).toThrow(UnusableSchema);
  });

  it('in a schema, of a record that contains itself, is refused when compiled', () => {
    expect(() => walkerOf({ type: 'record', name: 'R', fields: [{ name: 'f', type: 'R' }] })).toThrow(
      /itself/,
    );
  });
});

describe('what is malformed', () => {
  it.each([
    ['a boolean that is neither 0 nor 1', 'boolean', '02'],
    ['an int of more than 32 bits', 'int', 'ffffffff1f'],
    ['an int of six bytes', 'int', '808080808000'],
    ['a long of more than 64 bits', 'long', 'ffffffffffffffffff02'],
    ['a long of eleven bytes', 'long', '8080808080808080808000'],
    ['a string of negative length', 'string', '01'],
    ['bytes of negative length', 'bytes', '03'],
    ['a union branch that does not exist', ['null', 'string'], '04'],
    ['a negative union branch', ['null', 'string'], '01'],
    ['an enum symbol that does not exist', { type: 'enum', name: 'E', symbols: ['A', 'B'] }, '04'],
    ['a negative enum symbol', { type: 'enum', name: 'E', symbols: ['A', 'B'] }, '01'],
    ['a block with a negative size', { type: 'array', items: 'int' }, '01 01 02 00'],
    ['a block larger than its items', { type: 'array', items: 'int' }, '01 04 02 02 00'],
    ['a block smaller than its items', { type: 'array', items: 'int' }, '03 02 02 02 00'],
  ])('%s', (_, type, hex) => {
    expect(verdictOn(type, hex)).toBe('malformed');
  });

  it.each([
    ['the widest int', 'int', 'ffffffff0f'],
    ['the widest long', 'long', 'ffffffffffffffffff01'],
    ['a block that tells its size', { type: 'array', items: 'int' }, '03 04 02 04 00'],
    ['map blocks of both forms', { type: 'map', values: 'int' }, '02 02 61 02 01 06 02 62 04 00'],
    ['an array of nulls that tells its size', { type: 'array', items: 'null' }, '05 00 00'],
  ])('is not %s', (_, type, hex) => {
    expect(verdictOn(type, hex)).toBe('none');
  });

  it('is no string that ends after the record', () => {
    expect(verdictOn('string', '06 61 62')).toBe('truncated');
    expect(verdictOn('string', 'feffffffffffffffff01')).toBe('truncated');
  });
});

describe('a path', () => {
  const person = {
    type: 'record',
    name: 'Person',
    fields: [
      { name: 'name', type: 'string' },
      { name: 'boss', type: ['null', 'Person'] },
    ],
  };

  it('leads through a recursive type to the very value it names', () => {
    const walker = walkerOf(person, [['name'], ['boss', 'name'], ['boss', 'boss', 'name']]);
    const bytes = Buffer.from('0261 02 0262 00'.replaceAll(' ', ''), 'hex');
    expect(verdict(walker, bytes)).toBe('none');
    expect([0, 1, 2].map((path) => walker.text(path, bytes))).toEqual(['a', 'b', null]);
  });

  it('that two fields share is found for both', () => {
    const walker = walkerOf(person, [['name'], ['name']]);
    const bytes = Buffer.from('026100', 'hex');
    expect(verdict(walker, bytes)).toBe('none');
    expect([walker.rangeStart(0), walker.rangeStart(1)]).toEqual([1, 1]);
  });

  it('finds nothing of the record walked before', () => {
    const walker = walkerOf(recordWith(['null', 'string']), [['f']]);
    expect(verdict(walker, Buffer.from('020261', 'hex'))).toBe('none');
    expect(walker.rangeStart(0)).toBe(2);
    expect(verdict(walker, Buffer.from('00', 'hex'))).toBe('none');
    expect(walker.rangeStart(0)).toBe(-1);
  });

  it('gives the widest longs exactly', () => {
    const walker = walkerOf(recordWith('long'), [['f']]);
    for (const [hex, widest] of [
      ['feffffffffffffffff01', 9223372036854775807n],
      ['ffffffffffffffffff01', -9223372036854775808n],
    ] as const) {
      const bytes = Buffer.from(hex, 'hex');
      expect(verdict(walker, bytes)).toBe('none');
      expect(walker.text(0, bytes)).toBe(String(widest));
      expect(walker.integer(0, bytes)).toBe(widest);
    }
  });
});
