const NEWLINE = 0x0a;

/** Some whole rows, in TabSeparated. */
export interface CutRows {
  readonly pieces: readonly Uint8Array[];
  readonly bytes: number;
  readonly rows: number;
}

/**
 * Cuts rows into parts of whole rows, in their order, each as large as may be.
 *
 * @param pieces whole rows each.
 * @param maxBytes of a part; a row that alone has more is a part of its own.
 */
export function cutRows(pieces: readonly Uint8Array[], maxBytes: number): CutRows[] {
  const parts: CutRows[] = [];
  let open: Uint8Array[] = [];
  let bytes = 0;
  const close = (): void => {
    if (bytes > 0)
      parts.push({ pieces: open, bytes, rows: open.reduce((sum, piece) => sum + rowsIn(piece), 0) });
    open = [];
    bytes = 0;
  };
  for (const piece of pieces) {
    for (let start = 0; start < piece.length;) {
      const end = endOfRows(piece, start, maxBytes - bytes);
      if (end > start) {
        open.push(piece.subarray(start, end));
        bytes += end - start;
        start = end;
      } else if (bytes === 0) {
        const rowEnd = piece.indexOf(NEWLINE, start) + 1 || piece.length;
        parts.push({ pieces: [piece.subarray(start, rowEnd)], bytes: rowEnd - start, rows: 1 });
        start = rowEnd;
      } else close();
    }
  }
  close();
  return parts;
}

/** Where the rows end that fit in so many bytes; `start` when none does. */
function endOfRows(piece: Uint8Array, start: number, bytes: number): number {
  if (piece.length - start <= bytes) return piece.length;
  if (bytes <= 0) return start;
  return Math.max(start, piece.lastIndexOf(NEWLINE, start + bytes - 1) + 1);
}

function rowsIn(piece: Uint8Array): number {
  let rows = 0;
  for (let at = piece.indexOf(NEWLINE); at >= 0; at = piece.indexOf(NEWLINE, at + 1)) rows++;
  return rows;
}
