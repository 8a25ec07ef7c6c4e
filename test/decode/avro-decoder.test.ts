import avsc from 'avsc';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AvroDecoder, type ReaderSchemas } from '../../src/decode/avro-decoder.ts';
import { InvalidRecord } from '../../src/decode/errors.ts';
import { parseSchemas } from '../../src/decode/schema-parser.ts';
import { sourceOf } from '../../src/decode/schema-source.ts';
import { encodeVarint } from '../../src/decode/varint.ts';
import { branchName, isUnion, schemaAndValue, type Schema } from './arbitrary-avro.ts';

/* Proves that a record becomes JSON without loss: longs, bytes, unions; and that Avro's evolution rules hold. */

const ID = 7;

function decoderOf(schema: unknown, readers?: ReaderSchemas): AvroDecoder {
  const decoder = new AvroDecoder(readers);
  decoder.define(ID, sourceOf(parseSchemas([JSON.stringify(schema)])));
  return decoder;
}

function decodeAll(decoder: AvroDecoder, bytes: Buffer): unknown {
  return decoder.decode(ID, bytes, 0, bytes.length);
}

function jsonOf(schema: unknown, bytes: Buffer): string {
  return JSON.stringify(decodeAll(decoderOf(schema), bytes));
}

function recordOf(fields: Readonly<Record<string, unknown>>, name = 'R'): unknown {
  return {
    type: 'record',
    name,
    fields: Object.entries(fields).map(([field, type]) => ({ name: field, type })),
  };
}

function encode(schema: unknown, value: unknown): Buffer {
  return avsc.Type.forSchema(structuredClone(schema) as avsc.Schema, { wrapUnions: 'always' }).toBuffer(
    value,
  );
}

/** What the JSON of a wrapped value should hold, made without the code under test. */
function expectedJson(schema: Schema, value: unknown): unknown {
  if (Buffer.isBuffer(value)) return value.toString('base64');
  if (typeof schema === 'string' || value === null) return Object.is(value, -0) ? 0 : value;
  if (isUnion(schema)) {
    const [[name, inner]] = Object.entries(value as object) as [[string, unknown]];
    return expectedJson(
      schema.find((branch) => branchName(branch) === name)!,
      inner,
    );
  }
  switch (schema.type) {
    case 'array':
      return (value as unknown[]).map((item) => expectedJson(schema.items, item));
    case 'map':
      return Object.fromEntries(
        Object.entries(value as object).map(([key, item]) => [key, expectedJson(schema.values, item)]),
      );
    case 'record':
      return Object.fromEntries(
        schema.fields.map(({ name, type }) => [
          name,
          expectedJson(type, (value as Record<string, unknown>)[name]),
        ]),
      );
    default:
      return value;
  }
}

/** Infinities have no JSON form, and come as null. */
function jsonRoundTrip(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}

it('any record of any schema comes out as its value', () => {
  fc.assert(
    fc.property(schemaAndValue(), fc.nat(9), ({ schema, value }, before) => {
      const record = encode(schema, value);
      const bytes = Buffer.concat([Buffer.alloc(before, 1), record, Buffer.alloc(3, 1)]);
      const decoded = decoderOf(schema).decode(ID, bytes, before, before + record.length);
      expect(jsonRoundTrip(decoded)).toEqual(jsonRoundTrip(expectedJson(schema, value)));
    }),
    { numRuns: 400 },
  );
});

describe('longs', () => {
  const schema = recordOf({
    n: 'long',
    t: { type: 'long', logicalType: 'timestamp-nanos' },
    o: ['null', 'long'],
  });
  const bytesOf = (n: bigint): Buffer => {
    const varint = encodeVarint(n);
    return Buffer.concat([varint, varint, Buffer.from([2]), varint]);
  };

  it('of 64 bits keep every digit, as numbers up to 2^53 and as text beyond', () => {
    const decoder = decoderOf(schema);
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), fc.nat(63), (wide, shift) => {
        const n = wide >> BigInt(shift);
        const shown = Number.isSafeInteger(Number(n)) ? Number(n) : String(n);
        expect(decodeAll(decoder, bytesOf(n))).toEqual({ n: shown, t: shown, o: shown });
      }),
      { numRuns: 2_000 },
    );
  });

  it('between −2^53 and −2^52, where avsc alone flips the sign, keep it', () => {
    const n = -(2n ** 52n) - 1n;
    expect(avsc.Type.forSchema('long').fromBuffer(encodeVarint(n))).toBeGreaterThan(0);
    expect(jsonOf(schema, bytesOf(n))).toBe(`{"n":${n},"t":${n},"o":${n}}`);
  });

  it('stay exact where a reader schema reads an int as a long', () => {
    const readers = new Map([['R', JSON.stringify(recordOf({ n: 'long' }))]]);
    expect(decodeAll(decoderOf(recordOf({ n: 'int' }), readers), Buffer.from([3]))).toEqual({ n: -2 });
  });
});

describe('what JSON has no form for', () => {
  it('bytes and fixed, wherever they stand, become base64', () => {
    const schema = recordOf({
      b: 'bytes',
      u: ['null', 'bytes'],
      a: { type: 'array', items: { type: 'fixed', name: 'F', size: 2 } },
      m: { type: 'map', values: 'bytes' },
      r: recordOf({ inner: 'bytes' }, 'Inner'),
    });
    const [one, two] = [Buffer.from([0, 255]), Buffer.from([251, 239])];
    const bytes = encode(schema, {
      b: one,
      u: { bytes: two },
      a: [one, two],
      m: { k: one },
      r: { inner: two },
    });
    expect(jsonOf(schema, bytes)).toBe(
      '{"b":"AP8=","u":"++8=","a":["AP8=","++8="],"m":{"k":"AP8="},"r":{"inner":"++8="}}',
    );
  });

  it('NaN and the infinities become null', () => {
    const schema = recordOf({ a: 'double', b: 'float', c: 'double' });
    expect(jsonOf(schema, encode(schema, { a: NaN, b: Infinity, c: 1.5 }))).toBe(
      '{"a":null,"b":null,"c":1.5}',
    );
  });
});

it('unions are unwrapped, also where avsc would keep the branch name', () => {
  const [a, b] = [recordOf({ x: 'int' }, 'A'), recordOf({ x: 'string' }, 'B')];
  const schema = recordOf({
    u: [a, b],
    n: ['int', 'double'],
    list: { type: 'array', items: ['A', 'B', 'null'] },
  });
  const bytes = encode(schema, {
    u: { B: { x: 'hi' } },
    n: { double: 0.5 },
    list: [{ A: { x: 1 } }, null, { B: { x: 'two' } }],
  });
  expect(jsonOf(schema, bytes)).toBe('{"u":{"x":"hi"},"n":0.5,"list":[{"x":1},null,{"x":"two"}]}');
});

describe('a reader schema', () => {
  const v1 = recordOf(
    { id: 'string', phone: 'string', dropped: { type: 'array', items: 'int' } },
    'ns.Contact',
  );
  const v2 = {
    type: 'record',
    name: 'Contact',
    namespace: 'ns',
    fields: [
      { name: 'id', type: 'string' },
      { name: 'phoneNumber', type: ['null', 'string'], aliases: ['phone'], default: null },
      { name: 'stage', type: 'string', default: 'lead' },
      { name: 'points', type: 'long', default: 12 },
    ],
  };
  const readers = new Map([['ns.Contact', JSON.stringify(v2)]]);

  it('reads what an older writer wrote: renamed, defaulted and dropped fields', () => {
    const bytes = encode(v1, { id: 'c1', phone: '+49', dropped: [1, 2, 3] });
    expect(decodeAll(decoderOf(v1, readers), bytes)).toEqual({
      id: 'c1',
      phoneNumber: '+49',
      stage: 'lead',
      points: 12,
    });
  });

  it('that cannot read the writer makes the record undecodable', () => {
    const other = recordOf({ other: 'string' }, 'ns.Contact');
    expect(() => decodeAll(decoderOf(other, readers), Buffer.from([0]))).toThrow(
      expect.objectContaining({ name: 'InvalidRecord', reason: 'undecodable' }),
    );
  });

  it('leaves records of other names as they were written', () => {
    const other = recordOf({ id: 'string' }, 'ns.Other');
    expect(decodeAll(decoderOf(other, readers), Buffer.from([2, 97]))).toEqual({ id: 'a' });
  });
});

describe('schemas as they occur', () => {
  it('with a default that does not fit its field are usable for reading what was written', () => {
    const schema = {
      type: 'record',
      name: 'R',
      fields: [{ name: 'f', type: 'int', default: 'zero', aliases: 3 }],
    };
    expect(decodeAll(decoderOf(schema), Buffer.from([4]))).toEqual({ f: 2 });
  });

  it('with types without a namespace inside of records with one', () => {
    const inner = { type: 'record', name: 'Inner', namespace: '', fields: [{ name: 'x', type: 'int' }] };
    const fields = [
      { name: 'a', type: inner },
      { name: 'b', type: 'Inner' },
    ];
    const schema = { type: 'record', name: 'a.b.Outer', fields };
    expect(decodeAll(decoderOf(schema), Buffer.from([2, 4]))).toEqual({ a: { x: 1 }, b: { x: 2 } });
  });

  it('with field names that JavaScript gives a meaning', () => {
    const schema = recordOf({ constructor: 'string', toString: 'int', toJSON: 'string', unwrap: 'bytes' });
    const bytes = encode(schema, { constructor: 'c', toString: 3, toJSON: 'j', unwrap: Buffer.from('u') });
    expect(jsonOf(schema, bytes)).toBe('{"constructor":"c","toString":3,"toJSON":"j","unwrap":"dQ=="}');
  });
});

describe('what cannot be decoded', () => {
  it('is a record whose schema was never defined', () => {
    expect(() => new AvroDecoder().decode(1, Buffer.alloc(1), 0, 1)).toThrow(InvalidRecord);
  });

  it('is a record that is shorter or longer than its bytes', () => {
    const decoder = decoderOf(recordOf({ s: 'string' }));
    expect(() => decoder.decode(ID, Buffer.from([4, 97]), 0, 2)).toThrow(InvalidRecord);
    expect(() => decoder.decode(ID, Buffer.from([2, 97, 0]), 0, 3)).toThrow(InvalidRecord);
  });
});

it('tells what a time field counts, through nested records and nullable unions', () => {
  const at = (logicalType: string): unknown => ({ type: 'long', logicalType });
  const decoder = decoderOf(
    recordOf({
      ms: at('timestamp-millis'),
      us: ['null', at('timestamp-micros')],
      meta: ['null', recordOf({ ns: at('timestamp-nanos') }, 'Meta')],
      plain: 'long',
      text: 'string',
    }),
  );
  const scale = (...path: string[]): string => decoder.timeScale(ID, path);
  expect([scale('ms'), scale('us'), scale('meta', 'ns')]).toEqual(['millis', 'micros', 'nanos']);
  expect([scale('plain'), scale('text'), scale('no', 'where')]).toEqual(['millis', 'millis', 'millis']);
  expect(decoder.schemaName(ID)).toBe('R');
});
