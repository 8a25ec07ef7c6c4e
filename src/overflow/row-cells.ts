const TAB = 0x09;
const NEWLINE = 0x0a;
const ZERO = 0x30;

/** What stands for a byte after a backslash; any other byte stands for itself. */
const UNESCAPED: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', b: '\b', f: '\f', 0: '\0' };

/**
 * Reads TabSeparated rows cell by cell, without making more of them than is asked
 * for. Tabs and line feeds within a cell are escaped, so these two bytes are
 * always a cell's and a row's end.
 */
export class RowCells {
  readonly #bytes: Buffer;
  readonly #numbers: ReadonlyMap<string, number>;
  /** Where each cell of the row begins, and one more place: behind its line feed. */
  readonly #starts: Int32Array;
  #next = 0;

  /** @param columns of the rows, in their order. */
  constructor(bytes: Uint8Array, columns: readonly string[]) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#numbers = new Map(columns.map((column, number) => [column, number]));
    this.#starts = new Int32Array(columns.length + 1);
  }

  /**
   * Goes to the next row; false at the end.
   * @throws Error when the row has not as many cells as there are columns.
   */
  next(): boolean {
    const bytes = this.#bytes;
    const starts = this.#starts;
    const columns = starts.length - 1;
    let at = this.#next;
    if (at >= bytes.length) return false;
    let cells = 0;
    starts[0] = at;
    for (; at < bytes.length; at++) {
      const byte = bytes[at] as number;
      if (byte !== TAB && byte !== NEWLINE) continue;
      cells++;
      if (cells <= columns) starts[cells] = at + 1;
      if (byte === NEWLINE) break;
    }
    if (cells !== columns) throw new Error(`a row has ${cells} cells, not ${columns}`);
    this.#next = at + 1;
    return true;
  }

  isEmpty(column: string): boolean {
    const cell = this.#cell(column);
    return (this.#starts[cell + 1] as number) - 1 === this.#starts[cell];
  }

  /** A cell that holds digits alone. */
  uint(column: string): number {
    const cell = this.#cell(column);
    const end = (this.#starts[cell + 1] as number) - 1;
    let value = 0;
    for (let at = this.#starts[cell] as number; at < end; at++)
      value = value * 10 + (this.#bytes[at] as number) - ZERO;
    return value;
  }

  text(column: string): string {
    const cell = this.#cell(column);
    const text = this.#bytes.toString('utf8', this.#starts[cell], (this.#starts[cell + 1] as number) - 1);
    return text.includes('\\')
      ? text.replaceAll(/\\(.)/gs, (_, escaped: string) => UNESCAPED[escaped] ?? escaped)
      : text;
  }

  has(column: string): boolean {
    return this.#numbers.has(column);
  }

  #cell(column: string): number {
    const number = this.#numbers.get(column);
    if (number === undefined) throw new Error(`the rows have no column ${column}`);
    return number;
  }
}

/** Where the last row of some whole rows begins. */
export function lastRowStart(bytes: Uint8Array): number {
  return bytes.length < 2 ? 0 : bytes.lastIndexOf(NEWLINE, bytes.length - 2) + 1;
}
