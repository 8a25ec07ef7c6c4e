/** Proves that a filter takes exactly the dead letters that have each property it names. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import * as real from '../../src/dead/filter.ts';
import type { DeadLetterFilter } from '../../src/dead/filter.ts';
import { variantOf } from '../domain/planted-bug.ts';
import { deadLetter } from './dead-letters.ts';

type FilterModule = typeof real;

const name = fc.constantFrom('a', 'b');
const letters = fc
  .record({ tenant: name, destination: name, status: fc.constantFrom(0, 404, 503), atMs: fc.nat(3) })
  .map(({ tenant, destination, status, atMs }) =>
    deadLetter(
      { tenant, 'destination-id': destination, status: String(status), reason: `http_${status}` },
      { timestamp: atMs },
    ),
  );
/** Mostly open, so that one property alone decides often. */
const rarely = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | null> =>
  fc.oneof({ weight: 3, arbitrary: fc.constant(null) }, { weight: 1, arbitrary });
const filters: fc.Arbitrary<DeadLetterFilter> = fc.record({
  tenant: rarely(name),
  destinationId: rarely(name),
  reason: rarely(fc.constantFrom('http_404', 'http_503')),
  kind: rarely(fc.constantFrom('endpoint', 'refused', 'pipeline')),
  isWantedType: rarely(
    fc.constantFrom(
      () => true,
      (type: string) => type === 'x',
    ),
  ),
  status: rarely(fc.constantFrom({ from: 400, to: 499 }, { from: 0, to: 0 })),
  sinceMs: rarely(fc.nat(3)),
  untilMs: rarely(fc.nat(3)),
});

/** Each property that is named must hold, said once more and in other words. */
function takesWhatItNames({ isMeant }: FilterModule): void {
  fc.assert(
    fc.property(letters, filters, (letter, filter) => {
      const misses = [
        filter.tenant !== null && filter.tenant !== letter.tenant,
        filter.destinationId !== null && filter.destinationId !== letter.destinationId,
        filter.reason !== null && filter.reason !== letter.reason,
        filter.kind !== null && filter.kind !== letter.kind,
        filter.isWantedType !== null && !filter.isWantedType(letter.eventType),
        filter.status !== null && (letter.status < filter.status.from || letter.status > filter.status.to),
        filter.sinceMs !== null && letter.diedAtMs < filter.sinceMs,
        filter.untilMs !== null && letter.diedAtMs >= filter.untilMs,
      ];
      expect(isMeant(letter, filter)).toBe(!misses.includes(true));
    }),
    { numRuns: 1_000 },
  );
}

describe('a filter', () => {
  test('takes what has all that it names, and nothing else', () => {
    takesWhatItNames(real);
  });

  test('that names nothing takes all', () => {
    expect(real.isMeant(deadLetter(), real.EVERY_DEAD_LETTER)).toBe(true);
  });

  test.each([
    [
      'the end of a time range is in it',
      'letter.diedAtMs < filter.untilMs',
      'letter.diedAtMs <= filter.untilMs',
    ],
    [
      'one property is enough',
      'isOpenOr(filter.reason, letter.reason) &&',
      'isOpenOr(filter.reason, letter.reason) ||',
    ],
  ])('the property catches that %s', async (_, from, to) => {
    const planted = await variantOf<FilterModule>('dead/filter.ts', [from, to]);
    expect(() => {
      takesWhatItNames(planted);
    }).toThrow();
  });
});
