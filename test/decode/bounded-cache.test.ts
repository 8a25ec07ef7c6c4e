import fc from 'fast-check';
import { expect, it } from 'vitest';
import { BoundedCache } from '../../src/decode/bounded-cache.ts';

/* Proves that the cache never holds more than its bound, never lies, and keeps what is in use. */

it('gives what was set last or nothing, and holds no more than its bound', () => {
  const operation = fc.tuple(fc.constantFrom('get', 'set'), fc.nat(12), fc.nat(1_000));
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 6 }),
      fc.array(operation, { maxLength: 200 }),
      (bound, operations) => {
        const cache = new BoundedCache<number, number>(bound);
        const model = new Map<number, number>();
        for (const [what, key, value] of operations) {
          if (what === 'set') {
            cache.set(key, value);
            model.set(key, value);
            expect(cache.get(key)).toBe(value);
          } else {
            expect([undefined, model.get(key)]).toContain(cache.get(key));
          }
        }
        const held = [...model.keys()].filter((key) => cache.get(key) !== undefined);
        expect(held.length).toBeLessThanOrEqual(bound);
      },
    ),
  );
});

it('keeps an entry that is read between any two evictions', () => {
  const cache = new BoundedCache<string, number>(3);
  cache.set('in use', 1);
  for (let i = 0; i < 100; i++) {
    expect(cache.get('in use')).toBe(1);
    cache.set(`once ${i}`, i);
  }
});
