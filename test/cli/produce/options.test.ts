/** Proves that each option of `produce` takes what its help says, and nothing else. */
import { describe, expect, test } from 'vitest';
import { readOption } from '../../../src/cli/produce/options.ts';

const cases = [
  {
    option: 'rate',
    right: { '500/s': 500, '6000/m': 100, max: 'max' },
    wrong: ['', '5', '0/s', '-1/s', '5/d', 'MAX'],
  },
  { option: 'duration', right: { '30s': 30_000, '5m': 300_000 }, wrong: ['', '30', '0s', '-1s', '30 s'] },
  { option: 'count', right: { '1': 1, '100000': 100_000 }, wrong: ['', '0', '-1', '1.5', '1e3', 'x'] },
  { option: 'tenants', right: { '1': 1, '1000000': 1_000_000 }, wrong: ['0', '1000001', '', 'x'] },
  { option: 'skew', right: { '0': 0, '1.2': 1.2, '10': 10 }, wrong: ['-1', '11', '', 'x', '1e1'] },
  { option: 'seed', right: { '0': 0, '4294967295': 4_294_967_295 }, wrong: ['-1', '4294967296', '', '0x1'] },
] as const;

describe.each(cases)('--$option', ({ option, right, wrong }) => {
  const read: (text: string) => unknown = readOption[option];

  test.each(Object.entries(right))('%s', (text, value) => {
    expect(read(text)).toBe(value);
  });

  test.each(wrong)('not %j', (text) => {
    expect(() => read(text)).toThrow(/^Allowed: /);
  });
});

test('--types takes several', () => {
  expect(readOption.types('contact.*, email.sent')).toEqual(['contact.*', 'email.sent']);
});
