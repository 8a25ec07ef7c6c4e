/** Proves that the place a record was moved from survives its headers, and that anything else is no such place. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { RecordHeader } from '../../src/domain/record.ts';
import { isRekeyHeader, rekeyedFrom, rekeyedHeaders } from '../../src/domain/rekeyed-from.ts';

const bytes = fc.uint8Array({ maxLength: 20 }).map((array) => Buffer.from(array));
const names = fc.constantFrom(
  'traceparent',
  'eventdispatch-reason',
  'eventdispatch-origin-topic',
  'eventdispatch-origin-partition',
  'eventdispatch-origin-offset',
  'eventdispatch-origin-timestamp',
  'eventdispatch-origin-',
  '',
);
const headers = fc.array(fc.tuple(names, bytes), { maxLength: 8 });
const place = fc.record({
  topic: fc.stringMatching(/^[A-Za-z0-9._-]{1,249}$/),
  partition: fc.nat(100_000),
  offset: fc.maxSafeNat().map((offset) => offset % 1e15),
  timestampMs: fc.nat(),
});

test('what is written is read, whatever the record’s own headers claim', () => {
  fc.assert(
    fc.property(place, headers, (from, own) => {
      const written = rekeyedHeaders(from, own);
      expect(rekeyedFrom(written)).toEqual(from);
      expect(written.filter(([name]) => !isRekeyHeader(name))).toEqual(
        own.filter(([name]) => !isRekeyHeader(name)),
      );
    }),
  );
});

test('any headers are a whole place or none', () => {
  fc.assert(
    fc.property(headers, (any) => {
      const from = rekeyedFrom(any);
      if (from === null) return;
      expect(from.topic).not.toBe('');
      for (const number of [from.partition, from.offset, from.timestampMs]) {
        expect(Number.isSafeInteger(number) && number >= 0).toBe(true);
      }
    }),
  );
});

test.each(['eventdispatch-origin-topic', 'eventdispatch-origin-offset'])(
  'a place without its %s is none',
  (missing) => {
    const written: RecordHeader[] = rekeyedHeaders(
      { topic: 'orders', partition: 1, offset: 2, timestampMs: 3 },
      [],
    );
    expect(rekeyedFrom(written.filter(([name]) => name !== missing))).toBeNull();
  },
);
