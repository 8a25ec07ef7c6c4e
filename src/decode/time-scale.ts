import type { AvroType } from './schema-model.ts';

/** What a timestamp counts since the Unix epoch. */
export type TimeScale = 'millis' | 'micros' | 'nanos';

const SCALES: Readonly<Record<string, TimeScale>> = {
  'timestamp-micros': 'micros',
  'local-timestamp-micros': 'micros',
  'timestamp-nanos': 'nanos',
  'local-timestamp-nanos': 'nanos',
};

/** Millis unless the type's logical type says otherwise; a local timestamp is taken as UTC, for want of its zone. */
export function timeScaleOf(type: AvroType | null): TimeScale {
  return type?.kind === 'long' ? (SCALES[type.logicalType] ?? 'millis') : 'millis';
}

const PER_MILLI: Readonly<Record<TimeScale, number>> = { millis: 1, micros: 1_000, nanos: 1_000_000 };

/** A date and a time of day, with `T` or a space between, and an offset or none (UTC). */
const ISO_8601 = /^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(Z|[+-]\d{2}:?\d{2})?$/i;
const DIGITS = /^-?\d{1,19}$/;

/** The years that ClickHouse's DateTime64 holds. A time outside of them is a mistake in the data. */
const EARLIEST_MS = Date.UTC(1900, 0, 1);
const LATEST_MS = Date.UTC(2300, 0, 1) - 1;

/**
 * Unix epoch milliseconds of a number in the scale, of such a number's decimal
 * digits, or of ISO 8601 text; null for anything else and for years outside
 * 1900 to 2299.
 */
export function epochMs(value: unknown, scale: TimeScale): number | null {
  const ms = unboundedMs(value, scale);
  return ms !== null && ms >= EARLIEST_MS && ms <= LATEST_MS ? ms : null;
}

function unboundedMs(value: unknown, scale: TimeScale): number | null {
  if (typeof value === 'number') return Math.floor(value / PER_MILLI[scale]);
  if (typeof value !== 'string' || value === '') return null;
  if (DIGITS.test(value)) return Math.floor(Number(value) / PER_MILLI[scale]);
  const match = ISO_8601.exec(value);
  if (match === null) return null;
  return Date.parse(match[1] === undefined ? `${value}Z` : value);
}
