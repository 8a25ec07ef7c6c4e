/** Proves that rows in the overflow are asked the same question as rows in the ledger, and answer the same. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { columnNames } from '../../src/ledger/columns.ts';
import { HeldDeliveries } from '../../src/overflow/held-deliveries.ts';
import { attemptBytes } from '../ledger/sample-rows.ts';

const columns = columnNames('attempts');

test('of a source partition: delivered or handed over, from the offset asked for, and not what its retries tell', () => {
  const held = new HeldDeliveries(
    [
      { topic: 'events', partition: 3, offset: 10 },
      { topic: 'retry.1s', partition: 3, offset: 70 },
    ],
    100,
  );
  const at = (offset: number, partition = 3) => ({ topic: 'events', partition, offset });
  const retry = { retryTopic: 'retry.1s', retryPartition: 3 };
  held.add(
    attemptBytes([
      { record: at(9), row: { deliveryId: 'before' } },
      { record: at(10), row: { deliveryId: 'delivered' } },
      {
        record: at(10),
        row: { deliveryId: 'retried', outcome: 'retrying', isFinal: false, handOver: 'retry' },
      },
      { record: at(11), row: { deliveryId: 'in lane', outcome: 'retrying', isFinal: false } },
      { record: at(11), row: { deliveryId: 'expired', outcome: 'expired' } },
      { record: at(12, 4), row: { deliveryId: 'elsewhere' } },
      { record: at(13), row: { deliveryId: 'by its retry', ...retry, retryOffset: 70 } },
      { record: at(13), row: { deliveryId: 'before', ...retry, retryOffset: 69 } },
    ]),
    columns,
  );
  expect([...held.of({ topic: 'events', partition: 3 })]).toEqual([
    [10, new Set(['delivered', 'retried'])],
    [11, new Set(['expired'])],
  ]);
  expect([...held.of({ topic: 'retry.1s', partition: 3 })]).toEqual([[70, new Set(['by its retry'])]]);
});

test('memory is bounded, and one more than the bound tells that there were more', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 0, max: 40 }), (maxOffsets, rows) => {
      const held = new HeldDeliveries([{ topic: 't', partition: 0, offset: 0 }], maxOffsets);
      const samples = Array.from({ length: rows }, (_, offset) => ({
        record: { topic: 't', partition: 0, offset },
      }));
      held.add(attemptBytes(samples), columns);
      expect(held.of({ topic: 't', partition: 0 }).size).toBe(Math.min(rows, maxOffsets + 1));
    }),
  );
});
