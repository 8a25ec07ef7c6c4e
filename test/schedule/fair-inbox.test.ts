/**
 * Proves that the inbox loses, invents and reorders nothing, over any adds, takes,
 * parks and repacks; that tenants get their shares in bytes and wait for one
 * turn of each other at most; and that the classes and priorities of a tenant
 * share, high before low, with none starving.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FairInbox } from '../../src/schedule/fair-inbox.ts';
import {
  type Change,
  inboxVariant,
  CLASSES,
  QUANTUM,
  OPTIONS,
  WEIGHTS,
  type Batch,
  nothingLost,
  oneTurnEach,
  sharesOfTenants,
  sharesOfClasses,
  failsOn,
} from './fair-inbox-properties.ts';

describe('nothing is lost, invented or reordered', () => {
  test('over any adds, takes, parks and repacks', () => {
    fc.assert(nothingLost(FairInbox), { numRuns: 300 });
  });

  test.each<Change & { what: string }>([
    {
      what: 'the second entry of a flow replaces the first',
      file: 'tenant-queue.ts',
      from: 'if (flow.head === NO_ENTRY) {',
      to: 'if (flow.head === NO_ENTRY || queue.size === 1) {',
    },
    {
      what: 'a batch is let go before its last entry',
      file: 'entry-store.ts',
      from: 'if (left > 0) return;',
      to: 'if (left > 1) return;',
    },
    {
      what: 'an entry is of the batch before',
      file: 'entry-store.ts',
      from: 'this.#batches[this.#lastBatch] !== batch',
      to: 'false',
    },
    {
      what: 'a moved entry still holds its old batch',
      file: 'entry-store.ts',
      from: 'this.#letGo(former);',
      to: '',
    },
    {
      what: 'what is added to a parked tenant is taken',
      file: 'fair-inbox.ts',
      from: 'if (!queue.isParked) this.#ready++;',
      to: 'this.#ready++; if (queue.isParked) this.unpark(tenant);',
    },
    {
      what: 'a parked tenant leaves the ring with its neighbour',
      file: 'fair-inbox.ts',
      from: 'previous.next = next;',
      to: 'previous.next = next.next;',
    },
    {
      what: 'an empty parked tenant is forgotten, and its parking with it',
      file: 'fair-inbox.ts',
      from: 'this.#remember(tenant, true);',
      to: '',
    },
    {
      what: 'an object used again is parked as its former tenant was',
      file: 'fair-inbox.ts',
      from: 'this.#tenants.delete(queue.name);',
      to: '',
    },
  ])('a planted bug is caught: $what', async (change) => {
    expect(failsOn(nothingLost(await inboxVariant(change)))).toBe(true);
  });
});

describe('a tenant that comes newly', () => {
  test('waits for at most one turn of each other', () => {
    fc.assert(oneTurnEach(FairInbox), { numRuns: 200 });
  });

  test.each<Change & { what: string }>([
    {
      what: 'a turn has no end',
      file: 'fair-inbox.ts',
      from: 'if (queue.size > 0 && queue.deficit > 0)',
      to: 'if (queue.size > 0)',
    },
    {
      what: 'what joins the ring joins it as the next',
      file: 'fair-inbox.ts',
      from: 'const turn = this.#turn;',
      to: 'const turn = this.#turn?.next ?? null;',
    },
    {
      what: 'a parked tenant keeps the rest of its turn',
      file: 'fair-inbox.ts',
      from: 'queue.deficit = Math.min(queue.deficit, 0);',
      to: '',
    },
  ])('a planted bug is caught: $what', async (change) => {
    expect(failsOn(oneTurnEach(await inboxVariant(change)))).toBe(true);
  });

  test('behind a million entries of another it is taken within a turn', () => {
    const inbox = new FairInbox<Batch>({ ...OPTIONS, tenantWeight: () => 1 });
    const batch = { name: 0 };
    for (let i = 0; i < 1_000_000; i++) inbox.add(batch, i, 0, 300, 'flood', 'first', 'high');
    inbox.next();
    inbox.add(batch, 0, 0, 300, 'single', 'bulk', 'low');
    let taken = 0;
    while (inbox.next() && inbox.tenant === 'flood') taken++;
    expect(inbox.tenant).toBe('single');
    expect(taken).toBe(3);
  });
});

describe('tenants that have always something', () => {
  test('get bytes by their weights, within a quantum and an entry of each', () => {
    fc.assert(sharesOfTenants(FairInbox), { numRuns: 200 });
  });

  test.each<Change & { what: string }>([
    {
      what: 'what a turn took too much is forgotten',
      file: 'fair-inbox.ts',
      from: 'queue.deficit += queue.turnBytes;',
      to: 'queue.deficit = queue.turnBytes;',
    },
    {
      what: 'records are counted, not bytes',
      file: 'tenant-queue.ts',
      from: 'return this.#entries.bytes(flow.head) || 1;',
      to: 'return 300;',
    },
    {
      what: 'all weigh the same',
      file: 'fair-inbox.ts',
      from: 'queue.turnBytes = weight * quantumBytes;',
      to: 'queue.turnBytes = quantumBytes;',
    },
    {
      what: 'one that is parked in its turn takes the turn of the next along',
      file: 'fair-inbox.ts',
      from: 'else this.#beginTurn(next);',
      to: 'else this.#turn = next;',
    },
  ])('a planted bug is caught: $what', async (change) => {
    expect(failsOn(sharesOfTenants(await inboxVariant(change)))).toBe(true);
  });

  test('a tenant that has one huge entry at a time, each as soon as the last is taken, gets its share and no more', () => {
    const inbox = new FairInbox<Batch>({ ...OPTIONS, tenantWeight: () => 1 });
    const bytesOf: Record<string, number> = { steady: 0, huge: 0 };
    const refill = (name: string): void =>
      inbox.add({ name: 0 }, 0, 0, name === 'huge' ? 5_000 : 500, name, 'first', 'normal');
    refill('steady');
    refill('huge');
    for (let i = 0; i < 200; i++) {
      inbox.next();
      bytesOf[inbox.tenant]! += inbox.bytes;
      refill(inbox.tenant);
    }
    expect(Math.abs(bytesOf['huge']! - bytesOf['steady']!)).toBeLessThanOrEqual(QUANTUM + 5_000);
  });
});

describe('the classes and priorities of a tenant', () => {
  test('share by their weights, within an entry of each', () => {
    fc.assert(sharesOfClasses(FairInbox), { numRuns: 200 });
  });

  test.each<Change & { what: string }>([
    {
      what: 'the higher priority always goes first',
      file: 'tenant-queue.ts',
      from: 'flow.start += bytes * flow.cost;',
      to: '',
    },
    {
      what: 'a flow that was empty has saved up for it',
      file: 'tenant-queue.ts',
      from: 'if (queue.size === 0 && queue.start < this.#now) queue.start = this.#now;',
      to: 'queue.start = 0;',
    },
    {
      what: 'all classes weigh the same',
      file: 'tenant-queue.ts',
      from: 'this.cost = 1 / weights.classes[workClass];',
      to: 'this.cost = 1;',
    },
  ])('a planted bug is caught: $what', async (change) => {
    expect(failsOn(sharesOfClasses(await inboxVariant(change)))).toBe(true);
  });

  test('of what came together, high goes first, then normal, then low', () => {
    const inbox = new FairInbox<Batch>(OPTIONS);
    for (const name of ['low', 'normal', 'high'] as const)
      for (let i = 0; i < 2; i++) inbox.add({ name: 0 }, i, 0, 100, 'a', 'first', name);
    const order: string[] = [];
    while (inbox.next()) order.push(inbox.priority);
    expect(order).toEqual(['high', 'high', 'normal', 'normal', 'low', 'low']);
  });

  test('a low one is not starved by high ones without end', () => {
    const inbox = new FairInbox<Batch>(OPTIONS);
    inbox.add({ name: 0 }, 0, 0, 100, 'a', 'bulk', 'low');
    let taken = 0;
    do {
      for (const name of CLASSES) inbox.add({ name: 0 }, 0, 0, 100, 'a', name, 'high');
      inbox.next();
      taken++;
    } while (inbox.priority !== 'low');
    // The bulk class gets one byte in 15, of which low gets one in 17.
    expect(taken).toBeLessThanOrEqual(15 * 17 + 15);
  });
});

test('a quantum or weight of nothing is refused, since no turn would ever come', () => {
  const none = { ...WEIGHTS, priorities: { ...WEIGHTS.priorities, low: 0 } };
  expect(() => new FairInbox({ ...OPTIONS, quantumBytes: 0 })).toThrow(RangeError);
  expect(() => new FairInbox({ ...OPTIONS, weights: none })).toThrow(RangeError);
  const inbox = new FairInbox<Batch>({ ...OPTIONS, tenantWeight: () => NaN });
  expect(() => inbox.add({ name: 0 }, 0, 0, 1, 'a', 'first', 'high')).toThrow(RangeError);
});
