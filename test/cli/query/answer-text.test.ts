/** Guards that an answer survives its format: CSV that reads back, JSON as it is, tables that no text breaks out of. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { answerText, type AnswerColumn } from '../../../src/cli/query/answer-text.ts';

const columns: AnswerColumn[] = [
  { name: 'reason', type: 'LowCardinality(String)' },
  { name: 'times_seen', type: 'UInt64' },
];

/** RFC 4180, read by its definition. */
function parseCsv(text: string): string[][] {
  const rows: string[][] = [[]];
  const cell = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\n|$)/gy;
  for (let match = cell.exec(text); match !== null; match = cell.exec(text)) {
    rows.at(-1)?.push(match[1]?.replaceAll('""', '"') ?? match[2] ?? '');
    if (match[3] === '\n') rows.push([]);
    if (match[3] === '') break;
  }
  return rows;
}

test('CSV comes back as it was, whatever is in it', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.string({ unit: 'binary' }), fc.nat()), { maxLength: 5 }), (cells) => {
      const rows = cells.map(([reason, times]) => ({ reason, times_seen: times }));
      expect(parseCsv(answerText('csv', columns, rows))).toEqual([
        ['reason', 'times_seen'],
        ...cells.map(([reason, times]) => [reason, String(times)]),
      ]);
    }),
  );
});

test('CSV without rows has its head', () => {
  expect(answerText('csv', columns, [])).toBe('reason,times_seen');
});

test('what is not there is empty in CSV, null in JSON, a dash in a table', () => {
  const rows = [{ reason: null, times_seen: 0 }];
  expect(answerText('csv', columns, rows)).toBe('reason,times_seen\n,0');
  expect(JSON.parse(answerText('json', columns, rows))).toEqual(rows);
  expect(answerText('table', columns, rows)).toMatch(/│ – +│ +0 │/);
});

test('text of others cannot move the cursor of a terminal', () => {
  const table = answerText('table', columns, [{ reason: '\u001b[2Jgone', times_seen: 1 }]);
  expect(table).toContain(String.raw`\u001b[2Jgone`);
  expect(table).toContain('times seen');
});

test('a table without rows says so', () => {
  expect(answerText('table', columns, [])).toBe('no rows');
  expect(answerText('json', columns, [])).toBe('[]');
});
