/** Proves that what the row codec writes is read back, cell by cell, whatever is in it. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { columnNames } from '../../src/ledger/columns.ts';
import { lastRowStart, RowCells } from '../../src/overflow/row-cells.ts';
import { variantOf } from '../domain/planted-bug.ts';
import { attemptBytes } from '../ledger/sample-rows.ts';

type CellsClass = typeof RowCells;

const columns = columnNames('attempts');
const anyText = fc.oneof(
  fc.string(),
  fc.string({ unit: fc.constantFrom('\\', '\t', '\n', '\r', '\0', '\b', '\f', 'n', 'é') }),
);
const anyRow = fc.record({
  tenant: anyText,
  response: anyText,
  offset: fc.nat(),
  retryTopic: fc.constantFrom('', 'retry.1s'),
});

type Row = typeof anyRow extends fc.Arbitrary<infer T> ? T : never;

function readsBack(Class: CellsClass): (rows: Row[]) => void {
  return (rows) => {
    const bytes = attemptBytes(
      rows.map(({ tenant, offset, ...row }) => ({ record: { tenant, offset }, row })),
    );
    const cells = new Class(bytes, columns);
    for (const { tenant, offset, response, retryTopic } of rows) {
      expect(cells.next()).toBe(true);
      expect(cells.text('tenant')).toBe(tenant);
      expect(cells.uint('offset')).toBe(offset);
      expect(cells.text('response')).toBe(response);
      expect(cells.isEmpty('retry_topic')).toBe(retryTopic === '');
      expect(cells.text('outcome')).toBe('delivered');
    }
    expect(cells.next()).toBe(false);
    const last = rows.at(-1);
    if (last === undefined) return;
    const alone = new Class(bytes.subarray(lastRowStart(bytes)), columns);
    alone.next();
    expect([alone.text('tenant'), alone.next()]).toEqual([last.tenant, false]);
  };
}

test('any rows', () => {
  fc.assert(fc.property(fc.array(anyRow, { maxLength: 6 }), readsBack(RowCells)), { numRuns: 500 });
});

describe('the property catches', () => {
  test.each([
    { bug: 'an escape that is left', from: 'UNESCAPED[escaped] ?? escaped', to: '`\\\\${escaped}`' },
    {
      bug: 'a cell with its separator',
      from: '(this.#starts[cell + 1] as number) - 1);',
      to: 'this.#starts[cell + 1]);',
    },
    { bug: 'a row that is read again', from: 'this.#next = at + 1;', to: 'this.#next = at;' },
    { bug: 'a digit that is left out', from: 'value * 10 +', to: 'value * 9 +' },
  ])('$bug', async ({ from, to }) => {
    const { RowCells: planted } = await variantOf<{ RowCells: CellsClass }>('overflow/row-cells.ts', [
      from,
      to,
    ]);
    expect(() => {
      fc.assert(fc.property(fc.array(anyRow, { maxLength: 6 }), readsBack(planted)), {
        seed: 1,
        endOnFailure: true,
        numRuns: 500,
      });
    }).toThrow();
  });
});

test('rows of other columns are refused, not misread', () => {
  const bytes = attemptBytes([{}]);
  expect(() => new RowCells(bytes, columns.slice(1)).next()).toThrow(/cells, not/);
  expect(() => new RowCells(bytes, [...columns, 'more']).next()).toThrow(/cells, not/);
  const cells = new RowCells(bytes, columns);
  cells.next();
  expect(() => cells.text('nonsense')).toThrow(/no column nonsense/);
});
