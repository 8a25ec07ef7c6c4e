import CliTable, { type Table } from 'cli-table3';
import { hasColors } from './colors.ts';

/** A column's heading; it may span lines. */
export type Column = readonly [heading: string, align: 'left' | 'right'];

export type Cell = string | number;

/** A table as text, with lines around its cells. */
export function tableText(columns: readonly Column[], rows: readonly (readonly Cell[])[]): string {
  const table: Table = new CliTable({
    head: columns.map(([heading]) => heading),
    colAligns: columns.map(([, align]) => align),
    style: { head: hasColors ? ['bold'] : [], border: hasColors ? ['dim'] : [], compact: true },
  });
  table.push(...rows.map((row) => [...row]));
  return table.toString();
}
