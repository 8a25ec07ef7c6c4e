/** Proves on a real engine what the ledger's rows say of a record: which deliveries ended, left, or ended twice. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ledgerRecords } from '../../../src/cli/reconcile/ledger-records.ts';
import type { Ledger } from '../../../src/ledger/client.ts';
import type { AttemptRow, EventRow, RecordColumns } from '../../../src/ledger/rows.ts';
import type { LedgerRecord } from '../../../src/reconcile/standing.ts';
import { attemptBytes, eventBytes, TIME_MS, type Sample } from '../../ledger/sample-rows.ts';
import { migratedLedger } from '../../support/ledger.ts';

const TOPIC = 'contacts';
let ledger: Ledger;
let records: readonly LedgerRecord[];

type Row = Partial<AttemptRow> & Pick<Partial<RecordColumns>, 'instance'>;

const retrying: Row = { outcome: 'retrying', isFinal: false, status: 503, handOver: 'retry' };
const again: Row = { attempt: 2, retryTopic: 'retry.1s', retryPartition: 3, retryOffset: 7 };
const dead: Row = { outcome: 'dead', status: 503, handOver: 'dead_letter' };
const mark: Row = { attempt: 0, status: 0, retryTopic: 'dead', retryPartition: 0, retryOffset: 1 };

/** Rows by the offset of their record. */
const ROWS: Readonly<Record<number, readonly Row[]>> = {
  1: [{}],
  2: [retrying],
  3: [retrying, again],
  4: [{ outcome: 'retrying', isFinal: false }],
  5: [{ outcome: 'filtered', deliveryId: '', destinationId: '', status: 0 }],
  6: [{}, { deliveryId: 'dlv_2', destinationId: 'billing', ...retrying }],
  7: [{}, { instance: 'host-2' }],
  8: [{}, again],
  9: [dead, { ...mark, outcome: 'redriven', isFinal: false }],
  10: [dead, { ...mark, outcome: 'redriven', isFinal: false }, again],
  11: [dead, { ...mark, outcome: 'dropped' }],
  12: [dead, dead],
  13: [{ ...retrying, ambiguous: true }, again],
  14: [{ outcome: 'breaker_open', isFinal: false, handOver: 'retry', attempt: 0 }],
  15: [{}, { deliveryId: 'dlv_2', destinationId: 'billing' }],
  16: [{}],
  17: [{}],
  18: [{}, { outcome: 'dead', deliveryId: '', destinationId: '', reason: 'worker_crash' }],
  19: [{}, { outcome: 'dead', deliveryId: 'part 1 of 2', destinationId: '', reason: 'worker_crash' }],
};
/** How many deliveries their events were to have, by each row in `events`; those of other records were not told. */
const EXPECTED: Readonly<Record<number, readonly number[]>> = {
  6: [2],
  8: [1],
  15: [3],
  16: [3, 1],
  17: [3, 2],
  18: [2],
  19: [4],
};

beforeAll(async () => {
  ledger = await migratedLedger();
  const samples = Object.entries(ROWS).flatMap(([offset, rows]) =>
    rows.map(({ instance = 'host-1', ...row }, index) => ({
      record: { topic: TOPIC, partition: 3, offset: Number(offset), instance },
      row: { attemptedAtMs: TIME_MS + index, ...row },
    })),
  );
  const others = [
    { record: { topic: TOPIC, partition: 4, offset: 1 }, row: {} },
    { record: { topic: 'others', partition: 3, offset: 1 }, row: {} },
    { record: { topic: TOPIC, partition: 3, offset: 99 }, row: {} },
    { record: { topic: TOPIC, partition: 3, offset: 0 }, row: {} },
  ];
  await ledger.insert('attempts', [attemptBytes([...samples, ...others])], 'abcdef0123456789');
  const events: Sample<EventRow>[] = Object.entries(EXPECTED).flatMap(([offset, counts]) =>
    counts.map((deliveries, month) => ({
      record: { topic: TOPIC, partition: 3, offset: Number(offset) },
      // Rows of one record that came in different months are not merged.
      row: { deliveries, ingestedAtMs: TIME_MS + month * 40 * 86_400_000 },
    })),
  );
  const elsewhere = { record: { topic: 'others', partition: 3, offset: 1 }, row: { deliveries: 9 } };
  await ledger.insert('events', [eventBytes([...events, elsewhere])], 'abcdef0123456789');
  records = await ledgerRecords(ledger, TOPIC, { partition: 3, from: 1, end: 99 });
});
afterAll(() => ledger.close());

test('the records of the span alone, in the order of their offsets', () => {
  expect(records.map(({ offset }) => offset)).toEqual(Object.keys(ROWS).map(Number));
  expect(records[0]).toMatchObject({ tenant: 'tenant-1', eventId: 'evt_1', deliveries: 1 });
});

test.each([1, 3, 5, 7, 8, 10, 11, 12, 13, 15, 16, 17, 18, 19])(
  'record %i has no unfinished delivery',
  (offset) => {
    expect(recordAt(offset).unfinished).toEqual([]);
  },
);

test.each([
  [2, { deliveryId: 'dlv_1', destinationId: 'crm-webhook', rows: 1, hasLeft: true }],
  [4, { deliveryId: 'dlv_1', destinationId: 'crm-webhook', rows: 1, hasLeft: false }],
  [6, { deliveryId: 'dlv_2', destinationId: 'billing', rows: 1, hasLeft: true }],
  [9, { deliveryId: 'dlv_1', destinationId: 'crm-webhook', rows: 2, hasLeft: true }],
  [14, { deliveryId: 'dlv_1', destinationId: 'crm-webhook', rows: 1, hasLeft: true }],
])('record %i has one unfinished delivery', (offset, delivery) => {
  expect(recordAt(offset).unfinished).toEqual([delivery]);
});

describe('repeated', () => {
  test.each([
    [7, { delivered: 2, redrives: 0, places: 1, processes: 2 }],
    [8, { delivered: 2, redrives: 0, places: 2, processes: 1 }],
    [12, { delivered: 0, redrives: 0, places: 0, processes: 0 }],
  ])('is record %i', (offset, delivery) => {
    expect(recordAt(offset).repeated).toEqual([
      { deliveryId: 'dlv_1', destinationId: 'crm-webhook', ...delivery },
    ]);
  });

  test('is no other, a redriven or dropped one least of all', () => {
    const repeated = records.filter((record) => record.repeated.length > 0);
    expect(repeated.map(({ offset }) => offset)).toEqual([7, 8, 12]);
  });
});

test('a delivery that may have arrived before it was delivered is counted as such', () => {
  expect(records.filter(({ maybeTwice }) => maybeTwice > 0).map(({ offset }) => offset)).toEqual([13]);
});

test('counts the deliveries of a record', () => {
  expect(recordAt(6).deliveries).toBe(2);
});

test('deliveries that an event was to have each time it was read, and has no row of, are absent', () => {
  const absent = records
    .filter((record) => record.absent > 0)
    .map(({ offset, absent: count }) => [offset, count]);
  expect(absent).toEqual([
    [15, 1],
    [17, 1],
  ]);
});

function recordAt(offset: number): LedgerRecord {
  return records.find((record) => record.offset === offset)!;
}
