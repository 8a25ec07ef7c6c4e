/** The judge of rate limits sees one request too many, wherever the window that holds it begins. */
import fc from 'fast-check';
import { expect, test } from 'vitest';

import { busiestWindow } from './arrival-windows.ts';

const SECOND_US = 1_000_000;

test('counts the window from its beginning to before its end', () => {
  expect(busiestWindow([], SECOND_US)).toBe(0);
  expect(busiestWindow([0, SECOND_US], SECOND_US)).toBe(1);
  expect(busiestWindow([0, SECOND_US - 1], SECOND_US)).toBe(2);
});

test('sees one too many between two seconds of the clock', () => {
  const steady = Array.from({ length: 50 }, (_, index) => index * 100_000);
  expect(busiestWindow(steady, SECOND_US)).toBe(10);
  const withOneMore = [...steady, 2_550_000].sort((a, b) => a - b);
  expect(busiestWindow(withOneMore, SECOND_US)).toBe(11);
});

test('finds what counting every window by itself finds', () => {
  const arrivals = fc
    .array(fc.integer({ min: 0, max: 200 }), { maxLength: 60 })
    .map((times) => times.sort((a, b) => a - b));
  fc.assert(
    fc.property(arrivals, fc.integer({ min: 1, max: 80 }), (times, window) => {
      const counts = times.map(
        (start) => times.filter((time) => time >= start && time < start + window).length,
      );
      expect(busiestWindow(times, window)).toBe(Math.max(0, ...counts));
    }),
  );
});
