/** Proves that counts are right and bounded, and that a list keeps the newest. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Newest, OTHERS, Tally } from '../../src/dead/tally.ts';
import { deadLetter } from './dead-letters.ts';

test('the newest are kept, the newest last', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(50), { maxLength: 60 }), fc.integer({ min: 1, max: 10 }), (times, limit) => {
      const newest = new Newest(limit);
      times.forEach((timestamp, offset) => {
        newest.offer({ letter: deadLetter({}, { timestamp, offset }), state: 'open' });
      });
      const kept = newest.list().map(({ letter }) => letter.diedAtMs);
      expect(kept).toEqual([...times].sort((a, b) => a - b).slice(-limit));
    }),
  );
});

test('counts by destination, kind and reason, the most frequent first', () => {
  const tally = new Tally();
  for (const reason of ['http_503', 'http_404', 'http_503'])
    tally.add(deadLetter({ reason, status: reason.slice(5) }));
  tally.add(deadLetter({ 'destination-id': 'erp', reason: 'http_404', status: '404' }));
  expect(tally.total).toBe(4);
  expect(tally.lines()).toEqual([
    { destinationId: 'crm', kind: 'endpoint', reason: 'http_503', count: 2 },
    { destinationId: 'crm', kind: 'refused', reason: 'http_404', count: 1 },
    { destinationId: 'erp', kind: 'refused', reason: 'http_404', count: 1 },
  ]);
  expect(tally.reasons()).toEqual([
    ['http_404', 2],
    ['http_503', 2],
  ]);
});

test('names without end take memory for some of them, and all are counted', () => {
  const tally = new Tally();
  for (let i = 0; i < 5_000; i++) tally.add(deadLetter({ reason: `r${i}` }));
  expect(tally.total).toBe(5_000);
  expect(tally.lines()).toHaveLength(201);
  expect(tally.lines()[0]).toMatchObject({ reason: OTHERS, count: 4_800 });
});
