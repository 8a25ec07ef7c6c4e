/**
 * Single values in ClickHouse's TabSeparated format. Whatever a value is, its
 * text is one that ClickHouse accepts for the column: a refused row would stop
 * every row behind it, so numbers and times are clamped to their range.
 */

/** The last second that ten digits can name, 2286-11-20; DateTime64(3) reaches 2299. */
export const MAX_TIME_MS = 9_999_999_999_999;
export const SECOND_DIGITS = 10;
/** From 2001-09-09 on, seconds have their ten digits by themselves. */
const FULL_WIDTH_SECOND = 1_000_000_000;

/** What TabSeparated gives a meaning of its own lies in this range … */
const MAYBE_SPECIAL = /[\0-\r\\]/;
/** … and is exactly this. */
const SPECIAL = /[\\\t\n\r\0\b\f]/g;
const ESCAPES: Readonly<Record<string, string>> = {
  '\\': '\\\\',
  '\t': '\\t',
  '\n': '\\n',
  '\r': '\\r',
  '\0': '\\0',
  '\b': '\\b',
  '\f': '\\f',
};

export function escapedText(value: string): string {
  return MAYBE_SPECIAL.test(value) ? value.replace(SPECIAL, (unit) => ESCAPES[unit] as string) : value;
}

/** A whole number in 0 … `max`; `max` ≤ 2^53 − 1, anything that is no number becomes 0. */
export function clampedUint(value: number, max: number): number {
  return value > 0 ? Math.min(Math.floor(value), max) : 0;
}

/** The seconds of a time always have ten digits: another width could be read as a calendar date. */
export function secondText(second: number): string {
  return second >= FULL_WIDTH_SECOND ? String(second) : String(second).padStart(SECOND_DIGITS, '0');
}
