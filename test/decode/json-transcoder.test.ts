import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { JsonOutput } from '../../src/decode/json-output.ts';
import { JsonTranscoder } from '../../src/decode/json-transcoder.ts';
import { parseSchemas } from '../../src/decode/schema-parser.ts';
import { encodeVarint } from '../../src/decode/varint.ts';
import { compileWalker } from '../../src/decode/walk.ts';
import { limits } from '../../src/domain/limits.ts';
import { variantOf } from '../domain/planted-bug.ts';
import {
  branchName,
  encode,
  isUnion,
  schemaAndBytes,
  schemaAndValue,
  typeOf,
  type Schema,
  type SchemaAndValue,
} from './arbitrary-avro.ts';
import { AvscDecoder } from './avsc-decoder.ts';
import { jsonOf, parseJson } from './json-of.ts';

/*
 * Proves that a record becomes JSON without loss: what is parsed from it equals
 * what avsc decodes, and it is valid UTF-8 and valid JSON whatever the record holds.
 */

type Output = new () => JsonOutput;

function recordWith(type: unknown, name = 'R'): Schema {
  return { type: 'record', name, fields: [{ name: 'f', type: type as Schema }] };
}

/** The JSON of a record whose one field has these bytes. */
function textOf(type: unknown, ...bytes: readonly (string | Uint8Array)[]): string {
  const hex = (part: string): Buffer => Buffer.from(part.replaceAll(' ', ''), 'hex');
  const record = Buffer.concat(bytes.map((part) => (typeof part === 'string' ? hex(part) : part)));
  return jsonOf(recordWith(type), record).toString('utf8');
}

function prefixed(bytes: Uint8Array): Buffer {
  return Buffer.concat([encodeVarint(bytes.length), bytes]);
}

/** What both decoders make of the record, NaN, −0 and the infinities as JSON has them. */
function agree(schema: Schema, record: Buffer, output: JsonOutput): void {
  const oracle = JSON.stringify(new AvscDecoder(JSON.stringify(schema)).decode(record));
  expect(parseJson(jsonOf(schema, record, output))).toEqual(JSON.parse(oracle));
}

/** A record's JSON equals the oracle's, with one output shared by all of them. */
function agreement(ofOutput: Output): fc.IProperty<[SchemaAndValue]> {
  const output = new ofOutput();
  return fc.property(schemaAndValue(), (sample) => {
    agree(sample.schema, encode(sample), output);
  });
}

describe('any record of any schema', () => {
  it('becomes the same JSON as avsc’s value, and ends where its bytes do', () => {
    fc.assert(agreement(JsonOutput), { numRuns: 400 });
  });

  it.each([
    ['quotes are not escaped', ' || byte === QUOTE', ''],
    ['backslashes are not escaped', ' || byte === BACKSLASH', ''],
    ['control characters are not escaped', 'byte < FIRST_PRINTABLE || ', ''],
    ['what was written before stays', 'this.#length = 0;', ''],
    ['a sign is lost', 'if (value < 0) ', 'if (value < -9) '],
  ])('a planted bug is caught: %s', async (_what, from, to) => {
    const { JsonOutput: buggy } = await variantOf<{ JsonOutput: Output }>('decode/json-output.ts', [
      from,
      to,
    ]);
    expect(fc.check(agreement(buggy), { seed: 1, numRuns: 5_000, endOnFailure: true }).failed).toBe(true);
  });

  it('however its writer laid out blocks', () => {
    const layout = fc.record({ itemsPerBlock: fc.integer({ min: 1, max: 3 }), sized: fc.boolean() });
    fc.assert(
      fc.property(schemaAndValue(), layout, ({ schema, value }, chosen) => {
        expect(jsonOf(schema, inBlocks(schema, value, chosen))).toEqual(
          jsonOf(schema, encode({ schema, value })),
        );
      }),
      { numRuns: 400 },
    );
  });

  it('or of any bytes that the walker takes for one', () => {
    let accepted = 0;
    const output = new JsonOutput();
    fc.assert(
      fc.property(schemaAndBytes(), ([schema, bytes]) => {
        const walker = compileWalker(parseSchemas([JSON.stringify(schema)]), []);
        if (walker.walk(bytes, 0, bytes.length) !== 0) return;
        accepted++;
        agree(schema, bytes, output);
      }),
      { numRuns: 2_000 },
    );
    expect(accepted).toBeGreaterThan(100);
  });

  it('has memory of its own', () => {
    const transcoder = new JsonTranscoder(
      parseSchemas([JSON.stringify(recordWith('int'))]),
      new JsonOutput(),
    );
    const first = transcoder.transcode(Buffer.from([2]), 0);
    transcoder.transcode(Buffer.from([4]), 0);
    expect(first.json.toString()).toBe('{"f":1}');
  });
});

/** Avro's blocks of arrays and maps in the layout chosen; everything else as avsc writes it. */
function inBlocks(schema: Schema, value: unknown, layout: { itemsPerBlock: number; sized: boolean }): Buffer {
  if (isUnion(schema)) {
    const [name, inner] =
      value === null ? ['null', null] : (Object.entries(value as object)[0] as [string, unknown]);
    const index = schema.findIndex((branch) => branchName(branch) === name);
    return Buffer.concat([encodeVarint(index), inBlocks(schema[index]!, inner, layout)]);
  }
  if (typeof schema === 'object' && schema.type === 'record') {
    const fields = value as Record<string, unknown>;
    return Buffer.concat(schema.fields.map(({ name, type }) => inBlocks(type, fields[name], layout)));
  }
  if (typeof schema === 'object' && schema.type === 'array') {
    return blocks(
      (value as unknown[]).map((item) => inBlocks(schema.items, item, layout)),
      layout,
    );
  }
  if (typeof schema === 'object' && schema.type === 'map') {
    const items = Object.entries(value as object).map(([key, item]) =>
      Buffer.concat([prefixed(Buffer.from(key)), inBlocks(schema.values, item, layout)]),
    );
    return blocks(items, layout);
  }
  return typeOf(schema).toBuffer(value);
}

function blocks(items: readonly Buffer[], layout: { itemsPerBlock: number; sized: boolean }): Buffer {
  const parts: Buffer[] = [];
  for (let i = 0; i < items.length; i += layout.itemsPerBlock) {
    const block = items.slice(i, i + layout.itemsPerBlock);
    const bytes = Buffer.concat(block);
    parts.push(
      layout.sized
        ? Buffer.concat([encodeVarint(-block.length), prefixed(bytes)])
        : encodeVarint(block.length),
    );
    if (!layout.sized) parts.push(bytes);
  }
  return Buffer.concat([...parts, encodeVarint(0)]);
}

describe('a string', () => {
  it.each([
    ['nothing', '', ''],
    ['quotes and backslashes', '"\\"\\\\', '"\\"\\\\'],
    [
      'every control character',
      String.fromCharCode(...Array(32).keys()),
      String.fromCharCode(...Array(32).keys()),
    ],
    ['wide characters', 'Zoë 中 😀 \u2028 \ufeff', 'Zoë 中 😀 \u2028 \ufeff'],
  ])('of %s comes back', (_, text, expected) => {
    expect(JSON.parse(textOf('string', prefixed(Buffer.from(text))))).toEqual({ f: expected });
  });

  it.each([
    ['a byte that begins nothing', 'ff', '\ufffd'],
    ['a byte that continues nothing', '61 80 62', 'a\ufffdb'],
    ['a character cut short', '61 e4 b8', 'a\ufffd'],
    ['an overlong slash', 'c0 af', '\ufffd\ufffd'],
    ['a lone surrogate', '61 ed a0 80 62', 'a\ufffd\ufffd\ufffdb'],
  ])('with %s has U+FFFD there', (_, hex, expected) => {
    const bytes = prefixed(Buffer.from(hex.replaceAll(' ', ''), 'hex'));
    for (const type of ['string', { type: 'map', values: 'null' }]) {
      const framed = type === 'string' ? [bytes] : ['02', bytes, '00'];
      const text = textOf(type, ...framed);
      expect(JSON.parse(text)).toEqual({ f: type === 'string' ? expected : { [expected]: null } });
    }
  });

  it('of any bytes is what Node’s decoder makes of them', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        const text = Buffer.from(bytes).toString('utf8');
        expect(parseJson(jsonOf(recordWith('string'), prefixed(bytes)))).toEqual({ f: text });
      }),
    );
  });

  it('that ends just before the next one does not take any of it', () => {
    const two: Schema = {
      type: 'record',
      name: 'R',
      fields: ['a', 'b'].map((name) => ({ name, type: 'string' })),
    };
    const record = Buffer.concat([prefixed(Buffer.from('é')), prefixed(Buffer.from('\\'))]);
    expect(jsonOf(two, record).toString()).toBe(String.raw`{"a":"é","b":"\\"}`);
  });
});

describe('a long', () => {
  it('of 64 bits keeps every digit, as a number up to 2^53 and as text beyond', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), fc.nat(63), (wide, shift) => {
        const n = wide >> BigInt(shift);
        const shown = Number.isSafeInteger(Number(n)) ? `${n}` : `"${n}"`;
        expect(textOf('long', encodeVarint(n))).toBe(`{"f":${shown}}`);
      }),
      { numRuns: 2_000 },
    );
  });

  it.each([
    ['2^53 − 1', 2n ** 53n - 1n, '9007199254740991'],
    ['2^53', 2n ** 53n, '"9007199254740992"'],
    ['−2^53 + 1', -(2n ** 53n) + 1n, '-9007199254740991'],
    ['−2^53', -(2n ** 53n), '"-9007199254740992"'],
    ['−2^52 − 1, whose sign avsc alone flips', -(2n ** 52n) - 1n, '-4503599627370497'],
  ])('of %s', (_, n, shown) => {
    expect(textOf({ type: 'long', logicalType: 'timestamp-nanos' }, encodeVarint(n))).toBe(`{"f":${shown}}`);
  });

  it('in more bytes than it needs is the same', () => {
    expect(textOf('long', '82 80 00')).toBe('{"f":1}');
    expect(textOf('int', 'ff ff ff ff 0f')).toBe('{"f":-2147483648}');
  });
});

describe('a floating-point number', () => {
  const double = (value: number): string => {
    const bytes = Buffer.alloc(8);
    bytes.writeDoubleLE(value);
    return textOf('double', bytes);
  };

  it.each([
    [NaN, 'null'],
    [Infinity, 'null'],
    [-Infinity, 'null'],
    [-0, '0'],
    [1.5, '1.5'],
    [1e21, '1e+21'],
    [-5e-324, '-5e-324'],
    [Number.MAX_VALUE, '1.7976931348623157e+308'],
  ])('%s is %s', (value, shown) => {
    expect(double(value)).toBe(`{"f":${shown}}`);
  });

  it('of 32 bits is the number it is', () => {
    expect(textOf('float', '00 00 20 40')).toBe('{"f":2.5}');
    expect(textOf('float', 'cd cc cc 3d')).toBe(`{"f":${Math.fround(0.1)}}`);
    expect(textOf('float', '00 00 80 7f')).toBe('{"f":null}');
  });
});

it.each([
  ['bytes', 'bytes', '04 00 ff', '"AP8="'],
  ['no bytes', 'bytes', '00', '""'],
  ['a fixed', { type: 'fixed', name: 'F', size: 3 }, 'fb ef 01', '"++8B"'],
  ['a fixed of size 0', { type: 'fixed', name: 'F', size: 0 }, '', '""'],
  ['an enum', { type: 'enum', name: 'E', symbols: ['A', 'B'] }, '02', '"B"'],
  ['a boolean', { type: 'array', items: 'boolean' }, '04 01 00 00', '[true,false]'],
  ['a null', ['null', 'int'], '00', 'null'],
  ['the other branch', ['null', 'int'], '02 03', '-2'],
  ['a branch that JavaScript cannot tell from another', ['int', 'double', 'long'], '04 06', '3'],
  ['an empty array', { type: 'array', items: 'int' }, '00', '[]'],
  ['an empty map', { type: 'map', values: 'int' }, '00', '{}'],
  ['an array of nulls', { type: 'array', items: 'null' }, '06 00', '[null,null,null]'],
  ['a record without fields', recordWith('null', 'Inner'), '', '{"f":null}'],
  ['an empty record', { type: 'record', name: 'Inner', fields: [] }, '', '{}'],
  ['blocks, one of which tells its size', { type: 'array', items: 'int' }, '02 02 03 04 04 06 00', '[1,2,3]'],
  [
    'a map in several blocks',
    { type: 'map', values: 'int' },
    '02 02 61 02 01 06 02 62 04 00',
    '{"a":1,"b":2}',
  ],
  ['a map’s repeated key', { type: 'map', values: 'int' }, '04 02 61 02 02 61 04 00', '{"a":1,"a":2}'],
  [
    'arrays in arrays',
    { type: 'array', items: { type: 'array', items: 'int' } },
    '04 00 02 02 00 00',
    '[[],[1]]',
  ],
])('%s is written as it should', (_, type, hex, shown) => {
  expect(textOf(type, hex)).toBe(`{"f":${shown}}`);
});

it('of a map’s repeated key a reader finds the last, as with avsc', () => {
  const schema = recordWith({ type: 'map', values: 'int' });
  agree(schema, Buffer.from('0402610202610400', 'hex'), new JsonOutput());
});

it('a map’s key is data also where JavaScript gives it a meaning', () => {
  const key = prefixed(Buffer.from('__proto__'));
  expect(textOf({ type: 'map', values: 'int' }, '02', key, '02 00')).toBe('{"f":{"__proto__":1}}');
});

it('field names that JavaScript gives a meaning are names', () => {
  const names = ['constructor', 'toString', 'toJSON', 'unwrap'];
  const schema: Schema = { type: 'record', name: 'R', fields: names.map((name) => ({ name, type: 'int' })) };
  expect(jsonOf(schema, Buffer.from([2, 4, 6, 8])).toString()).toBe(
    '{"constructor":1,"toString":2,"toJSON":3,"unwrap":4}',
  );
});

describe('a recursive schema', () => {
  const list: Schema = {
    type: 'record',
    name: 'List',
    fields: [
      { name: 'n', type: 'int' },
      { name: 'next', type: ['null', 'List'] },
    ],
  };

  it('is followed as deep as a walker goes', () => {
    const record = Buffer.from(`${'0202'.repeat(limits.avroDepth - 1)}0200`, 'hex');
    expect(compileWalker(parseSchemas([JSON.stringify(list)]), []).walk(record, 0, record.length)).toBe(0);
    const opening = '{"n":1,"next":'.repeat(limits.avroDepth);
    expect(jsonOf(list, record).toString()).toBe(`${opening}null${'}'.repeat(limits.avroDepth)}`);
  });

  it('of trees, through arrays and maps, agrees with avsc', () => {
    const tree: Schema = {
      type: 'record',
      name: 'Tree',
      fields: [
        { name: 'text', type: 'string' },
        { name: 'children', type: { type: 'array', items: 'Tree' } },
        { name: 'named', type: { type: 'map', values: ['null', 'Tree'] } },
      ],
    };
    interface Tree {
      readonly text: string;
      readonly children: readonly Tree[];
      readonly named: Readonly<Record<string, { readonly Tree: Tree } | null>>;
    }
    const { trees } = fc.letrec<{ trees: Tree }>((tie) => ({
      trees: fc.record({
        text: fc.string({ maxLength: 5 }),
        children: fc.oneof({ maxDepth: 3 }, fc.constant([]), fc.array(tie('trees'), { maxLength: 3 })),
        named: fc.oneof(
          { maxDepth: 3 },
          fc.constant({ none: null }),
          tie('trees').map((Tree) => ({ one: { Tree } })),
        ),
      }),
    }));
    fc.assert(
      fc.property(trees, (value) => {
        agree(tree, encode({ schema: tree, value }), new JsonOutput());
      }),
    );
  });
});
