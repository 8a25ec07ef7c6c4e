const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const FIRST_PRINTABLE = 0x20;
const FIRST_NON_ASCII = 0x80;
const ZERO = 0x30;
const MINUS = 0x2d;
const INITIAL_BYTES = 16 * 1024;
/** No number takes more characters, quotes included. */
const NUMBER_BYTES = 32;

/**
 * JSON text as UTF-8 in one growing, reused buffer. ASCII strings are copied byte
 * by byte from where they are; only what needs an escape, and what is not ASCII
 * and so might not be UTF-8, takes the way through a JavaScript string.
 */
export class JsonOutput {
  #bytes = Buffer.allocUnsafeSlow(INITIAL_BYTES);
  #length = 0;
  readonly #maxBytes: number;

  /** @param maxBytes writing more throws a RangeError. */
  constructor(maxBytes = Infinity) {
    this.#maxBytes = maxBytes;
  }

  /** Forgets what was written. */
  begin(): void {
    this.#length = 0;
  }

  /** What was written since `begin`, in a buffer of its own. */
  end(): Buffer {
    const text = Buffer.allocUnsafe(this.#length);
    this.#bytes.copy(text, 0, 0, this.#length);
    return text;
  }

  /** One ASCII character. */
  character(code: number): void {
    this.#reserve(1);
    this.#bytes[this.#length++] = code;
  }

  /** Text that is JSON already. */
  raw(json: Uint8Array): void {
    this.#reserve(json.length);
    const bytes = this.#bytes;
    const start = this.#length;
    // Names and punctuation are short: a loop is quicker than a call out of JavaScript.
    for (let i = 0; i < json.length; i++) bytes[start + i] = json[i] as number;
    this.#length = start + json.length;
  }

  /** A string, given as its UTF-8 bytes; bytes that are none become U+FFFD. */
  string(source: Buffer, start: number, end: number): void {
    this.#reserve(end - start + 2);
    const bytes = this.#bytes;
    let at = this.#length;
    bytes[at++] = QUOTE;
    for (let i = start; i < end; i++) {
      const byte = source[i] as number;
      if (byte < FIRST_PRINTABLE || byte >= FIRST_NON_ASCII || byte === QUOTE || byte === BACKSLASH) {
        this.#write(JSON.stringify(source.toString('utf8', start, end)));
        return;
      }
      bytes[at++] = byte;
    }
    bytes[at++] = QUOTE;
    this.#length = at;
  }

  /** A whole number; one beyond ±2^53 as a string, since most readers of JSON would round it. */
  integer(value: number | bigint): void {
    if (typeof value === 'bigint') {
      this.#write(`"${value}"`);
      return;
    }
    this.#reserve(NUMBER_BYTES);
    if (value < 0) this.#bytes[this.#length++] = MINUS;
    this.#digits(Math.abs(value));
  }

  /** A floating-point number; null for NaN and the infinities, for which JSON has no form. */
  float(value: number): void {
    this.#write(JSON.stringify(value));
  }

  base64(source: Buffer, start: number, end: number): void {
    this.#write(`"${source.toString('base64', start, end)}"`);
  }

  #digits(value: number): void {
    let count = 1;
    for (let bound = 10; value >= bound; bound *= 10) count++;
    let rest = value;
    for (let at = this.#length + count - 1; at >= this.#length; at--) {
      const next = Math.floor(rest / 10);
      this.#bytes[at] = ZERO + (rest - next * 10);
      rest = next;
    }
    this.#length += count;
  }

  #write(text: string): void {
    this.#reserve(text.length * 3);
    this.#length += this.#bytes.write(text, this.#length, 'utf8');
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#bytes.length) return;
    if (needed > this.#maxBytes) throw new RangeError(`more than ${this.#maxBytes} bytes of JSON`);
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.#bytes.length * 2));
    this.#bytes.copy(grown, 0, 0, this.#length);
    this.#bytes = grown;
  }
}
