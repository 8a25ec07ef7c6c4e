/** Proves that record headers cross threads unchanged: order, repeated names, empty values, any bytes. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { packHeaders, unpackHeaders } from '../../src/domain/packed-headers.ts';

const header = fc.tuple(fc.string({ unit: 'grapheme' }), fc.uint8Array({ maxLength: 300 }));

test('what is packed is what is unpacked', () => {
  fc.assert(
    fc.property(fc.array(header), (headers) => {
      const unpacked = unpackHeaders(packHeaders(headers));
      expect(unpacked.map(([name, value]) => [name, [...value]])).toEqual(
        headers.map(([name, value]) => [name, [...value]]),
      );
    }),
  );
});

test('repeated names stay apart and in order; an empty name and an empty value are kept', () => {
  const headers = [
    ['a', Buffer.from('1')],
    ['a', Buffer.from('2')],
    ['', Buffer.alloc(0)],
  ] as const;
  expect(unpackHeaders(packHeaders(headers)).map(([name, value]) => `${name}=${String(value)}`)).toEqual([
    'a=1',
    'a=2',
    '=',
  ]);
});

test('no headers take no bytes', () => {
  expect(packHeaders([])).toHaveLength(0);
  expect(unpackHeaders(Buffer.alloc(0))).toEqual([]);
});

test('cut-off bytes are refused, not read past their end', () => {
  const bytes = packHeaders([['name', Buffer.from('value')]]);
  expect(() => unpackHeaders(bytes.subarray(0, 6))).toThrow(RangeError);
});
