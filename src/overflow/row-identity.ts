import { lastRowStart, RowCells } from './row-cells.ts';

/**
 * Columns whose values no two rows of the ledger share, as far as a table has them:
 * a record that is delivered again, under another assignment or by another process, has
 * rows with other times.
 */
const IDENTITY = [
  'tenant',
  'event_id',
  'topic',
  'partition',
  'offset',
  'instance',
  'delivery_id',
  'attempt',
  'outcome',
  'attempted_at',
  'ingested_at',
] as const;

/**
 * The first and the last of some rows, each by the columns that tell it from any
 * other. An insert is stored whole or not at all, or, where its rows lie in two parts of
 * a table, in one of them; rows come in the order of their times, so the first and
 * the last tell.
 */
export function rowIdentities(
  bytes: Uint8Array,
  columns: readonly string[],
): readonly Readonly<Record<string, string>>[] {
  const last = lastRowStart(bytes);
  return (last === 0 ? [0] : [0, last]).map((start) => identityAt(bytes.subarray(start), columns));
}

function identityAt(bytes: Uint8Array, columns: readonly string[]): Record<string, string> {
  const cells = new RowCells(bytes, columns);
  if (!cells.next()) throw new Error('there is no row');
  return Object.fromEntries(
    IDENTITY.filter((column) => cells.has(column)).map((column) => [column, cells.text(column)]),
  );
}
