/** Proves that the poll grows on a backlog, shrinks when it waits, and stays between its bounds. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PollSize } from '../../src/ingest/poll-size.ts';

test('a backlog doubles it up to the most', () => {
  const size = new PollSize(16, 100);
  const seen: number[] = [];
  for (let i = 0; i < 5; i++) {
    seen.push(size.size);
    size.observe(size.size, 1);
  }
  expect(seen).toEqual([16, 32, 64, 100, 100]);
});

test('a full poll that took its time does not grow it, and a part-filled one neither', () => {
  const size = new PollSize(16, 100);
  size.observe(16, 5);
  size.observe(15, 1);
  expect(size.size).toBe(16);
});

test('a slow trickle halves it down to the least, so that its first record waits less', () => {
  const size = new PollSize(16, 128);
  for (let i = 0; i < 3; i++) size.observe(size.size, 0);
  expect(size.size).toBe(128);
  size.observe(40, 21);
  expect(size.size).toBe(64);
  for (let i = 0; i < 9; i++) size.observe(1, 21);
  expect(size.size).toBe(16);
});

test('an idle topic does not shrink it: nobody waited', () => {
  const size = new PollSize(16, 128);
  size.observe(16, 0);
  size.observe(0, 1_000);
  expect(size.size).toBe(32);
});

test('whatever it observes, it stays a whole number within its bounds', () => {
  const poll = fc.tuple(fc.nat(3_000), fc.double({ min: 0, max: 1e4, noNaN: true }));
  fc.assert(
    fc.property(fc.array(poll, { maxLength: 100 }), (polls) => {
      const size = new PollSize(16, 2_000);
      for (const [received, durationMs] of polls) {
        size.observe(received, durationMs);
        expect(Number.isInteger(size.size)).toBe(true);
        expect(size.size).toBeGreaterThanOrEqual(16);
        expect(size.size).toBeLessThanOrEqual(2_000);
      }
    }),
  );
});
