/** Settings travel in the statement, and nothing but a hexadecimal token gets into it. */
import { expect, test } from 'vitest';
import { insertStatement } from '../../src/ledger/insert-statement.ts';

const TOKEN = 'ab'.repeat(32);

test('names columns, token and format', () => {
  const statement = insertStatement('events', TOKEN);
  expect(statement).toMatch(/^INSERT INTO events \(tenant, event_id, .*, data\) SETTINGS /);
  expect(statement).toContain(`insert_deduplication_token = '${TOKEN}'`);
  expect(statement).toContain('async_insert = 0');
  expect(statement).toMatch(/ FORMAT TabSeparated$/);
});

test.each(['', 'ab', `${TOKEN}'`, `${TOKEN}\n`, TOKEN.toUpperCase(), 'z'.repeat(64)])(
  'refuses the token %j',
  (token) => {
    expect(() => insertStatement('events', token)).toThrow(RangeError);
  },
);
