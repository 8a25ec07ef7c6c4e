/**
 * Proves, against a real name server on loopback, that names resolve with both
 * families, are remembered for their TTL within its bounds, and that a dead name
 * or server costs no query per attempt.
 */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { NameResolver } from '../../src/deliver/name-resolver.ts';
import { ManualClock } from '../domain/manual-clock.ts';
import { DnsServer } from './dns-server.ts';

let server: DnsServer;
let clock: ManualClock;
let resolver: NameResolver;

beforeEach(async () => {
  server = new DnsServer();
  clock = new ManualClock();
  resolver = new NameResolver({ timeoutMs: 400, maxTtlMs: 60_000, servers: [await server.start()] }, clock);
});

afterEach(async () => {
  resolver.close();
  await server.close();
});

const V6 = '2001:0db8:0000:0000:0000:0000:0000:0001';

test('IPv4 comes before IPv6', async () => {
  server.names['both.example'] = { AAAA: [V6], A: ['192.0.2.1', '192.0.2.2'], ttl: 30 };
  expect((await resolver.resolve('both.example')).toSorted()).toEqual([
    '192.0.2.1',
    '192.0.2.2',
    '2001:db8::1',
  ]);
  expect((await resolver.resolve('both.example')).at(-1)).toBe('2001:db8::1');
});

test('a name with one family only has that one', async () => {
  server.names['four.example'] = { A: ['192.0.2.1'], ttl: 30 };
  server.names['six.example'] = { AAAA: [V6], ttl: 30 };
  expect(await resolver.resolve('four.example')).toEqual(['192.0.2.1']);
  expect(await resolver.resolve('six.example')).toEqual(['2001:db8::1']);
});

test.each(['localhost', 'api.localhost'])('%s is loopback, without a query', async (name) => {
  expect(await resolver.resolve(name)).toEqual(['127.0.0.1', '::1']);
  expect(server.queries).toEqual([]);
});

describe('a name is remembered', () => {
  /** Queries for one family: each look-up asks for both. */
  const lookUps = (): number => server.queries.filter((query) => query.endsWith(' A')).length;

  test.each([
    ['for its TTL', 30, 30_000],
    ['for a second at least', 0, 1_000],
    ['for the longest TTL at most', 86_400, 60_000],
  ])('%s', async (_what, ttl, rememberedMs) => {
    server.names['a.example'] = { A: ['192.0.2.1'], ttl };
    await resolver.resolve('a.example');
    clock.nowMs += rememberedMs - 1;
    await resolver.resolve('a.example');
    expect(lookUps()).toBe(1);
    clock.nowMs += 1;
    server.names['a.example'] = { A: ['192.0.2.9'], ttl };
    expect(await resolver.resolve('a.example')).toEqual(['192.0.2.9']);
    expect(lookUps()).toBe(2);
  });

  test('while its answer is awaited: many who ask at once share one look-up', async () => {
    server.names['a.example'] = { A: ['192.0.2.1'], ttl: 30 };
    const all = await Promise.all([1, 2, 3, 4].map(() => resolver.resolve('a.example')));
    expect(all).toEqual(new Array(4).fill(['192.0.2.1']));
    expect(lookUps()).toBe(1);
  });

  test('by itself: another name is another look-up', async () => {
    server.names['a.example'] = { A: ['192.0.2.1'], ttl: 30 };
    server.names['b.example'] = { A: ['192.0.2.2'], ttl: 30 };
    expect(await resolver.resolve('a.example')).toEqual(['192.0.2.1']);
    expect(await resolver.resolve('b.example')).toEqual(['192.0.2.2']);
  });
});

describe('a failure', () => {
  test.each([
    ['NXDOMAIN', 'ENOTFOUND'],
    ['SERVFAIL', 'ESERVFAIL'],
    ['SILENCE', 'ETIMEOUT'],
  ] as const)('%s is %s, and stands for a second', async (answer, code) => {
    server.names['a.example'] = answer;
    await expect(resolver.resolve('a.example')).rejects.toMatchObject({ code });
    const asked = server.queries.length;
    clock.nowMs += 999;
    await expect(resolver.resolve('a.example')).rejects.toMatchObject({ code });
    expect(server.queries).toHaveLength(asked);
    clock.nowMs += 1;
    server.names['a.example'] = { A: ['192.0.2.1'], ttl: 30 };
    expect(await resolver.resolve('a.example')).toEqual(['192.0.2.1']);
  });

  test('a name that exists without an address has none', async () => {
    server.names['a.example'] = { ttl: 30 };
    await expect(resolver.resolve('a.example')).rejects.toMatchObject({ code: 'ENODATA' });
  });
});
