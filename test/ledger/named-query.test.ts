/** Guards the form of the files in `queries/`: a parameter that its comment and its SQL do not agree on is a mistake. */
import { expect, test } from 'vitest';
import { parseNamedQuery } from '../../src/ledger/named-query.ts';

const TEXT = `-- What it tells.
--
-- More about it.
--
-- @since (1d) from when on
-- @tenant of this tenant
-- @name () a name; empty is all
-- @limit (20) so many rows
SELECT 1
WHERE at > {since:DateTime('UTC')} AND tenant = {tenant:String} -- @not a parameter
  AND ({name:String} = '' OR name = {name:String})
LIMIT {limit:UInt32}
`;

test('comments and SQL are told apart, parameters have their kinds from the SQL', () => {
  expect(parseNamedQuery('sample', TEXT)).toEqual({
    name: 'sample',
    summary: 'What it tells.',
    parameters: [
      { name: 'since', kind: 'moment', defaultText: '1d', meaning: 'from when on' },
      { name: 'tenant', kind: 'text', defaultText: null, meaning: 'of this tenant' },
      { name: 'name', kind: 'text', defaultText: '', meaning: 'a name; empty is all' },
      { name: 'limit', kind: 'count', defaultText: '20', meaning: 'so many rows' },
    ],
    sql: TEXT.slice(TEXT.indexOf('SELECT')).trim(),
  });
});

test.each<[string, (text: string) => string, RegExp]>([
  [
    'uses one it does not explain',
    (text) => text.replace('-- @since (1d) from when on\n', ''),
    /sample\.sql does not say what \{since\} means/,
  ],
  [
    'explains one it does not use',
    (text) => text.replace('{tenant:String}', "'acme'"),
    /does not use what it says in "@tenant of this tenant"/,
  ],
  [
    'has a type that is not known',
    (text) => text.replace('UInt32', 'Map(String, String)'),
    /type Map\(String, String\) of \{limit\}/,
  ],
  [
    'has one of two types',
    (text) => text.replace('name = {name:String}', 'name = {name:UInt32}'),
    /type UInt32 of \{name\}/,
  ],
])('a file that %s is refused', (_what, change, problem) => {
  expect(() => parseNamedQuery('sample', change(TEXT))).toThrow(problem);
});
