/** What becomes of an error is decided by what ClickHouse or the network said, never by its class. */
import { describe, expect, test } from 'vitest';
import { LedgerError, toLedgerError } from '../../src/ledger/errors.ts';

const withFields = (message: string, fields: object): Error => Object.assign(new Error(message), fields);

describe('kind', () => {
  test.each([
    [
      'too many parts, as the client tells it',
      withFields('Too many parts', { code: '252', type: 'TOO_MANY_PARTS' }),
      'retryable',
      252,
    ],
    [
      'memory limit, as the engine tells it',
      withFields('Code: 241. x', { code: 'CHDB_INSERT', clickhouseCode: 241 }),
      'retryable',
      241,
    ],
    ['a code that only the message has', new Error('Code: 243. DB::Exception: no space'), 'retryable', 243],
    ['a read-only table', withFields('ro', { code: '242' }), 'retryable', 242],
    ['an unknown table', withFields('no', { code: '60' }), 'fatal', 60],
    ['a wrong password', withFields('no', { code: '516' }), 'fatal', 516],
    ['a code nobody listed', withFields('new', { code: '4711' }), 'fatal', 4711],
    ['a refused connection', withFields('connect ECONNREFUSED', { code: 'ECONNREFUSED' }), 'retryable', null],
    ['the client’s own time limit', new Error('Timeout error.'), 'retryable', null],
    ['a proxy’s page', new Error('<html>502 Bad Gateway</html>'), 'retryable', null],
    ['something that is no error', 'gone', 'retryable', null],
  ])('%s', (_what, error, kind, code) => {
    expect(toLedgerError(error)).toMatchObject({ kind, code, cause: error });
  });
});

describe('message', () => {
  test('names the error, and keeps the rows that the engine repeats out', () => {
    const { message } = toLedgerError(
      withFields('Cannot parse input: (at row 1)\n\nRow 1:\nColumn 0, name: data, parsed text: "secret"', {
        code: '27',
      }),
    );
    expect(message).toBe(
      'ClickHouse error 27 (CANNOT_PARSE_INPUT_ASSERTION_FAILED): Cannot parse input: (at row 1)',
    );
  });

  test('is short', () => {
    expect(toLedgerError(new Error('x'.repeat(10_000))).message).toHaveLength(300);
  });

  test('is never empty: a refused connection to two addresses has none of its own', () => {
    expect(toLedgerError(withFields('', { code: 'ECONNREFUSED' })).message).toBe('ECONNREFUSED');
  });
});

test('a ledger error stays itself', () => {
  const error = new LedgerError('x', 'fatal', 60, null);
  expect(toLedgerError(error)).toBe(error);
});
