import bytes from 'bytes';
import ms from 'ms';

const DURATION = /^\d+(?:\.\d+)?(?:ms|s|m|h|d)$/;
const SIZE = /^\d+(?:\.\d+)?(?:b|kb|mb|gb)$/;
const SHARE = /^(\d+(?:\.\d+)?)%$/;
const RATE = /^(\d+(?:\.\d+)?)\/(s|m|h)$/;

const DURATION_UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
  ['ms', 1],
] as const;
const SIZE_UNITS = [
  ['gb', 1024 ** 3],
  ['mb', 1024 ** 2],
  ['kb', 1024],
  ['b', 1],
] as const;
const RATE_SECONDS = { s: 1, m: 60, h: 3600 } as const;

/** Milliseconds of `500ms`, `10s`, `1.5h`; null when it is no duration or no whole number of milliseconds. */
export function parseDurationMs(text: string): number | null {
  if (!DURATION.test(text)) return null;
  return whole(ms(text as ms.StringValue));
}

/** Bytes of `256b`, `64kb`, `16mb`, in steps of 1024; null when it is no size or no whole number of bytes. */
export function parseSizeBytes(text: string): number | null {
  const lower = text.toLowerCase();
  const parsed = SIZE.test(lower) ? bytes.parse(lower) : null;
  // `bytes` rounds down; a fraction of a byte is a slip of the one who wrote it.
  return parsed !== null && Number.isInteger(exactBytes(lower)) ? whole(parsed) : null;
}

function exactBytes(text: string): number {
  const unit = SIZE_UNITS.find(([name]) => text.endsWith(name));
  return Number.parseFloat(text) * (unit?.[1] ?? 1);
}

/** Events per second of `100/s`, `6000/m`, `10/h`; null when it is no rate. */
export function parseRatePerSecond(text: string): number | null {
  const [, count, unit] = RATE.exec(text) ?? [];
  if (count === undefined || unit === undefined) return null;
  const rate = Number(count) / RATE_SECONDS[unit as keyof typeof RATE_SECONDS];
  return Number.isFinite(rate) ? rate : null;
}

/** 0.5 of `50%`; null when it is no percentage. */
export function parseShare(text: string): number | null {
  const [, percent] = SHARE.exec(text) ?? [];
  return percent === undefined ? null : Number(percent) / 100;
}

/** The shortest exact spelling, in the largest unit that divides: 90000 → `90s`, 3600000 → `1h`. */
export function formatDuration(durationMs: number): string {
  return inLargestUnit(durationMs, DURATION_UNITS, 's');
}

export function formatSize(sizeBytes: number): string {
  return inLargestUnit(sizeBytes, SIZE_UNITS, 'b');
}

/** A spelling that parses to the very same number. */
export function formatRate(ratePerSecond: number): string {
  for (const [unit, seconds] of Object.entries(RATE_SECONDS)) {
    const count = Math.round(ratePerSecond * seconds);
    if (count > 0 && count / seconds === ratePerSecond) return `${count}/${unit}`;
  }
  return `${ratePerSecond}/s`;
}

function inLargestUnit(amount: number, units: readonly (readonly [string, number])[], zero: string): string {
  if (amount === 0) return `0${zero}`;
  const [name, size] = units.find(([, unitSize]) => amount % unitSize === 0) ?? (['', 1] as const);
  return `${amount / size}${name}`;
}

/** `1.1m` comes out of floating point as 66000.00000000001; anything further from whole was meant as it is written. */
function whole(amount: number): number | null {
  const rounded = Math.round(amount);
  const isWhole = Math.abs(amount - rounded) < 1e-6;
  return isWhole && Number.isSafeInteger(rounded) ? rounded : null;
}
