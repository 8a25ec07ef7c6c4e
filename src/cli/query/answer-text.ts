import { printable } from '../dead/text.ts';
import { tableText } from '../../demo/table.ts';
import type { Cell, Column } from '../../demo/table.ts';

export const ANSWER_FORMATS = ['table', 'csv', 'json'] as const;
export type AnswerFormat = (typeof ANSWER_FORMATS)[number];

export interface AnswerColumn {
  readonly name: string;
  /** ClickHouse's. */
  readonly type: string;
}

/** A row by column name. */
export type AnswerRow = Readonly<Record<string, unknown>>;

const NUMBER = /^(?:Nullable\()?(?:U?Int|Float|Decimal)/;
/** What would end a cell of CSV, or its row (RFC 4180). */
const NEEDS_QUOTES = /[",\r\n]/;

export function answerText(
  format: AnswerFormat,
  columns: readonly AnswerColumn[],
  rows: readonly AnswerRow[],
): string {
  switch (format) {
    case 'json':
      return JSON.stringify(rows, null, 2);
    case 'csv':
      return [columns.map(({ name }) => name), ...rows.map((row) => columns.map(({ name }) => row[name]))]
        .map((cells) => cells.map(csvCell).join(','))
        .join('\n');
    case 'table':
      return rows.length === 0 ? 'no rows' : tableOf(columns, rows);
  }
}

function tableOf(columns: readonly AnswerColumn[], rows: readonly AnswerRow[]): string {
  return tableText(
    columns.map(({ name, type }): Column => [
      name.replaceAll('_', ' '),
      NUMBER.test(type) ? 'right' : 'left',
    ]),
    rows.map((row) => columns.map(({ name }) => tableCell(row[name]))),
  );
}

function tableCell(value: unknown): Cell {
  if (value === null || value === undefined) return '–';
  return typeof value === 'number' ? value : printable(textOf(value));
}

function csvCell(value: unknown): string {
  const text = value === null || value === undefined ? '' : textOf(value);
  return NEEDS_QUOTES.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}
