import { expect, it } from 'vitest';
import { encodeConfluent, readSchemaId } from '../../src/decode/wire.ts';
import { INVALID_REASONS } from '../../src/domain/outcome.ts';

/* Proves the Confluent header: https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop/index.html#wire-format */

it('frames and reads back ids of the full 32 bits, big-endian', () => {
  for (const id of [0, 1, 0x01020304, 0xffffffff]) {
    const value = encodeConfluent(id, Buffer.from('avro'));
    expect(readSchemaId(value, 0, value.length)).toBe(id);
    expect(value.subarray(5).toString()).toBe('avro');
  }
  expect(encodeConfluent(0x01020304, Buffer.alloc(0)).toString('hex')).toBe('0001020304');
});

it('reads within its range only', () => {
  const value = Buffer.concat([Buffer.from([9, 9]), encodeConfluent(77, Buffer.alloc(0)), Buffer.from([9])]);
  expect(readSchemaId(value, 2, 7)).toBe(77);
  expect(INVALID_REASONS[-readSchemaId(value, 2, 6)]).toBe('too_short');
});

it('tells apart what is too short and what is not Avro', () => {
  const reason = (hex: string): string | undefined =>
    INVALID_REASONS[-readSchemaId(Buffer.from(hex, 'hex'), 0, hex.length / 2)];
  expect(reason('')).toBe('too_short');
  expect(reason('00000000')).toBe('too_short');
  expect(reason('0100000001')).toBe('not_avro');
  expect(reason(Buffer.from('{"a":1}').toString('hex'))).toBe('not_avro');
});
