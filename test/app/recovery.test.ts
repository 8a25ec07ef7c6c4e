/**
 * Proves that a partition taken over skips what the ledger knows to be delivered or
 * handed over, and nothing else: one delivery too many skipped is one lost.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { recoverDeliveries } from '../../src/app/recovery.ts';
import type { Recovered, TopicPartition } from '../../src/domain/record.ts';
import { openLedger, type Ledger } from '../../src/ledger/client.ts';
import type { AttemptRow } from '../../src/ledger/rows.ts';
import { attemptBytes } from '../ledger/sample-rows.ts';

let ledger: Ledger;
beforeAll(async () => {
  ledger = await openLedger({
    url: null,
    username: 'default',
    password: '',
    database: 'recovering',
    embeddedPath: null,
    requestTimeoutMs: 30_000,
  });
  await ledger.migrate();
});
afterAll(() => ledger.close());

let inserts = 0;
async function insert(topic: string, offset: number, row: Partial<AttemptRow>): Promise<void> {
  const bytes = attemptBytes([{ record: { topic, partition: 3, offset }, row }]);
  await ledger.insert('attempts', [bytes], (++inserts).toString(16).padStart(32, '0'));
}

async function recover(topic: string, committed: number): Promise<Record<number, string[]>> {
  const partitions: TopicPartition[] = [{ topic, partition: 3 }];
  const [recovered] = await recoverDeliveries(
    { committed: () => Promise.resolve([{ topic, partition: 3, offset: committed }]) },
    ledger,
    partitions,
    (name) => name.startsWith('retry'),
  );
  const { deliveryIds, lastOffset } = recovered as Recovered;
  const offsets = [...deliveryIds.keys()];
  expect(lastOffset).toBe(Math.max(-1, ...offsets));
  return Object.fromEntries([...deliveryIds].map(([offset, ids]) => [offset, [...ids].toSorted()]));
}

test('of a source partition: delivered or handed over, from the committed offset on', async () => {
  await insert('events', 9, { deliveryId: 'before', outcome: 'delivered' });
  await insert('events', 10, { deliveryId: 'delivered', outcome: 'delivered' });
  await insert('events', 10, { deliveryId: 'retried', outcome: 'retrying', handOver: 'retry' });
  await insert('events', 11, { deliveryId: 'dead', outcome: 'dead', handOver: 'dead_letter' });
  await insert('events', 12, { deliveryId: 'in-lane', outcome: 'retrying' });
  await insert('other', 12, { deliveryId: 'other', outcome: 'delivered' });
  expect(await recover('events', 10)).toEqual({ 10: ['delivered', 'retried'], 11: ['dead'] });
});

test('of a source partition: not what only its retries tell, since their record is another one', async () => {
  const retry = { retryTopic: 'retry.1s', retryPartition: 3, retryOffset: 70 };
  await insert('again', 5, { deliveryId: 'first', outcome: 'retrying' });
  await insert('again', 5, { deliveryId: 'first', outcome: 'delivered', ...retry });
  expect(await recover('again', 0)).toEqual({});
});

test('of a delay topic’s partition: by the place of the retry record', async () => {
  const at = (retryOffset: number, retryPartition = 3): Partial<AttemptRow> => ({
    retryTopic: 'retry.5s',
    retryPartition,
    retryOffset,
  });
  await insert('events', 900, { deliveryId: 'before', outcome: 'delivered', ...at(19) });
  await insert('events', 901, { deliveryId: 'delivered', outcome: 'delivered', ...at(20) });
  await insert('events', 902, { deliveryId: 'again', outcome: 'breaker_open', handOver: 'retry', ...at(21) });
  await insert('events', 903, { deliveryId: 'local', outcome: 'retrying', ...at(22) });
  await insert('events', 904, { deliveryId: 'elsewhere', outcome: 'delivered', ...at(22, 4) });
  expect(await recover('retry.5s', 20)).toEqual({ 20: ['delivered'], 21: ['again'] });
});
