import { describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { encode, branchName, isUnion, schemaAndValue, type Schema } from './arbitrary-avro.ts';
import { AvscDecoder } from './avsc-decoder.ts';

/* Proves that the oracle is one: it gives the value that was written, and reads by Avro's rules of evolution. */

/** What the JSON of a wrapped value should hold, made without either decoder. */
function expectedJson(schema: Schema, value: unknown): unknown {
  if (Buffer.isBuffer(value)) return value.toString('base64');
  if (typeof schema === 'string' || value === null) return value;
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

/** NaN and the infinities have no JSON form, and come as null. */
function jsonRoundTrip(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}

it('any record of any schema comes out as its value', () => {
  fc.assert(
    fc.property(schemaAndValue(), ({ schema, value }) => {
      const decoded = new AvscDecoder(JSON.stringify(schema)).decode(encode({ schema, value }));
      expect(jsonRoundTrip(decoded)).toEqual(jsonRoundTrip(expectedJson(schema, value)));
    }),
    { numRuns: 400 },
  );
});

function recordOf(fields: Readonly<Record<string, Schema>>, name = 'R'): Schema {
  return {
    type: 'record',
    name,
    fields: Object.entries(fields).map(([field, type]) => ({ name: field, type })),
  };
}

it('longs stay exact where a reader schema reads an int as a long', () => {
  const [writer, reader] = [recordOf({ n: 'int' }), recordOf({ n: 'long' })];
  expect(new AvscDecoder(JSON.stringify(writer), JSON.stringify(reader)).decode(Buffer.from([3]))).toEqual({
    n: -2,
  });
});

it('bytes that are not one record are refused', () => {
  const decoder = new AvscDecoder(JSON.stringify(recordOf({ s: 'string' })));
  expect(() => decoder.decode(Buffer.from([4, 97]))).toThrow();
  expect(() => decoder.decode(Buffer.from([2, 97, 0]))).toThrow(/ends at 2/);
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

  it('reads what an older writer wrote: renamed, defaulted and dropped fields', () => {
    const record = encode({ schema: v1, value: { id: 'c1', phone: '+49', dropped: [1, 2, 3] } });
    expect(new AvscDecoder(JSON.stringify(v1), JSON.stringify(v2)).decode(record)).toEqual({
      id: 'c1',
      phoneNumber: '+49',
      stage: 'lead',
      points: 12,
    });
  });

  it('that cannot read the writer is refused', () => {
    const other = JSON.stringify(recordOf({ other: 'string' }, 'ns.Contact'));
    expect(() => new AvscDecoder(other, JSON.stringify(v2))).toThrow();
  });
});
