/** The name of a delay's topic: two delays that shared one would break "append order is due order". */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { delayTopicName } from '../../src/domain/delay-topic.ts';
import { variantOf } from './planted-bug.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

type NameOf = typeof delayTopicName;

function namesDiffer(nameOf: NameOf): fc.IProperty<[number, number]> {
  const someDelay = fc.oneof(
    fc.integer({ min: 1, max: 30 * DAY }),
    fc
      .tuple(fc.constantFrom(1, SECOND, MINUTE, HOUR, DAY), fc.integer({ min: 1, max: 100 }))
      .map(([unit, count]) => unit * count),
  );
  return fc.property(someDelay, someDelay, (one, other) => {
    const names = [one, other].map((delayMs) => nameOf('p', delayMs));
    expect(names[0] === names[1]).toBe(one === other);
    for (const name of names) expect(name).toMatch(/^p\.\d+(?:ms|s|m|h|d)$/);
  });
}

test('two delays never share a topic', () => {
  fc.assert(namesDiffer(delayTopicName), { numRuns: 3_000 });
});

describe('a planted bug is caught', () => {
  test.each([
    ['names without a unit', '/ unitMs}${unit}`', '/ unitMs}s`'],
    ['names of rounded delays', 'delayMs % unitMs === 0', 'delayMs >= unitMs'],
  ])('%s', async (_what, from, to) => {
    const buggy = await variantOf<{ delayTopicName: NameOf }>('domain/delay-topic.ts', [from, to]);
    expect(fc.check(namesDiffer(buggy.delayTopicName), { seed: 1, numRuns: 5_000 }).failed).toBe(true);
  });
});

test.each([
  [500, '500ms'],
  [1_500, '1500ms'],
  [90_000, '90s'],
  [2 * MINUTE, '2m'],
  [36 * HOUR, '36h'],
  [7 * DAY, '7d'],
])('%d ms are called %s', (delayMs, name) => {
  expect(delayTopicName('x.y', delayMs)).toBe(`x.y.${name}`);
});
