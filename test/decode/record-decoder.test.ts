import { describe, expect, it } from 'vitest';
import type { DecodedRecord } from '../../src/decode/envelope.ts';
import { RecordDecoder } from '../../src/decode/record-decoder.ts';
import { parseSchemas } from '../../src/decode/schema-parser.ts';
import { sourceOf } from '../../src/decode/schema-source.ts';
import { encodeVarint } from '../../src/decode/varint.ts';
import type { FieldMapping, FieldSource } from '../../src/domain/event.ts';
import { limits } from '../../src/domain/limits.ts';
import { encode, type RecordSchema, type Schema } from './arbitrary-avro.ts';

/* Proves that a lane gets a record's JSON and the fields its mapping names, and a reason for what cannot be decoded. */

type AvroSource = Extract<FieldSource, { from: 'avro' }>;

const ID = 7;
const avro = (...path: string[]): AvroSource => ({ from: 'avro', path });
const key: FieldSource = { from: 'key' };
const nowhere: FieldMapping = {
  id: key,
  type: key,
  tenant: key,
  time: key,
  version: key,
  source: key,
  key,
  correlationId: key,
  aggregateType: null,
  aggregateId: null,
  aggregateVersion: null,
  priority: null,
  expiresAt: null,
};

function recordOf(fields: Readonly<Record<string, unknown>>, name = 'R'): RecordSchema {
  return {
    type: 'record',
    name,
    fields: Object.entries(fields).map(([field, type]) => ({ name: field, type: type as Schema })),
  };
}

function decoderOf(schema: unknown): RecordDecoder {
  const decoder = new RecordDecoder();
  decoder.define(ID, sourceOf(parseSchemas([JSON.stringify(schema)])));
  return decoder;
}

function decodeAll(decoder: RecordDecoder, record: Buffer, mapping = nowhere): DecodedRecord {
  return decoder.decode(ID, record, 0, record.length, mapping);
}

function jsonOf(schema: unknown, record: Buffer): string {
  return decodeAll(decoderOf(schema), record).data.toString('utf8');
}

const undecodable = expect.objectContaining({ name: 'InvalidRecord', reason: 'undecodable' }) as Error;

const contact = recordOf(
  {
    id: 'string',
    kind: { type: 'enum', name: 'Kind', symbols: ['CREATED', 'DELETED'] },
    version: 'int',
    sequence: 'long',
    source: ['null', 'string'],
    meta: ['null', recordOf({ correlationId: 'string' }, 'Meta')],
    owner: [recordOf({ name: 'string' }, 'Person'), recordOf({ name: 'int' }, 'Machine')],
  },
  'ns.Contact',
);
const value = {
  id: 'c"1',
  kind: 'DELETED',
  version: -3,
  sequence: 12,
  source: { string: 'crm' },
  meta: { 'ns.Meta': { correlationId: 'cor' } },
  owner: { 'ns.Machine': { name: 5 } },
};

describe('the fields of a mapping', () => {
  const textOf = (record: Buffer, source: AvroSource): string =>
    decodeAll(decoderOf(contact), record, { ...nowhere, id: source }).text(source);

  it.each([
    [avro('id'), 'c"1'],
    [avro('kind'), 'DELETED'],
    [avro('version'), '-3'],
    [avro('sequence'), '12'],
    [avro('source'), 'crm'],
    [avro('meta', 'correlationId'), 'cor'],
    [avro('owner', 'name'), '5'],
  ])('are texts: %j', (source, expected) => {
    expect(textOf(encode({ schema: contact, value }), source)).toBe(expected);
  });

  it.each([
    ['a null', avro('source')],
    ['a field of a null', avro('meta', 'correlationId')],
    ['a record', avro('owner')],
    ['a field that the schema does not have', avro('nobody', 'here')],
    ['what JavaScript objects have', avro('constructor', 'name')],
  ])('are the empty text for %s', (_, source) => {
    const record = encode({ schema: contact, value: { ...value, source: null, meta: null } });
    expect(textOf(record, source)).toBe('');
  });

  it.each([
    ['a boolean', 'boolean', '01'],
    ['a double', 'double', '000000000000f03f'],
    ['bytes', 'bytes', '0261'],
    ['an array', { type: 'array', items: 'int' }, '00'],
  ])('are the empty text for %s, which is in the JSON only', (_, type, hex) => {
    const source = avro('f');
    const record = Buffer.from(hex, 'hex');
    expect(decodeAll(decoderOf(recordOf({ f: type })), record, { ...nowhere, id: source }).text(source)).toBe(
      '',
    );
  });

  it('do not lead into maps', () => {
    const source = avro('f', 'a');
    const decoder = decoderOf(recordOf({ f: { type: 'map', values: 'string' } }));
    expect(
      decodeAll(decoder, Buffer.from('020261026200', 'hex'), { ...nowhere, id: source }).text(source),
    ).toBe('');
  });

  it('are all there at once, found where the record begins and ends', () => {
    const mapping = {
      ...nowhere,
      id: avro('id'),
      version: avro('version'),
      correlationId: avro('meta', 'correlationId'),
    };
    const record = encode({ schema: contact, value });
    const batch = Buffer.concat([Buffer.alloc(9, 0xff), record, Buffer.alloc(9, 0xff)]);
    const decoded = decoderOf(contact).decode(ID, batch, 9, 9 + record.length, mapping);
    const { id, version, correlationId } = mapping;
    expect([decoded.text(id), decoded.text(version), decoded.text(correlationId)]).toEqual([
      'c"1',
      '-3',
      'cor',
    ]);
    expect(decoded.schemaName).toBe('ns.Contact');
    expect(JSON.parse(decoded.data.toString())).toEqual({
      ...value,
      source: 'crm',
      meta: { correlationId: 'cor' },
      owner: { name: 5 },
    });
  });

  it('leave one priority for a whole topic to the mapping, and read that of a field', () => {
    const priority = avro('kind');
    const record = encode({ schema: contact, value });
    expect(decodeAll(decoderOf(contact), record, { ...nowhere, priority }).text(priority)).toBe('DELETED');
    const constant: FieldMapping = { ...nowhere, priority: { from: 'constant', value: 'low' } };
    expect(decodeAll(decoderOf(contact), record, constant).schemaName).toBe('ns.Contact');
  });

  it('beyond 2^53 keep every digit', () => {
    const source = avro('n');
    const decoder = decoderOf(recordOf({ n: 'long' }));
    const decoded = decodeAll(decoder, encodeVarint(2n ** 63n - 1n), { ...nowhere, id: source });
    expect(decoded.text(source)).toBe('9223372036854775807');
    expect(decoded.data.toString()).toBe('{"n":"9223372036854775807"}');
  });

  it('are those of the mapping that is asked, also when several read the same schema', () => {
    const decoder = decoderOf(contact);
    const [byId, byKind] = [avro('id'), avro('kind')];
    const [first, second] = [
      { ...nowhere, id: byId },
      { ...nowhere, id: byKind },
    ];
    for (const n of [1, 2, 3]) {
      const record = encode({ schema: contact, value: { ...value, id: `c-${n}` } });
      expect(decodeAll(decoder, record, first).text(byId)).toBe(`c-${n}`);
      expect(decodeAll(decoder, record, second).text(byKind)).toBe('DELETED');
    }
    const record = encode({ schema: contact, value });
    expect(() => decodeAll(decoder, record, second).text(byId)).toThrow(/id is not a field of this mapping/);
  });

  it('are not those of the record before', () => {
    const decoder = decoderOf(contact);
    const source = avro('source');
    const mapping = { ...nowhere, source };
    expect(decodeAll(decoder, encode({ schema: contact, value }), mapping).text(source)).toBe('crm');
    const without = encode({ schema: contact, value: { ...value, source: null } });
    expect(decodeAll(decoder, without, mapping).text(source)).toBe('');
  });
});

describe('the time', () => {
  const ms = Date.UTC(2026, 0, 2, 3, 4, 5, 678);
  const source = avro('at');
  const timeOf = (type: unknown, bytes: Uint8Array): number | null =>
    decodeAll(decoderOf(recordOf({ at: type })), Buffer.from(bytes), { ...nowhere, time: source }).timeMs(
      source,
    );
  const logical = (logicalType: string): unknown => ({ type: 'long', logicalType });

  it.each([
    ['millis', logical('timestamp-millis'), BigInt(ms)],
    ['a plain long', 'long', BigInt(ms)],
    ['micros', logical('timestamp-micros'), BigInt(ms) * 1_000n + 999n],
    ['nanos, which are beyond 2^53', logical('timestamp-nanos'), BigInt(ms) * 1_000_000n + 1_000n],
  ])('counts %s', (_, type, count) => {
    expect(timeOf(type, encodeVarint(count))).toBe(ms);
    expect(timeOf(['null', type], Buffer.concat([Buffer.from([2]), encodeVarint(count)]))).toBe(ms);
  });

  it('of each field counts by the type of that field', () => {
    const until = avro('until');
    const schema = recordOf({ at: logical('timestamp-micros'), until: logical('timestamp-millis') });
    const bytes = Buffer.concat([encodeVarint(BigInt(ms) * 1_000n), encodeVarint(BigInt(ms) + 9n)]);
    const mapping: FieldMapping = { ...nowhere, time: source, expiresAt: until };
    const decoded = decodeAll(decoderOf(schema), bytes, mapping);
    expect([decoded.timeMs(source), decoded.timeMs(until)]).toEqual([ms, ms + 9]);
  });

  it('before 1970 is one', () => {
    expect(timeOf(logical('timestamp-nanos'), encodeVarint(-1n))).toBe(-1);
    expect(timeOf('int', encodeVarint(-5))).toBe(-5);
  });

  it('may be text', () => {
    const text = Buffer.from('2026-01-02T03:04:05.678Z');
    expect(timeOf('string', Buffer.concat([encodeVarint(text.length), text]))).toBe(ms);
  });

  it.each([
    ['absent', ['null', 'long'], '00'],
    ['of the year 292 million', 'long', 'feffffffffffffffff01'],
    ['no time', 'string', '0261'],
    ['of a type that tells none', 'boolean', '01'],
  ])('is none when it is %s', (_, type, hex) => {
    expect(timeOf(type, Buffer.from(hex, 'hex'))).toBeNull();
  });
});

describe('what cannot be decoded', () => {
  const record = encode({ schema: contact, value });

  it('is a record whose schema was never defined', () => {
    expect(() => decodeAll(new RecordDecoder(), record)).toThrow(undecodable);
    expect(() => decodeAll(new RecordDecoder(), record)).toThrow(/schema 7 was never defined/);
  });

  it('is a record whose schema is none', () => {
    const decoder = new RecordDecoder();
    decoder.define(ID, '{');
    expect(() => decodeAll(decoder, record)).toThrow(undecodable);
  });

  it('is a record that is shorter or longer than its bytes', () => {
    const decoder = decoderOf(contact);
    const longer = Buffer.concat([record, Buffer.alloc(1)]);
    for (let length = 0; length < record.length; length++) {
      expect(() => decoder.decode(ID, longer, 0, length, nowhere)).toThrow(undecodable);
    }
    expect(() => decodeAll(decoder, longer)).toThrow(undecodable);
    expect(decodeAll(decoder, record).schemaName).toBe('ns.Contact');
  });

  it.each([
    ['of a symbol that does not exist', { type: 'enum', name: 'E', symbols: ['A'] }, '02'],
    ['of a branch that does not exist', ['null', 'int'], '04'],
    ['of millions of nulls in five bytes', { type: 'array', items: 'null' }, '80b4891300'],
  ])('is a record %s', (_, type, hex) => {
    expect(() => decodeAll(decoderOf(recordOf({ f: type })), Buffer.from(hex, 'hex'))).toThrow(undecodable);
  });
});

describe('schemas as they occur', () => {
  it('with a default that does not fit its field are usable for reading what was written', () => {
    const fields = [{ name: 'f', type: 'int', default: 'zero', aliases: 3 }];
    expect(jsonOf({ type: 'record', name: 'R', fields }, Buffer.from([4]))).toBe('{"f":2}');
  });

  it('with types without a namespace inside of records with one', () => {
    const inner = { type: 'record', name: 'Inner', namespace: '', fields: [{ name: 'x', type: 'int' }] };
    const fields = [
      { name: 'a', type: inner },
      { name: 'b', type: 'Inner' },
    ];
    const schema = { type: 'record', name: 'a.b.Outer', fields };
    expect(jsonOf(schema, Buffer.from([2, 4]))).toBe('{"a":{"x":1},"b":{"x":2}}');
  });
});

describe('of compiled schemas', () => {
  const source = (name: string): string =>
    sourceOf(parseSchemas([JSON.stringify(recordOf({ f: 'int' }, name))]));
  const byte = Buffer.from([2]);

  it('what was read is kept, and the JSON of each record is its own', () => {
    const decoder = new RecordDecoder();
    decoder.define(1, source('One'));
    decoder.define(2, source('Two'));
    const one = decoder.decode(1, byte, 0, 1, nowhere);
    const { data } = one;
    expect(decoder.decode(2, Buffer.from([4]), 0, 1, nowhere).schemaName).toBe('Two');
    expect(decoder.decode(1, Buffer.from([6]), 0, 1, nowhere)).toBe(one);
    expect([data.toString(), one.data.toString()]).toEqual(['{"f":1}', '{"f":3}']);
  });

  it('only as many are kept as the limit says, and the others are compiled again', () => {
    const decoder = new RecordDecoder();
    for (let id = 0; id <= limits.schemaCacheEntries; id++) decoder.define(id, source(`R${id}`));
    const first = decoder.decode(0, byte, 0, 1, nowhere);
    for (let id = 1; id <= limits.schemaCacheEntries; id++) {
      expect(decoder.decode(id, byte, 0, 1, nowhere).schemaName).toBe(`R${id}`);
    }
    const again = decoder.decode(0, byte, 0, 1, nowhere);
    expect(again).not.toBe(first);
    expect(again.schemaName).toBe('R0');
  });
});
