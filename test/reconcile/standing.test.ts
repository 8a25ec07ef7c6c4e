/** Proves which state a record is given by what Kafka and the ledger have of it, and that wrong rules would be noticed. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import * as standing from '../../src/reconcile/standing.ts';
import type { LedgerRecord, RepeatedDelivery, Standing } from '../../src/reconcile/standing.ts';
import { variantOf } from '../domain/planted-bug.ts';
import { ledgerRecord, unfinished } from './ledger-record.ts';

const IN_OVERFLOW: Standing = { kind: 'pending', where: 'overflow' };

type Module = Pick<typeof standing, 'standingOf' | 'windowOf'>;

/** How a record came to be as it is, and what must be said of it. */
const cases: readonly {
  readonly what: string;
  readonly ledger: (offset: number) => LedgerRecord | null;
  /** Below the committed offset, and from it on. */
  readonly committed: Standing;
  readonly open: Standing;
}[] = [
  {
    what: 'no row',
    ledger: () => null,
    committed: { kind: 'missing', why: 'no_row' },
    open: { kind: 'pending', where: 'uncommitted' },
  },
  {
    what: 'all deliveries ended',
    ledger: (offset) => ledgerRecord(offset),
    committed: { kind: 'complete' },
    open: { kind: 'pending', where: 'open' },
  },
  {
    what: 'a delivery left by a delay topic',
    ledger: (offset) => ledgerRecord(offset, { unfinished: [unfinished()] }),
    committed: { kind: 'retrying' },
    open: { kind: 'pending', where: 'open' },
  },
  {
    what: 'a delivery was tried, and nothing follows',
    ledger: (offset) => ledgerRecord(offset, { unfinished: [unfinished({ hasLeft: false })] }),
    committed: { kind: 'missing', why: 'no_end' },
    open: { kind: 'pending', where: 'open' },
  },
  {
    what: 'all deliveries that have a row ended, and one has none',
    ledger: (offset) => ledgerRecord(offset, { absent: 1 }),
    committed: { kind: 'missing', why: 'no_delivery' },
    open: { kind: 'pending', where: 'open' },
  },
  {
    what: 'one delivery left, of another there is no row',
    ledger: (offset) => ledgerRecord(offset, { absent: 1, unfinished: [unfinished()] }),
    committed: { kind: 'missing', why: 'no_delivery' },
    open: { kind: 'pending', where: 'open' },
  },
  {
    what: 'one delivery left, of another nothing follows',
    ledger: (offset) =>
      ledgerRecord(offset, { unfinished: [unfinished(), unfinished({ deliveryId: 'b', hasLeft: false })] }),
    committed: { kind: 'missing', why: 'no_end' },
    open: { kind: 'pending', where: 'open' },
  },
];

function holds({ standingOf }: Module): void {
  fc.assert(
    fc.property(
      fc.integer({ min: -1, max: 20 }),
      fc.nat(20),
      fc.boolean(),
      fc.boolean(),
      fc.constantFrom(...cases),
      (committed, offset, isOnKafka, isLedgerWhole, { ledger, committed: below, open }) => {
        const place = { offset, isOnKafka, ledger: ledger(offset) };
        const settled = below.kind === 'missing' && !isLedgerWhole ? IN_OVERFLOW : below;
        expect(standingOf(place, { committed, isLedgerWhole })).toEqual(offset < committed ? settled : open);
      },
    ),
    { seed: 1, numRuns: 500 },
  );
}

test('a record is missing only below the committed offset, and complete only when all of it ended', () => {
  holds(standing);
});

test.each([
  ['the committed offset taken for the last one done', 'offset < committed', 'offset <= committed'],
  ['the overflow forgotten', 'if (!isLedgerWhole)', 'if (offset < 0)'],
  [
    'what left taken for missing',
    'if (ledger.unfinished.every(',
    'if (offset < 0 && ledger.unfinished.every(',
  ],
  ['one delivery that left excuses the others', 'ledger.unfinished.every(', 'ledger.unfinished.some('],
  ['a delivery without a row overlooked', 'ledger.absent === 0', 'ledger.absent < 9'],
  ['an open delivery overlooked', 'ledger.unfinished.length === 0', 'ledger.unfinished.length < 9'],
])('%s is noticed', async (_what, from, to) => {
  const bug = await variantOf<Module>('reconcile/standing.ts', [from, to]);
  expect(() => {
    holds(bug);
  }).toThrow();
});

describe('a repeated delivery', () => {
  const twice: RepeatedDelivery = {
    deliveryId: 'dlv_1',
    destinationId: 'crm',
    delivered: 2,
    redrives: 0,
    places: 1,
    processes: 1,
  };
  test.each([
    [{}, 'lane_restart'],
    [{ processes: 2 }, 'owner_change'],
    [{ processes: 2, places: 2 }, 'hand_over'],
    [{ processes: 2, places: 2, redrives: 1 }, 'redrive'],
  ] as const)('with %j fell into the window %s', (change, window) => {
    expect(standing.windowOf({ ...twice, ...change })).toBe(window);
  });
});
