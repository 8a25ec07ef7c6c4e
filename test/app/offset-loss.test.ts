/** Proves that a group that stands where there is nothing any more is not moved on in silence: fault K8. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkOffsetLoss } from '../../src/app/offset-loss.ts';
import { UserError } from '../../src/domain/errors.ts';

interface Place {
  readonly committed: number;
  readonly low: number;
  readonly length: number;
}

async function check(places: readonly Place[], policy: 'stop' | 'skip'): Promise<string[]> {
  const skipped: string[] = [];
  await checkOffsetLoss(
    {
      consumer: {
        watermarks: (_topic, partition) => {
          const { low, length } = places[partition] as Place;
          return Promise.resolve({ low, high: low + length });
        },
      },
      groupId: 'crm',
      policy,
      onSkipped: (problem) => skipped.push(problem),
    },
    places.map(({ committed }, partition) => ({ topic: 'orders', partition, offset: committed })),
  );
  return skipped;
}

const place = fc.record({ committed: fc.integer({ min: -1, max: 50 }), low: fc.nat(50), length: fc.nat(50) });
const isLost = ({ committed, low, length }: Place): boolean =>
  committed >= 0 && (committed < low || committed > low + length);

describe('a committed offset', () => {
  test('that is outside its partition stops, or is told, once for each; any other is none', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(place, { maxLength: 8 }), async (places) => {
        const lost = places.filter(isLost).length;
        expect(await check(places, 'skip')).toHaveLength(lost);
        const stopped = await check(places, 'stop').catch((error: unknown) => error);
        if (lost === 0) expect(stopped).toEqual([]);
        else expect((stopped as UserError).problems).toHaveLength(lost);
      }),
    );
  });

  test('says where the group stands, why that is nowhere, and what to do', async () => {
    const error = await check(
      [
        { committed: 5, low: 7, length: 3 },
        { committed: 11, low: 7, length: 3 },
      ],
      'stop',
    ).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(UserError);
    expect((error as UserError).problems).toEqual([
      expect.stringMatching(
        /^group crm stands at offset 5 of orders\[0\], which begins at 7 now: .* kafka\.lostRecords/,
      ),
      expect.stringMatching(
        /^group crm stands at offset 11 of orders\[1\], which ends at 10: .* kafka\.lostRecords/,
      ),
    ]);
  });
});
