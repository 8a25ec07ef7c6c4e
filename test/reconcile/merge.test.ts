/** Proves that merging both sides of a span tells each offset once, in order, with what each side has of it. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import * as merge from '../../src/reconcile/merge.ts';
import { variantOf } from '../domain/planted-bug.ts';
import { ledgerRecord } from './ledger-record.ts';

type Module = Pick<typeof merge, 'mergeSpan'>;

const SPAN = 30;
const anyOffsets = fc
  .uniqueArray(fc.nat(SPAN - 1), { maxLength: SPAN })
  .map((offsets) => offsets.sort((a, b) => a - b));

function holds({ mergeSpan }: Module): void {
  fc.assert(
    fc.property(
      fc.nat(100),
      fc.nat(SPAN),
      anyOffsets,
      anyOffsets,
      fc.integer({ min: -5, max: SPAN + 5 }),
      (from, length, kafka, ledger, lowAfter) => {
        const end = from + length;
        const onKafka = kafka.map((offset) => from + offset).filter((offset) => offset < end);
        const inLedger = ledger.map((offset) => from + offset).filter((offset) => offset < end);
        const low = from + lowAfter;
        const told: string[] = [];
        let next = from;
        mergeSpan(
          { from, end },
          onKafka,
          inLedger.map((offset) => ledgerRecord(offset)),
          low,
          {
            place: ({ offset, isOnKafka, ledger: record }) => {
              expect(offset).toBe(next++);
              expect(record?.offset ?? offset).toBe(offset);
              told.push(`${isOnKafka ? 'k' : ''}${record === null ? '' : 'l'}`);
            },
            gap: (gap) => {
              expect(gap.from).toBe(next);
              expect(gap.end).toBeGreaterThan(gap.from);
              for (; next < gap.end; next++) told.push(gap.kind);
            },
          },
        );
        const wanted = Array.from({ length }, (_, i) => {
          const offset = from + i;
          const sides = `${onKafka.includes(offset) ? 'k' : ''}${inLedger.includes(offset) ? 'l' : ''}`;
          return sides || (offset < low ? 'retention' : 'no_record');
        });
        expect(told).toEqual(wanted);
      },
    ),
    { seed: 2, numRuns: 1_000 },
  );
}

test('every offset is told once, in order, with both sides of it', () => {
  holds(merge);
});

test.each([
  ['an offset of both sides told twice', 'if (isInLedger) l++;', 'if (isInLedger && !isOnKafka) l++;'],
  [
    'what only the ledger has passed over',
    'Math.min(kafkaOffset, ledgerOffset, end)',
    'Math.min(kafkaOffset, end)',
  ],
  ['the gap at the end forgotten', 'while (next < end)', 'while (next < end && k < onKafka.length)'],
  ['the first offset held taken for one deleted', 'Math.max(low, from)', 'Math.max(low + 1, from)'],
])('%s is noticed', async (_what, from, to) => {
  const bug = await variantOf<Module>('reconcile/merge.ts', [from, to]);
  expect(() => {
    holds(bug);
  }).toThrow();
});
