/** Proves that a delivery's id is the same for the same delivery, for ever, and another for any other one. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { deliveryId } from '../../src/domain/ids.ts';

test('the id of a delivery never changes between versions: receivers dedupe by it', () => {
  expect(deliveryId('acme', 'evt-1', 'crm')).toBe('dlv_rD_i8gDaaf4v8a0pDZKFk8');
});

test('parts that spell the same text when put together are different deliveries', () => {
  const ids = [
    deliveryId('ab', 'c', 'd'),
    deliveryId('a', 'bc', 'd'),
    deliveryId('a', 'b', 'cd'),
    deliveryId('', 'abc', 'd'),
    deliveryId('1.2.', 'c', 'd'),
    deliveryId('1', '.2.c', 'd'),
  ];
  expect(new Set(ids).size).toBe(ids.length);
});

test('it is made of characters that need no escape in a header, a URL or a cell', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.string(), fc.string(), (tenant, event, destination) => {
      expect(deliveryId(tenant, event, destination)).toMatch(/^dlv_[A-Za-z0-9_-]{22}$/);
    }),
  );
});

test('two triples have one id exactly when they are one triple', () => {
  // Few characters, digits and dots among them, so that ambiguous spellings are met often.
  const part = fc.string({ unit: fc.constantFrom('a', 'b', '1', '2', '.'), maxLength: 4 });
  const triple = fc.tuple(part, part, part);
  fc.assert(
    fc.property(triple, triple, (a, b) => {
      const same = a.every((text, i) => text === b[i]);
      expect(deliveryId(...a) === deliveryId(...b)).toBe(same);
    }),
    { numRuns: 2_000 },
  );
});
