/**
 * Proves that of each key one item goes at a time, in the order they came, over any
 * entering, leaving and dropping, and that nothing is lost.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { KeyOrder } from '../../src/schedule/key-order.ts';
import type { OfKey } from '../../src/schedule/key-order.ts';
import { variantOf } from '../domain/planted-bug.ts';

type OrderClass = typeof KeyOrder;

class Item implements OfKey<Item> {
  readonly key: string;
  readonly number: number;
  nextOfKey: Item | null = null;

  constructor(key: string, number: number) {
    this.key = key;
    this.number = number;
  }
}

type Step =
  | { readonly kind: 'enter' | 'leave'; readonly key: string }
  | { readonly kind: 'drop'; readonly modulus: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      kind: fc.constantFrom('enter' as const, 'enter' as const, 'leave' as const),
      key: fc.constantFrom('', 'a', 'b'),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('drop' as const), modulus: fc.integer({ min: 1, max: 3 }) }),
  },
);

/** For what is judged at every step: an `expect` that holds takes longer than the step. */
function same(actual: unknown, expected: unknown, what: string): void {
  if (!Object.is(actual, expected)) expect(actual, what).toBe(expected);
}

/** The key order beside plain lists: of each key the one that goes, then those that wait. */
class Compared {
  readonly order: KeyOrder<Item>;
  readonly lines = new Map<string, Item[]>();
  #number = 0;

  constructor(Tested: OrderClass) {
    this.order = new Tested<Item>();
  }

  run(one: Step): void {
    if (one.kind === 'drop') this.#drop(one.modulus);
    else if (one.kind === 'enter') this.#enter(new Item(one.key, this.#number++));
    else if (this.lines.has(one.key)) this.leave(one.key);
    const waiting = [...this.lines.values()].reduce((sum, line) => sum + line.length - 1, 0);
    same(this.order.waiting, waiting, 'waiting');
    same(this.order.keys, this.lines.size, 'keys');
  }

  leave(key: string): void {
    const line = this.lines.get(key)!;
    line.shift();
    const next = this.order.leave(key);
    same(next, line[0] ?? null, 'the next of its key');
    if (next === null) this.lines.delete(key);
    else same(next.nextOfKey, null, 'it may wait elsewhere now');
  }

  drain(): void {
    for (const [key, line] of this.lines) for (let left = line.length; left > 0; left--) this.leave(key);
    expect([this.order.waiting, this.order.keys]).toEqual([0, 0]);
  }

  #enter(item: Item): void {
    const line = this.lines.get(item.key);
    same(this.order.tryEnter(item.key, item), line === undefined ? 'go' : 'wait', 'one at a time');
    if (line === undefined) this.lines.set(item.key, [item]);
    else line.push(item);
  }

  #drop(modulus: number): void {
    const isDropped = ({ number }: Item): boolean => number % modulus === 0;
    const asked: Item[] = [];
    this.order.dropWaiting((item) => {
      asked.push(item);
      return isDropped(item);
    });
    const waiting = [...this.lines.values()].flatMap((line) => line.slice(1));
    expect(new Set(asked)).toEqual(new Set(waiting));
    expect(asked.length).toBe(waiting.length);
    for (const [key, line] of this.lines)
      this.lines.set(
        key,
        line.filter((item, index) => index === 0 || !isDropped(item)),
      );
  }
}

function oneAtATime(Tested: OrderClass): fc.IProperty<[Step[]]> {
  return fc.property(fc.array(step, { maxLength: 150, size: 'max' }), (steps) => {
    const compared = new Compared(Tested);
    for (const one of steps) compared.run(one);
    compared.drain();
  });
}

describe('of each key one at a time, first in first out', () => {
  test('over any entering, leaving and dropping', () => {
    fc.assert(oneAtATime(KeyOrder), { numRuns: 500 });
  });

  test.each([
    [
      'the key is free as soon as one leaves',
      'const next = line.head;',
      'this.#lines.delete(key); const next = line.head;',
    ],
    [
      'the last to come is the first to go',
      'line.tail.nextOfKey = item;\n    line.tail = item;\n    this',
      '{ item.nextOfKey = line.head; line.head = item; }\n    this',
    ],
    ['the last that waited is waited behind for ever', 'if (line.head === null) line.tail = null;', ''],
    [
      'a dropped item takes what is behind it along',
      'item = next;\n      }',
      'item = isDropped(item) ? null : next;\n      }',
    ],
    [
      'what is dropped still counts',
      'if (isDropped(item)) {\n          this.#waiting--;',
      'if (isDropped(item)) {',
    ],
  ])('a planted bug is caught: %s', async (_what, from, to) => {
    const { KeyOrder: Buggy } = await variantOf<{ KeyOrder: OrderClass }>('schedule/key-order.ts', [
      from,
      to,
    ]);
    expect(fc.check(oneAtATime(Buggy), { seed: 1, numRuns: 200 }).failed).toBe(true);
  });
});

test('a parked key is emptied by leaving until nothing is returned, and is free then', () => {
  const order = new KeyOrder<Item>();
  const items = [1, 2, 3].map((number) => new Item('a', number));
  expect(items.map((item) => order.tryEnter('a', item))).toEqual(['go', 'wait', 'wait']);
  const parked: Item[] = [];
  for (let item = order.leave('a'); item !== null; item = order.leave('a')) parked.push(item);
  expect(parked).toEqual(items.slice(1));
  expect(order.tryEnter('a', new Item('a', 4))).toBe('go');
});

test('a key that nothing has entered is not left by mistake', () => {
  const order = new KeyOrder<Item>();
  order.tryEnter('a', new Item('a', 1));
  order.leave('a');
  expect(() => order.leave('a')).toThrow('nothing has entered');
});

test('a stuck key holds up only itself', () => {
  const order = new KeyOrder<Item>();
  order.tryEnter('stuck', new Item('stuck', 0));
  for (let number = 1; number <= 5; number++) order.tryEnter('stuck', new Item('stuck', number));
  expect(order.tryEnter('free', new Item('free', 0))).toBe('go');
});
