import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { UnusableSchema } from '../../src/decode/errors.ts';
import { typeAt } from '../../src/decode/schema-model.ts';
import { parseSchemas } from '../../src/decode/schema-parser.ts';
import { sourceOf } from '../../src/decode/schema-source.ts';
import { schemaAndValue } from './arbitrary-avro.ts';

/* Proves that Avro's rules for names and types hold, and that what breaks them is refused with its reason. */

const parse = (...schemas: unknown[]): ReturnType<typeof parseSchemas> =>
  parseSchemas(schemas.map((schema) => JSON.stringify(schema)));

const recordWith = (type: unknown): unknown => ({ type: 'record', name: 'R', fields: [{ name: 'f', type }] });

describe('names', () => {
  const inner = (name: string, namespace?: string): unknown => ({
    type: 'enum',
    name,
    symbols: ['A'],
    ...(namespace === undefined ? {} : { namespace }),
  });
  const outer = (...types: unknown[]): unknown => ({
    type: 'record',
    name: 'Outer',
    namespace: 'a.b',
    fields: types.map((type, i) => ({ name: `f${i}`, type })),
  });

  it.each([
    ['take the enclosing namespace', inner('E'), 'E', 'a.b.E'],
    ['take their own namespace', inner('E', 'x.y'), 'x.y.E', 'x.y.E'],
    ['with dots are full names', inner('p.q.E', 'ignored'), 'p.q.E', 'p.q.E'],
    ['may leave the namespace', inner('E', ''), 'E', 'E'],
  ])('%s', (_, definition, reference, fullName) => {
    const record = parse(outer(definition, reference));
    expect(record.name).toBe('a.b.Outer');
    expect(typeAt(record, ['f1'])).toMatchObject({ kind: 'enum', name: fullName });
    expect(typeAt(record, ['f1'])).toBe(typeAt(record, ['f0']));
  });

  it('of an earlier schema can be referred to by a later one', () => {
    const record = parse(inner('E', 'shared'), outer('shared.E'));
    expect(typeAt(record, ['f0'])).toMatchObject({ kind: 'enum', name: 'shared.E' });
  });
});

describe('what is unusable', () => {
  it.each([
    ['no JSON', '{', /not JSON/],
    ['a primitive at the top', '"string"', /record was expected/],
    ['a union at the top', '["null"]', /record was expected/],
    ['null', 'null', /type was expected/],
    ['an undefined name', JSON.stringify(recordWith('Nobody')), /"Nobody" is not defined/],
    ['an unknown type', JSON.stringify(recordWith({ type: 'text' })), /"text" is not defined/],
    ['a record without fields', '{"type":"record","name":"R"}', /no list of fields/],
    ['a record without a name', '{"type":"record","fields":[]}', /invalid name/],
    ['a name that is none', '{"type":"record","name":"a-b","fields":[]}', /invalid name/],
    ['a name that is code', JSON.stringify({ type: 'record', name: 'R(){};x', fields: [] }), /invalid name/],
    [
      'a field name that is code',
      '{"type":"record","name":"R","fields":[{"name":"x;y","type":"int"}]}',
      /field name/,
    ],
    [
      'a field named __proto__',
      '{"type":"record","name":"R","fields":[{"name":"__proto__","type":"int"}]}',
      /__proto__/,
    ],
    [
      'a repeated field',
      '{"type":"record","name":"R","fields":[{"name":"a","type":"int"},{"name":"a","type":"int"}]}',
      /"a"/,
    ],
    [
      'a type defined twice',
      JSON.stringify(recordWith({ type: 'record', name: 'R', fields: [] })),
      /defined twice/,
    ],
    ['an empty union', JSON.stringify(recordWith([])), /no branches/],
    ['a union in a union', JSON.stringify(recordWith(['null', ['int']])), /directly in a union/],
    [
      'an enum without symbols',
      JSON.stringify(recordWith({ type: 'enum', name: 'E', symbols: [] })),
      /symbols/,
    ],
    [
      'a repeated symbol',
      JSON.stringify(recordWith({ type: 'enum', name: 'E', symbols: ['A', 'A'] })),
      /symbols/,
    ],
    ['a fixed without a size', JSON.stringify(recordWith({ type: 'fixed', name: 'F' })), /size/],
    ['a fixed of negative size', JSON.stringify(recordWith({ type: 'fixed', name: 'F', size: -1 })), /size/],
    ['an array without items', JSON.stringify(recordWith({ type: 'array' })), /type was expected/],
  ])('%s', (_, text, reason) => {
    expect(() => parseSchemas([text])).toThrow(UnusableSchema);
    expect(() => parseSchemas([text])).toThrow(reason);
  });

  it('a schema nested far too deep, without exhausting the stack', () => {
    const depth = 100_000;
    const text = `{"type":"record","name":"R","fields":[{"name":"f","type":${'{"type":"array","items":'.repeat(depth)}"int"${'}'.repeat(depth)}}]}`;
    expect(() => parseSchemas([text])).toThrow(/nested deeper/);
  });

  it('any other JSON, always with an UnusableSchema', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (json, type) => {
        for (const schema of [
          json,
          recordWith(json),
          { type, name: 'R', fields: json, items: json, symbols: json },
        ]) {
          try {
            parse(schema);
          } catch (error) {
            expect(error).toBeInstanceOf(UnusableSchema);
          }
        }
      }),
    );
  });
});

describe('a source', () => {
  it('says the same as the schema it was made from', () => {
    fc.assert(
      fc.property(schemaAndValue(), ({ schema }) => {
        const record = parse(schema);
        expect(parseSchemas([sourceOf(record)])).toEqual(record);
      }),
    );
  });

  it('keeps recursion, logical types and namespaces, and leaves out the rest', () => {
    const record = parse({
      type: 'record',
      name: 'Node',
      namespace: 'n',
      doc: 'left out',
      fields: [
        { name: 'at', type: { type: 'long', logicalType: 'timestamp-micros' }, default: 0 },
        { name: 'children', type: { type: 'array', items: 'Node' }, aliases: ['kids'] },
      ],
    });
    expect(JSON.parse(sourceOf(record))).toEqual({
      type: 'record',
      name: 'n.Node',
      fields: [
        { name: 'at', type: { type: 'long', logicalType: 'timestamp-micros' } },
        { name: 'children', type: { type: 'array', items: 'n.Node' } },
      ],
    });
  });
});
