/** Proves that no spelling of a private, local or reserved address passes, and that public ones and allowed ones do. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { addressLiteral, addressVerdict, compileRanges } from '../../src/domain/addresses.ts';

const NONE = compileRanges([]);

/** As a destination's URL is judged: normalised by the WHATWG parser first. */
function verdictOfHost(host: string): 'allowed' | 'blocked' | 'name' {
  const literal = addressLiteral(new URL(`http://${host}/`).hostname);
  if (literal === null) return 'name';
  return addressVerdict(literal, NONE) === 'allowed' ? 'allowed' : 'blocked';
}

const forbidden = [
  // Loopback, in every spelling a URL takes
  '127.0.0.1',
  '127.1',
  '127.0.1',
  '127.255.255.254',
  '127.0.0.1.',
  '2130706433',
  '0x7f000001',
  '0x7F.1',
  '0x7f.0x0.0x0.0x1',
  '017700000001',
  '0177.0.0.01',
  '０x7f.1',
  '１２７.０.０.１',
  '①②⑦.0.0.1',
  '127。0。0。1',
  '127.0.0.1%2e',
  '%31%32%37.0.0.1',
  '[::1]',
  '[0:0:0:0:0:0:0:1]',
  '[0000::0001]',
  // This host
  '0.0.0.0',
  '0',
  '0x0',
  '0.1.2.3',
  '[::]',
  // Private
  '10.0.0.1',
  '10.255.255.255',
  '0xa000001',
  '172.16.0.1',
  '172.31.255.255',
  '192.168.0.1',
  '3232235521',
  '[fc00::1]',
  '[fd00:ec2::254]',
  // Link-local, among them most clouds' metadata
  '169.254.169.254',
  '2852039166',
  '0xa9fea9fe',
  '0251.0376.0251.0376',
  '[fe80::1]',
  '[fec0::1]',
  // Other metadata
  '168.63.129.16',
  '0xa83f8110',
  '100.100.100.200',
  '192.0.0.192',
  // Shared, reserved, documentation, benchmarks, multicast, broadcast
  '100.64.0.1',
  '100.127.255.255',
  '192.0.2.1',
  '198.51.100.7',
  '203.0.113.9',
  '198.18.0.1',
  '198.19.255.255',
  '192.88.99.1',
  '224.0.0.1',
  '239.255.255.255',
  '240.0.0.1',
  '255.255.255.255',
  '4294967295',
  '[ff02::1]',
  '[2001:db8::1]',
  '[3fff::1]',
  '[100::1]',
  '[5f00::1]',
  '[2001:2::1]',
  // Addresses that carry another one inside
  '[::ffff:127.0.0.1]',
  '[::ffff:7f00:1]',
  '[0:0:0:0:0:ffff:10.0.0.1]',
  '[::ffff:8.8.8.8]',
  '[::127.0.0.1]',
  '[::7f00:1]',
  '[::ffff:0:127.0.0.1]',
  '[64:ff9b::127.0.0.1]',
  '[64:ff9b::a00:1]',
  '[64:ff9b:1::1]',
  '[2002:7f00:1::]',
  '[2002:a00:1::1]',
  '[2001:0:7f00:1::]',
  // Outside what has been handed out
  '[1::1]',
  '[4000::1]',
  '[e000::1]',
];

describe('forbidden addresses', () => {
  test('there are many', () => {
    expect(forbidden.length).toBeGreaterThanOrEqual(60);
  });

  test.each(forbidden)('%s', (host) => {
    expect(verdictOfHost(host)).toBe('blocked');
  });

  test('any loopback or private IPv4 address, as one number', () => {
    const blocks = [
      [0x7f000000, 24],
      [0x0a000000, 24],
      [0xac100000, 20],
      [0xc0a80000, 16],
      [0xa9fe0000, 16],
    ] as const;
    fc.assert(
      fc.property(fc.constantFrom(...blocks), fc.nat(2 ** 24 - 1), ([base, bits], offset) => {
        expect(verdictOfHost(String(base + (offset % 2 ** bits)))).toBe('blocked');
      }),
    );
  });

  test('whatever is mapped into IPv6', () => {
    fc.assert(
      fc.property(fc.ipV4(), (address) => {
        expect(verdictOfHost(`[::ffff:${address}]`)).toBe('blocked');
      }),
    );
  });

  test('what is no strict spelling, should it come without a URL', () => {
    for (const text of [
      '127.1',
      '0177.0.0.1',
      '0x7f.0.0.1',
      '2130706433',
      '',
      'localhost',
      '1.2.3',
      '01.2.3.4',
    ]) {
      expect(addressVerdict(text, NONE)).not.toBe('allowed');
    }
  });

  test('a reason is given', () => {
    expect(addressVerdict('127.0.0.1', NONE)).toEqual({ blocked: 'loopback address' });
    expect(addressVerdict('168.63.129.16', NONE)).toEqual({ blocked: 'cloud metadata address' });
    expect(addressVerdict('[::1]', NONE)).toEqual({ blocked: 'not an IP address' });
  });
});

describe('allowed addresses', () => {
  test.each([
    '8.8.8.8',
    '1.1.1.1',
    '168.63.129.17',
    '172.32.0.1',
    '[2001:4860:4860::8888]',
    '[2a00:1450::1]',
    '0x08080808',
  ])('%s is public', (host) => {
    expect(verdictOfHost(host)).toBe('allowed');
  });

  test('ranges allow what they cover, of their own family only', () => {
    const ranges = compileRanges(['127.0.0.0/8', '10.1.0.0/16', '::1', '168.63.129.16/32']);
    expect(
      ['127.9.9.9', '10.1.255.1', '::1', '168.63.129.16'].map((ip) => addressVerdict(ip, ranges)),
    ).toEqual(Array.from({ length: 4 }, () => 'allowed'));
    expect(
      ['10.2.0.1', '::2', '::ffff:127.0.0.1'].filter((ip) => addressVerdict(ip, ranges) === 'allowed'),
    ).toEqual([]);
  });

  test('everything can be allowed', () => {
    const all = compileRanges(['0.0.0.0/0', '::/0']);
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (ip) => {
        expect(addressVerdict(ip, all)).toBe('allowed');
      }),
    );
  });

  test.each([
    '',
    '10.0.0.0/33',
    '10.0.0/8',
    '::/129',
    'localhost',
    '10.0.0.0/8/8',
    '10.0.0.0/',
    '10.0.0.0/-1',
    '010.0.0.0/8',
  ])('%j is no range', (cidr) => {
    expect(() => compileRanges([cidr])).toThrow(RangeError);
  });
});

test('names are left to DNS', () => {
  for (const host of ['localhost', 'hooks.example', '127.0.0.1.nip.io', 'xn--bcher-kva.example']) {
    expect(verdictOfHost(host)).toBe('name');
  }
});
