/** Proves what the options of `dead` take for a time, a status and a place, and that nothing else is taken for one. */
import { describe, expect, test } from 'vitest';
import { filterOf, placesOf, readDeadOption } from '../../../src/cli/dead/options.ts';
import { printable } from '../../../src/cli/dead/text.ts';

const NOW_MS = Date.parse('2026-08-02T12:00:00Z');

describe('a time', () => {
  test.each([
    ['2h', '2026-08-02T10:00:00Z'],
    ['7d', '2026-07-26T12:00:00Z'],
    ['2026-08-01', '2026-08-01T00:00:00Z'],
    ['2026-08-01T10:00Z', '2026-08-01T10:00:00Z'],
    ['2026-08-01T10:00:30.5+02:00', '2026-08-01T08:00:30.500Z'],
  ])('%s', (text, meant) => {
    const { sinceMs, untilMs } = filterOf({ since: readDeadOption.moment(text) }, NOW_MS);
    expect([sinceMs, untilMs]).toEqual([Date.parse(meant), null]);
  });

  test.each(['', 'yesterday', '2', '2026-13-01', '2026-08-01T10:00', '08/01/2026', '-2h'])(
    'not %j',
    (text) => {
      expect(() => readDeadOption.moment(text)).toThrow(/^Allowed: /);
    },
  );
});

test('a status is one, a hundred, or none', () => {
  expect(readDeadOption.status('503')).toEqual({ from: 503, to: 503 });
  expect(readDeadOption.status('4xx')).toEqual({ from: 400, to: 499 });
  expect(readDeadOption.status('0')).toEqual({ from: 0, to: 0 });
  for (const text of ['', 'x', '6xx', '50', '5030', '-1'])
    expect(() => readDeadOption.status(text)).toThrow(/^Allowed: /);
});

test('rate, limit and kind say what is allowed', () => {
  expect(readDeadOption.rate('600/m')).toBe(10);
  expect(readDeadOption.limit('10000')).toBe(10_000);
  for (const text of ['50', '0/s', 'max', '1000000/s'])
    expect(() => readDeadOption.rate(text)).toThrow(/^Allowed: /);
  for (const text of ['0', '10001', 'x']) expect(() => readDeadOption.limit(text)).toThrow(/^Allowed: /);
  expect(() => readDeadOption.kind('customer')).toThrow('Allowed: refused, endpoint, pipeline.');
});

test('types are globs, of which one is enough', () => {
  const { isWantedType } = filterOf({ type: readDeadOption.type('contact.*, email.sent') }, NOW_MS);
  expect(['contact.created', 'email.sent', 'email.opened'].map((type) => isWantedType?.(type))).toEqual([
    true,
    true,
    false,
  ]);
});

test('dead letters are named or described, not both', () => {
  expect(placesOf(['3:1207', '0:0'], {})).toEqual([
    { partition: 3, offset: 1207 },
    { partition: 0, offset: 0 },
  ]);
  expect(() => placesOf(['3-1207'], {})).toThrow(
    /^dead letter "3-1207" is not allowed; allowed: PARTITION:OFFSET/,
  );
  expect(() => placesOf(['3:1207'], { tenant: 'acme' })).toThrow(/^--tenant and 3:1207: /);
});

test('no text of an event commands the terminal', () => {
  expect(printable('a\u001b[2Jb\u009bc\u202ed\n')).toBe('a\\u001b[2Jb\\u009bc\\u202ed\\u000a');
  expect(printable('größer ✓')).toBe('größer ✓');
});
