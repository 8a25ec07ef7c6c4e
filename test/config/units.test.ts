/** Proves that what is written in units is read exactly, that nothing without a unit is, and that spelling it back loses nothing. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  formatDuration,
  formatRate,
  formatSize,
  parseDurationMs,
  parseRatePerSecond,
  parseShare,
  parseSizeBytes,
} from '../../src/config/units.ts';

const DURATION_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const SIZE_BYTES = { b: 1, kb: 1024, mb: 1024 ** 2, gb: 1024 ** 3 };
const RATE_SECONDS = { s: 1, m: 60, h: 3600 };

const unitOf = (units: Record<string, number>): fc.Arbitrary<[string, number]> =>
  fc.constantFrom(...Object.entries(units));

describe('shares', () => {
  test('percent', () => {
    fc.assert(
      fc.property(fc.nat(100), (percent) => {
        expect(parseShare(`${percent}%`)).toBe(percent / 100);
      }),
    );
    expect(parseShare('12.5%')).toBe(0.125);
  });

  test.each(['', '50', '0.5', '50 %', '-1%', '%', '1e1%', '50%%'])('%j is none', (text) => {
    expect(parseShare(text)).toBeNull();
  });
});

describe('durations', () => {
  test('count × unit', () => {
    fc.assert(
      fc.property(fc.nat(100_000), unitOf(DURATION_MS), (count, [unit, size]) => {
        expect(parseDurationMs(`${count}${unit}`)).toBe(count * size);
      }),
    );
  });

  test('spelled back, they are the same', () => {
    fc.assert(
      fc.property(fc.nat(2 ** 40), (durationMs) => {
        expect(parseDurationMs(formatDuration(durationMs))).toBe(durationMs);
      }),
    );
  });

  test('fractions of a unit, as far as they are whole milliseconds', () => {
    expect(parseDurationMs('1.5h')).toBe(5_400_000);
    expect(parseDurationMs('1.1m')).toBe(66_000);
    expect(parseDurationMs('1.001s')).toBe(1_001);
    expect(parseDurationMs('1.0005s')).toBeNull();
    expect(parseDurationMs('0.5ms')).toBeNull();
  });

  test.each([
    '',
    '10',
    '10 s',
    '-1s',
    '+1s',
    '1S',
    '1w',
    '1y',
    's',
    '1e3s',
    '1s ',
    '0x1s',
    '1s1m',
    '١s',
    'NaNs',
  ])('%j is none', (text) => {
    expect(parseDurationMs(text)).toBeNull();
  });

  test('are spelled in the largest unit that divides', () => {
    expect([0, 500, 1_500, 90_000, 3_600_000, 86_400_000].map(formatDuration)).toEqual([
      '0s',
      '500ms',
      '1500ms',
      '90s',
      '1h',
      '1d',
    ]);
  });
});

describe('sizes', () => {
  test('count × unit in steps of 1024, in either case', () => {
    fc.assert(
      fc.property(fc.nat(1_000_000), unitOf(SIZE_BYTES), fc.boolean(), (count, [unit, size], upper) => {
        expect(parseSizeBytes(`${count}${upper ? unit.toUpperCase() : unit}`)).toBe(count * size);
      }),
    );
  });

  test('spelled back, they are the same', () => {
    fc.assert(
      fc.property(fc.nat(2 ** 45), (sizeBytes) => {
        expect(parseSizeBytes(formatSize(sizeBytes))).toBe(sizeBytes);
      }),
    );
  });

  test('fractions of a unit, as far as they are whole bytes', () => {
    expect(parseSizeBytes('1.5kb')).toBe(1536);
    expect(parseSizeBytes('0.1kb')).toBeNull();
    expect(parseSizeBytes('1.5b')).toBeNull();
  });

  test.each(['', '16', '16 mb', '-1b', '16mib', '16m', 'mb', '1tb', '1e3b', '16mbx'])(
    '%j is none',
    (text) => {
      expect(parseSizeBytes(text)).toBeNull();
    },
  );
});

describe('rates', () => {
  test('count per time', () => {
    fc.assert(
      fc.property(fc.nat(1_000_000), unitOf(RATE_SECONDS), (count, [unit, seconds]) => {
        expect(parseRatePerSecond(`${count}/${unit}`)).toBe(count / seconds);
      }),
    );
  });

  test('spelled back, they are the same', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1_000_000 }), unitOf(RATE_SECONDS), (count, [, seconds]) => {
        expect(parseRatePerSecond(formatRate(count / seconds))).toBe(count / seconds);
      }),
    );
    expect(formatRate(100)).toBe('100/s');
    expect(formatRate(1 / 60)).toBe('1/m');
    expect(formatRate(0.123)).toBe('0.123/s');
  });

  test.each(['', '100', '100/', '100/d', '100 / s', '-1/s', '/s', '100s', '1e3/s', '100/1s'])(
    '%j is none',
    (text) => {
      expect(parseRatePerSecond(text)).toBeNull();
    },
  );
});
