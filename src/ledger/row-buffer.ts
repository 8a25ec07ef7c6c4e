import { clampedUint, escapedText, MAX_TIME_MS, SECOND_DIGITS, secondText } from './cell-text.ts';

const TAB = 0x09;
const NEWLINE = 0x0a;
const RETURN = 0x0d;
const DOT = 0x2e;
const ZERO = 0x30;
const BACKSLASH = 0x5c;
const DELETE = 0x7f;
const UPPER_N = 0x4e;

const INITIAL_BYTES = 64 * 1024;
/** UTF-8 needs at most three bytes for one UTF-16 unit; an escape needs two. */
const MAX_BYTES_PER_UNIT = 3;
/** No number, time, separator or null marker takes more. */
const MAX_BYTES_PER_COLUMN = 24;
/** From this length on one native call is quicker than writing unit by unit (measured). */
const NATIVE_WRITE_UNITS = 48;
const MAX_UINT31 = 0x7fff_ffff;

/**
 * Rows in ClickHouse's TabSeparated format, appended to one growing, reused
 * buffer. A row is `reserve`, then one call per column, then `endRow`.
 */
export class RowBuffer {
  #bytes = Buffer.allocUnsafeSlow(INITIAL_BYTES);
  #length = 0;
  #rows = 0;
  /** Most times written one after another share their second, so its digits are kept. */
  #lastSecond = -1;
  readonly #lastSecondDigits = new Uint8Array(SECOND_DIGITS);

  get rows(): number {
    return this.#rows;
  }

  get bytes(): number {
    return this.#length;
  }

  /**
   * Makes room for a row.
   * @param textUnits sum of the `length` of all its strings.
   * @param columns number of its columns.
   */
  reserve(textUnits: number, columns: number): void {
    const needed = this.#length + textUnits * MAX_BYTES_PER_UNIT + columns * MAX_BYTES_PER_COLUMN;
    if (needed <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.#bytes.length * 2));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }

  /** Columns that are encoded already, each with its tab. */
  cells(columns: Uint8Array): void {
    this.#bytes.set(columns, this.#length);
    this.#length += columns.length;
  }

  /** Any text. A lone surrogate becomes U+FFFD. */
  text(value: string): void {
    const units = value.length;
    if (units >= NATIVE_WRITE_UNITS) {
      this.#write(escapedText(value));
      return;
    }
    const bytes = this.#bytes;
    let at = this.#length;
    for (let i = 0; i < units; i++) {
      const unit = value.charCodeAt(i);
      if (unit < 0x20 || unit >= DELETE || unit === BACKSLASH) {
        this.#write(escapedText(value));
        return;
      }
      bytes[at++] = unit;
    }
    bytes[at] = TAB;
    this.#length = at + 1;
  }

  /** JSON text as UTF-8. Unless it is laid out over lines, only its backslashes need an escape. */
  json(value: Uint8Array): void {
    if (
      value.includes(BACKSLASH) ||
      value.includes(NEWLINE) ||
      value.includes(TAB) ||
      value.includes(RETURN)
    ) {
      this.#write(
        escapedText(Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('utf8')),
      );
      return;
    }
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
    this.#bytes[this.#length++] = TAB;
  }

  /** A whole number, clamped to 0 … `max`; `max` ≤ 2^53 − 1. */
  uint(value: number, max: number): void {
    const clamped = clampedUint(value, max);
    if (clamped > MAX_UINT31) {
      this.#write(String(clamped));
      return;
    }
    const at = writeDigits(this.#bytes, this.#length, clamped, digitsOf(clamped));
    this.#bytes[at] = TAB;
    this.#length = at + 1;
  }

  bool(value: boolean): void {
    this.#bytes[this.#length++] = value ? ZERO + 1 : ZERO;
    this.#bytes[this.#length++] = TAB;
  }

  /** A DateTime64(3), 1970 … 2286, as `seconds.millis`. */
  time(epochMs: number): void {
    const clamped = clampedUint(epochMs, MAX_TIME_MS);
    const second = Math.floor(clamped / 1000);
    if (second !== this.#lastSecond) {
      this.#lastSecond = second;
      this.#lastSecondDigits.set(Buffer.from(secondText(second), 'latin1'));
    }
    const bytes = this.#bytes;
    bytes.set(this.#lastSecondDigits, this.#length);
    let at = this.#length + SECOND_DIGITS;
    bytes[at++] = DOT;
    at = writeDigits(bytes, at, clamped - second * 1000, 3);
    bytes[at] = TAB;
    this.#length = at + 1;
  }

  null(): void {
    this.#bytes[this.#length++] = BACKSLASH;
    this.#bytes[this.#length++] = UPPER_N;
    this.#bytes[this.#length++] = TAB;
  }

  endRow(): void {
    this.#bytes[this.#length - 1] = NEWLINE;
    this.#rows++;
  }

  /** The rows so far, in an ArrayBuffer of their own that can be transferred; null when there are none. */
  take(): { readonly bytes: Uint8Array<ArrayBuffer>; readonly rows: number } | null {
    if (this.#rows === 0) return null;
    const bytes = new Uint8Array(this.#length);
    bytes.set(this.#bytes.subarray(0, this.#length));
    const rows = this.#rows;
    this.#length = 0;
    this.#rows = 0;
    return { bytes, rows };
  }

  /** The columns so far, which are no row, in a buffer of their own. */
  takeCells(): Uint8Array {
    const cells = Buffer.allocUnsafe(this.#length);
    this.#bytes.copy(cells, 0, 0, this.#length);
    this.#length = 0;
    return cells;
  }

  #write(text: string): void {
    this.#length += this.#bytes.write(text, this.#length, 'utf8');
    this.#bytes[this.#length++] = TAB;
  }
}

function digitsOf(value: number): number {
  if (value < 10) return 1;
  if (value < 100) return 2;
  if (value < 1_000) return 3;
  if (value < 10_000) return 4;
  if (value < 100_000) return 5;
  if (value < 1_000_000) return 6;
  if (value < 10_000_000) return 7;
  if (value < 100_000_000) return 8;
  return value < 1_000_000_000 ? 9 : 10;
}

/** Writes `value` (31 bits) in exactly `count` digits and returns where they end. */
function writeDigits(bytes: Uint8Array, at: number, value: number, count: number): number {
  let rest = value | 0;
  for (let i = at + count - 1; i >= at; i--) {
    const next = (rest / 10) | 0;
    bytes[i] = ZERO + (rest - next * 10);
    rest = next;
  }
  return at + count;
}
