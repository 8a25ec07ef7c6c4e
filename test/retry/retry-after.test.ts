/**
 * Proves that a receiver's Retry-After is understood in every form that HTTP has
 * for it, and that whatever else stands there is taken for nothing.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseRetryAfter } from '../../src/retry/retry-after.ts';
import { variantOf } from '../domain/planted-bug.ts';

type Parse = typeof parseRetryAfter;

const nowMs = Date.UTC(2027, 0, 15, 12);
const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const two = (n: number): string => String(n).padStart(2, '0');

const FORMS: Record<string, (of: Date) => string> = {
  imf: (of) => of.toUTCString(),
  rfc850: (of) =>
    `${DAYS[of.getUTCDay()]}, ${two(of.getUTCDate())}-${MONTHS[of.getUTCMonth()]}-` +
    `${two(of.getUTCFullYear() % 100)} ${of.toISOString().slice(11, 19)} GMT`,
  asctime: (of) =>
    `${DAYS[of.getUTCDay()]!.slice(0, 3)} ${MONTHS[of.getUTCMonth()]} ` +
    `${String(of.getUTCDate()).padStart(2, ' ')} ${of.toISOString().slice(11, 19)} ${of.getUTCFullYear()}`,
};

/** Whole seconds of the years that two digits can name: 50 ahead, 49 back. */
const moment = fc
  .integer({ min: Date.UTC(1978, 0) / 1000, max: Date.UTC(2078, 0) / 1000 - 1 })
  .map((seconds) => new Date(seconds * 1000));

function everyForm(tested: Parse): fc.IProperty<[Date, string, string]> {
  return fc.property(
    moment,
    fc.constantFrom(...Object.keys(FORMS)),
    fc.constantFrom('', ' ', '\t'),
    (date, form, space) => {
      const waitMs = tested(`${space}${FORMS[form]!(date)}${space}`, nowMs);
      expect(waitMs).toBe(Math.max(0, date.getTime() - nowMs));
    },
  );
}

function everySeconds(tested: Parse): fc.IProperty<[number]> {
  return fc.property(fc.nat(), (seconds) => {
    expect(tested(String(seconds), nowMs)).toBe(seconds * 1000);
  });
}

/** Texts that are nearly right, and others. */
const anyText = fc.oneof(
  fc.string(),
  fc.string({ unit: 'binary', maxLength: 64 }),
  fc.tuple(moment, fc.nat(40), fc.string({ maxLength: 3 })).map(([date, at, junk]) => {
    const text = date.toUTCString();
    return text.slice(0, at) + junk + text.slice(at + 1);
  }),
  fc
    .tuple(fc.constantFrom('-', '+', '1e', '0x', '1.', ''), fc.nat(), fc.constantFrom('', 's', '.5'))
    .map((parts) => parts.join('')),
);

function totality(tested: Parse): fc.IProperty<[string]> {
  return fc.property(anyText, (text) => {
    const waitMs = tested(text, nowMs);
    if (waitMs === null) return;
    expect(Number.isFinite(waitMs) && waitMs >= 0).toBe(true);
    expect(text.trim()).toMatch(/^(?:\d+|[A-Z][a-z]+,? .*\d\d:\d\d:\d\d.*)$/);
  });
}

describe('a value', () => {
  test('that is a date, in any of the three forms, is the time until then', () => {
    fc.assert(everyForm(parseRetryAfter), { numRuns: 2_000 });
  });

  test('that is a number is so many seconds', () => {
    fc.assert(everySeconds(parseRetryAfter), { numRuns: 500 });
  });

  test('of any text is a finite wait or nothing', () => {
    fc.assert(totality(parseRetryAfter), { numRuns: 5_000 });
  });

  test.each([
    ['months that start at 1', 'MONTHS.indexOf(month)', '1 + MONTHS.indexOf(month)', everyForm],
    ['two digits always of this century', 'ahead > thisYear + 50', 'false', everyForm],
    ['a wait that is negative', 'Math.max(0, dateMs - nowMs)', 'dateMs - nowMs', everyForm],
    ['a date’s own time taken for a wait', 'Math.max(0, dateMs - nowMs)', 'dateMs', everyForm],
    ['milliseconds', 'Number(value) * 1000', 'Number(value)', everySeconds],
    ['negatives', '/^\\d+$/', '/^-?\\d+$/', totality],
    ['fractions', '/^\\d+$/', '/^[\\d.]+$/', totality],
    [
      'numbers without a bound',
      'Math.min(Number(value) * 1000, Number.MAX_SAFE_INTEGER)',
      'Number(value) ** 99',
      totality,
    ],
  ])('a planted bug is caught: %s', async (_what, from, to, property) => {
    const { parseRetryAfter: buggy } = await variantOf<{ parseRetryAfter: Parse }>('retry/retry-after.ts', [
      from,
      to,
    ]);
    expect(
      fc.check<unknown>(property(buggy) as fc.IProperty<unknown>, { seed: 1, numRuns: 5_000 }).failed,
    ).toBe(true);
  });
});

test.each<[string, number | null]>([
  ['120', 120_000],
  ['0', 0],
  [' 7 ', 7_000],
  ['1000000000', 1e12],
  ['9'.repeat(400), Number.MAX_SAFE_INTEGER],
  ['Fri, 15 Jan 2027 12:00:30 GMT', 30_000],
  ['Friday, 15-Jan-27 12:00:30 GMT', 30_000],
  ['Fri Jan 15 12:00:30 2027', 30_000],
  ['Fri Jan  1 12:00:30 2027', 0],
  ['Sun, 06 Nov 1994 08:49:37 GMT', 0],
  ['Tue, 31 Dec 2030 23:59:60 GMT', Date.UTC(2031, 0) - nowMs],
  ['', null],
  ['-1', null],
  ['1e9', null],
  ['12.5', null],
  ['soon', null],
  ['120, 240', null],
  ['Fri, 15 Jan 2027 12:00:30', null],
  ['Fri, 15 Jan 2027 12:00:30 CET', null],
  ['fri, 15 jan 2027 12:00:30 gmt', null],
  ['Sat, 30 Feb 2027 12:00:30 GMT', null],
  ['Fri, 00 Jan 2027 12:00:30 GMT', null],
  ['Fri, 15 Jan 2027 24:00:00 GMT', null],
  ['2027-01-15T12:00:30Z', null],
])('Retry-After: %s', (text, expected) => {
  expect(parseRetryAfter(text, nowMs)).toBe(expected);
});
