const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const MONTH = `(?<month>${MONTHS.join('|')})`;
const TIME = '(?<hour>\\d{2}):(?<minute>\\d{2}):(?<second>\\d{2})';
const DAY = '(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)';
const LONG_DAY = '(?:Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)';

const DELTA_SECONDS = /^\d+$/;
/** The three forms that RFC 9110 §5.6.7 makes a recipient accept, all in GMT. */
const HTTP_DATES = [
  // IMF-fixdate: Sun, 06 Nov 1994 08:49:37 GMT
  new RegExp(`^${DAY}, (?<day>\\d{2}) ${MONTH} (?<year>\\d{4}) ${TIME} GMT$`),
  // RFC 850: Sunday, 06-Nov-94 08:49:37 GMT
  new RegExp(`^${LONG_DAY}, (?<day>\\d{2})-${MONTH}-(?<shortYear>\\d{2}) ${TIME} GMT$`),
  // asctime: Sun Nov  6 08:49:37 1994
  new RegExp(`^${DAY} ${MONTH} (?<day>\\d{2}| \\d) ${TIME} (?<year>\\d{4})$`),
];

/**
 * What a `Retry-After` asks for (RFC 9110 §10.2.3: seconds, or a date in any of
 * its three forms), in milliseconds from now on, uncapped: a date in the past
 * is 0. Null when it is neither; a negative number is neither.
 * @param nowMs wall clock, Unix epoch.
 */
export function parseRetryAfter(text: string, nowMs: number): number | null {
  const value = text.trim();
  if (DELTA_SECONDS.test(value)) return Math.min(Number(value) * 1000, Number.MAX_SAFE_INTEGER);
  const dateMs = parseHttpDate(value, nowMs);
  return dateMs === null ? null : Math.max(0, dateMs - nowMs);
}

function parseHttpDate(text: string, nowMs: number): number | null {
  for (const form of HTTP_DATES) {
    const { day, month, year, shortYear, hour, minute, second } = form.exec(text)?.groups ?? {};
    if (month === undefined) continue;
    return epochMs(
      [
        shortYear === undefined ? Number(year) : fullYear(Number(shortYear), nowMs),
        MONTHS.indexOf(month),
        Number(day),
      ],
      [Number(hour), Number(minute), Number(second)],
    );
  }
  return null;
}

/** Two digits that seem more than 50 years ahead mean the past one (RFC 9110 §5.6.7). */
function fullYear(shortYear: number, nowMs: number): number {
  const thisYear = new Date(nowMs).getUTCFullYear();
  const ahead = thisYear - (thisYear % 100) + shortYear;
  return ahead > thisYear + 50 ? ahead - 100 : ahead;
}

/** Null for a time that no calendar has; a leap second is one that it has. */
function epochMs(
  [year, month, day]: readonly [number, number, number],
  [hour, minute, second]: readonly [number, number, number],
): number | null {
  if (hour > 23 || minute > 59 || second > 60) return null;
  // The constructors and Date.UTC take the years 0 to 99 for those of the last century.
  const date = new Date(0);
  date.setUTCFullYear(year, month, day);
  if (date.getUTCMonth() !== month || date.getUTCDate() !== day) return null;
  return date.setUTCHours(hour, minute, second);
}
