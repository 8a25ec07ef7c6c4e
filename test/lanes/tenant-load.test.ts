/**
 * When a tenant is parked: not while one of its destinations takes what comes, unless what waits for the others is too
 * much; and always before more than the bound waits.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { QueueLoad, TenantLoad } from '../../src/lanes/tenant-load.ts';
import { variantOf } from '../domain/planted-bug.ts';

const MOST_WAITING = 32;
const MOST_BACKLOG = 1_024;

interface Module {
  readonly QueueLoad: typeof QueueLoad;
  readonly TenantLoad: typeof TenantLoad;
}

/** One delivery comes to or leaves a queue; some steps are many of them. */
const steps = fc.array(
  fc.record({ queue: fc.nat(7), comes: fc.boolean(), times: fc.constantFrom(1, 1, 5, 40, 600) }),
  { maxLength: 40 },
);

/** Drives queues as a lane does: nothing comes while the tenant is parked. */
function holds(module: Module): void {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 8 }), steps, (destinations, moves) => {
      const tenant = new module.TenantLoad('acme', destinations);
      const queues = Array.from({ length: destinations }, () => new module.QueueLoad(tenant));
      const lengths = queues.map(() => 0);
      const part = Math.floor(MOST_WAITING / destinations);
      for (const { queue: drawn, comes, times } of moves) {
        const queue = drawn % destinations;
        for (let i = 0; i < times; i++) {
          if (comes && tenant.isParked) break;
          if (!comes && lengths[queue] === 0) break;
          const isBacklog = comes ? queues[queue]!.add() : queues[queue]!.remove();
          lengths[queue]! += comes ? 1 : -1;
          expect(isBacklog).toBe(lengths[queue]! + (comes ? 0 : 1) > part);
          if (comes && tenant.isFull) tenant.isParked = true;
          if (!comes && tenant.isParked && tenant.mayGoOn) tenant.isParked = false;
          const backlog = lengths.reduce((sum, length) => sum + Math.max(0, length - part), 0);
          expect(tenant.deliveries).toBe(lengths.reduce((sum, length) => sum + length, 0));
          expect(backlog).toBeLessThanOrEqual(MOST_BACKLOG);
          const isFree = lengths.some((length) => length * 2 <= part);
          if (isFree && backlog <= MOST_BACKLOG - 64) expect(tenant.isParked).toBe(false);
          if (lengths.every((length) => length >= part)) expect(tenant.isFull).toBe(true);
        }
      }
    }),
  );
}

describe('what a tenant has waiting', () => {
  test('parks it when all of its destinations are behind, or one of them is far behind', () => {
    holds({ QueueLoad, TenantLoad });
  });

  test.each([
    [
      'each delivery counted as a part',
      'if (this.#waiting > this.#tenant.part) {',
      'if (this.#waiting > 1e9) {',
    ],
    ['one slow destination parks it', 'this.#fullQueues >= this.#destinations', 'this.#fullQueues >= 1'],
    ['a backlog without bound', '|| this.#backlog >= BACKLOG_OF_TENANT', ''],
    [
      'full for ever',
      'if (this.#isFull && this.#waiting * 2 <= this.#tenant.part) {',
      'if (this.#waiting < 0) {',
    ],
  ])('a planted bug is found: %s', async (_, from, to) => {
    const variant = await variantOf<Module>('lanes/tenant-load.ts', [from, to]);
    expect(() => {
      holds(variant);
    }).toThrow();
  });

  test('of one destination: 32 park it, 16 let it go on', () => {
    const tenant = new TenantLoad('acme', 1);
    const queue = new QueueLoad(tenant);
    for (let i = 0; i < MOST_WAITING; i++) {
      expect(tenant.isFull).toBe(false);
      queue.add();
    }
    expect(tenant.isFull).toBe(true);
    for (let i = 0; i < MOST_WAITING / 2; i++) {
      expect(tenant.mayGoOn).toBe(false);
      queue.remove();
    }
    expect(tenant.mayGoOn).toBe(true);
  });
});
