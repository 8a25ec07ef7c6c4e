/** Proves that rows are recognised in the ledger by what the overflow says of them, and no other rows. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Ledger } from '../../src/ledger/client.ts';
import { columnNames } from '../../src/ledger/columns.ts';
import { hasStoredRow } from '../../src/ledger/stored-row.ts';
import { rowIdentities } from '../../src/overflow/row-identity.ts';
import { attemptBytes, eventBytes, TIME_MS } from './sample-rows.ts';
import { migratedLedger } from '../support/ledger.ts';

let ledger: Ledger;
beforeAll(async () => {
  ledger = await migratedLedger({ database: 'stored' });
});
afterAll(() => ledger.close());

const WEIRD = `quote ' back \\ slash \n line \t tab \r \b \f é € 😀 {x:String} --`;
const attempts = attemptBytes([
  { record: { tenant: WEIRD, eventId: WEIRD, offset: 1 } },
  { record: { offset: 2 } },
  { record: { tenant: 'last', offset: Number.MAX_SAFE_INTEGER }, row: { attemptedAtMs: TIME_MS + 999 } },
]);
const events = eventBytes([{ record: { tenant: WEIRD } }]);

test('the first and the last of some rows', async () => {
  await ledger.insert('attempts', [attempts], 'a'.repeat(32));
  await ledger.insert('events', [events], 'b'.repeat(32), columnNames('events'));
  const [first, last, ...others] = rowIdentities(attempts, columnNames('attempts'));
  expect(others).toEqual([]);
  expect(first?.['tenant']).toBe(WEIRD);
  expect(await hasStoredRow(ledger, 'attempts', first ?? {})).toBe(true);
  expect(await hasStoredRow(ledger, 'attempts', last ?? {})).toBe(true);
  const [event, ...none] = rowIdentities(events, columnNames('events'));
  expect(none).toEqual([]);
  expect(await hasStoredRow(ledger, 'events', event ?? {})).toBe(true);
});

test.each([
  { changed: 'attempted_at', to: '1760000000.144' },
  { changed: 'attempt', to: '2' },
  { changed: 'instance', to: 'host-2' },
  { changed: 'tenant', to: `${WEIRD} ` },
  { changed: 'outcome', to: 'retrying' },
])('not a row with another $changed', async ({ changed, to }) => {
  const [first] = rowIdentities(attempts, columnNames('attempts'));
  expect(await hasStoredRow(ledger, 'attempts', { ...first, [changed]: to })).toBe(false);
});

test('a column that the table does not have is no question to ask', async () => {
  await expect(hasStoredRow(ledger, 'attempts', { nonsense: '1' })).rejects.toThrow('no column nonsense');
});
