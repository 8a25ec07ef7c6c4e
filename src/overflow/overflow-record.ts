import type { RecordHeader, SourceRecord } from '../domain/record.ts';

const TABLE = 'eventdispatch-table';
const TOKEN = 'eventdispatch-token';
const ROWS = 'eventdispatch-rows';
const COLUMNS = 'eventdispatch-columns';

/** Ledger rows as a record of the overflow topic holds them. */
export interface OverflowRows {
  readonly table: string;
  /** Whole rows, TabSeparated. */
  readonly bytes: Uint8Array;
  readonly rows: number;
  /** Under which they are inserted; hexadecimal. */
  readonly token: string;
  /** Those of the program that wrote them, in their order. */
  readonly columns: readonly string[];
  /** By the clock of who wrote them, Unix epoch milliseconds; 0 when unknown. */
  readonly writtenAtMs: number;
}

export function overflowHeaders({
  table,
  token,
  rows,
  columns,
}: Omit<OverflowRows, 'bytes' | 'writtenAtMs'>): RecordHeader[] {
  return [
    [TABLE, Buffer.from(table)],
    [TOKEN, Buffer.from(token)],
    [ROWS, Buffer.from(String(rows))],
    [COLUMNS, Buffer.from(columns.join(','))],
  ];
}

/** Null for a record that nobody of us wrote. */
export function overflowRowsOf(record: SourceRecord): OverflowRows | null {
  const [table, token, rows, columns] = [TABLE, TOKEN, ROWS, COLUMNS].map((name) =>
    headerOf(record, name),
  ) as [string, string, string, string];
  if (record.value === null || [table, token, rows, columns].includes('')) return null;
  return {
    table,
    token,
    rows: Number(rows),
    columns: columns.split(','),
    bytes: record.value,
    writtenAtMs: record.timestamp ?? 0,
  };
}

function headerOf({ headers = [] }: SourceRecord, name: string): string {
  const header = headers.find((pair) => name in pair);
  return header === undefined ? '' : String(header[name]);
}
