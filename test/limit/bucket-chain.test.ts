/**
 * Proves that a request passes all the limits over it or touches none: in no window
 * is any of channel, tenant or destination exceeded, by whatever destinations and
 * tenants share it, and one that waits takes nothing from the others.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BucketChain } from '../../src/limit/bucket-chain.ts';
import { TokenBucket } from '../../src/limit/token-bucket.ts';
import { variantOf } from '../domain/planted-bug.ts';

type ChainClass = typeof BucketChain;

const ROUNDING_MS = 1.1e-4;

interface Level {
  readonly rate: number;
  readonly burst: number;
  readonly bucket: TokenBucket;
  readonly spentAtMs: number[];
}

const limit = fc.option(
  fc.record({ rate: fc.integer({ min: 1, max: 40 }), burst: fc.integer({ min: 1, max: 6 }) }),
  { freq: 4 },
);

/** One channel over two tenants with two destinations each. */
const limits = fc.record({
  channel: limit,
  tenants: fc.tuple(limit, limit),
  destinations: fc.tuple(limit, limit, limit, limit),
});

const steps = fc.array(
  fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record({ kind: fc.constant('pass' as const), ms: fc.nat(300), of: fc.nat(3) }),
    },
    {
      weight: 8,
      arbitrary: fc.record({
        kind: fc.constantFrom('reserve' as const, 'drain' as const, 'spend' as const, 'wait' as const),
        ms: fc.constant(0),
        of: fc.nat(3),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant('slow' as const), ms: fc.nat(2_000), of: fc.nat(3) }),
    },
  ),
  { maxLength: 80, size: 'max' },
);

function levelOf(of: { rate: number; burst: number } | null): Level | null {
  return of === null ? null : { ...of, bucket: new TokenBucket(of.rate, of.burst), spentAtMs: [] };
}

function expectBounded(level: Level | null): void {
  const atMs = level?.spentAtMs ?? [];
  for (let first = 0; first < atMs.length; first++) {
    for (let last = first; last < atMs.length; last++) {
      const most = (level!.rate * (atMs[last]! - atMs[first]! + ROUNDING_MS)) / 1000 + level!.burst;
      if (last - first + 1 > most) throw new Error(`${last - first + 1} requests where ${most} may go`);
    }
  }
}

/** One destination's chain and the levels over it, as a lane would drive them. */
class Client {
  readonly chain: BucketChain;
  readonly levels: readonly (Level | null)[];
  reserved = 0;
  slowUntilMs = -Infinity;

  constructor(Tested: ChainClass, levels: readonly (Level | null)[]) {
    const [channel = null, tenant = null, destination = null] = levels.map((level) => level?.bucket ?? null);
    this.chain = new Tested(channel, tenant, destination);
    this.levels = levels;
  }

  reserve(nowMs: number): boolean {
    const waits = this.levels.map((level) => level?.bucket.waitMs(nowMs) ?? 0);
    const waitMs = Math.max(...waits, this.slowUntilMs - nowMs);
    const granted = this.chain.tryReserve(nowMs);
    if (granted !== waitMs <= ROUNDING_MS) throw new Error(`granted: ${granted}, with ${waitMs} ms to wait`);
    if (granted) this.reserved++;
    else {
      const after = this.levels.map((level) => level?.bucket.waitMs(nowMs) ?? 0);
      if (after.some((ms, index) => ms !== waits[index])) throw new Error('a refusal changed a bucket');
    }
    return granted;
  }

  spend(nowMs: number): void {
    this.chain.spend(nowMs);
    this.reserved--;
    for (const level of this.levels) level?.spentAtMs.push(nowMs);
  }
}

const bounded = (Tested: ChainClass): fc.IRawProperty<unknown, false> =>
  fc.property(limits, steps, (of, schedule) => {
    const channel = levelOf(of.channel);
    const tenants = of.tenants.map(levelOf);
    const destinations = of.destinations.map(levelOf);
    const clients = destinations.map(
      (destination, index) => new Client(Tested, [channel, tenants[index >> 1]!, destination]),
    );
    let nowMs = 1_000;
    for (const { kind, ms, of: index } of schedule) {
      const client = clients[index]!;
      if (kind === 'pass') nowMs += ms;
      else if (kind === 'reserve') client.reserve(nowMs);
      else if (kind === 'drain') {
        for (let left = 8; left > 0 && client.reserve(nowMs); left--) client.spend(nowMs);
      } else if (kind === 'slow') {
        client.chain.slowUntil(nowMs + ms);
        client.slowUntilMs = Math.max(client.slowUntilMs, nowMs + ms);
      } else if (kind === 'wait') {
        nowMs += client.chain.waitMs(nowMs);
        if (client.reserve(nowMs)) client.spend(nowMs);
        else if (clients.every(({ reserved }) => reserved === 0))
          throw new Error('refused after the wait it asked for');
      } else if (client.reserved > 0) client.spend(nowMs);
    }
    [channel, ...tenants, ...destinations].forEach(expectBounded);
  });

describe('all grant or none is touched', () => {
  test('over any schedule of destinations that share a tenant and a channel', () => {
    fc.assert(bounded(BucketChain), { numRuns: 400 });
  });

  const isFree = (level: string): string =>
    `if (this.#${level} !== null) waitMs = Math.max(waitMs, this.#${level}.waitMs(nowMs));`;
  test.each([
    ['the channel is not asked', isFree('channel'), ''],
    ['the tenant is not asked', isFree('tenant'), ''],
    ['the destination is not asked', 'this.#destination?.waitMs(nowMs) ?? 0);', '0);'],
    ['the tenant is not spent from', 'this.#tenant?.spend(nowMs);', ''],
    [
      'the channel’s token is taken before the others agree',
      'if (this.waitMs(nowMs) > 0) return false;\n    // Another',
      'if (this.#channel?.tryReserve(nowMs) === false || this.waitMs(nowMs) > 0) return false;\n    // Another',
    ],
    ['a pause holds only where there is a limit', 'this.#pausedUntilMs = Math.max', 'Math.max'],
  ])('a planted bug is caught: %s', async (_what, from, to) => {
    const { BucketChain: Buggy } = await variantOf<{ BucketChain: ChainClass }>('limit/bucket-chain.ts', [
      from,
      to,
    ]);
    expect(fc.check(bounded(Buggy), { seed: 1, numRuns: 400 }).failed).toBe(true);
  });
});

test('a chain without limits always grants, but for a pause', () => {
  const chain = new BucketChain(null, null, null);
  expect(chain.tryReserve(0)).toBe(true);
  chain.spend(0);
  chain.slowUntil(500);
  expect(chain.isFull(499)).toBe(false);
  expect(chain.tryReserve(499)).toBe(false);
  expect(chain.waitMs(100)).toBe(400);
  expect(chain.tryReserve(500)).toBe(true);
  expect(chain.isFull(500)).toBe(true);
});

test('a destination’s pause holds up no other destination of its tenant', () => {
  const tenant = new TokenBucket(10, 5);
  const slow = new BucketChain(null, tenant, new TokenBucket(10, 5));
  const other = new BucketChain(null, tenant, null);
  slow.slowUntil(1_000);
  expect(slow.tryReserve(0)).toBe(false);
  expect(other.tryReserve(0)).toBe(true);
});

test('is forgotten only when its own bucket is full: those over it are kept elsewhere', () => {
  const tenant = new TokenBucket(1, 1);
  const chain = new BucketChain(null, tenant, new TokenBucket(10, 1));
  chain.tryReserve(0);
  expect(chain.isFull(0)).toBe(false);
  chain.spend(0);
  expect(chain.isFull(99)).toBe(false);
  expect(chain.isFull(100)).toBe(true);
});
