/**
 * Proves that a partition taken over skips what the ledger knows to be delivered or
 * handed over, and nothing else: one delivery too many skipped is one lost.
 */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { recoverDeliveries } from '../../src/app/recovery.ts';
import type { Recovered, TopicPartition, TopicPartitionOffset } from '../../src/domain/record.ts';
import type { Ledger } from '../../src/ledger/client.ts';
import { columnNames } from '../../src/ledger/columns.ts';
import type { AttemptRow } from '../../src/ledger/rows.ts';
import { HeldDeliveries } from '../../src/overflow/held-deliveries.ts';
import { attemptBytes } from '../ledger/sample-rows.ts';
import { migratedLedger } from '../support/ledger.ts';

let ledger: Ledger;
beforeAll(async () => {
  ledger = await migratedLedger({ database: 'recovering' });
});
afterAll(() => ledger.close());

let inserts = 0;
async function insert(topic: string, offset: number, given: Partial<AttemptRow>): Promise<void> {
  const isFinal = given.outcome !== 'retrying' && given.outcome !== 'breaker_open';
  const row = { isFinal, ...given };
  const bytes = attemptBytes([{ record: { topic, partition: 3, offset }, row }]);
  await ledger.insert('attempts', [bytes], (++inserts).toString(16).padStart(32, '0'));
}

async function recover(topic: string, committed: number): Promise<Record<number, string[]>> {
  const partitions: TopicPartition[] = [{ topic, partition: 3 }];
  const [recovered] = await recoverDeliveries(
    {
      consumer: { committed: () => Promise.resolve([{ topic, partition: 3, offset: committed }]) },
      ledger,
      undrained: null,
      isDelayTopic: (name) => name.startsWith('retry'),
      onLedgerSkipped: null,
    },
    partitions,
  );
  const { deliveryIds } = recovered as Recovered;
  return Object.fromEntries([...deliveryIds].map(([offset, ids]) => [offset, [...ids].toSorted()]));
}

test('of a source partition: ended or handed over, from the committed offset on', async () => {
  await insert('events', 9, { deliveryId: 'before', outcome: 'delivered' });
  await insert('events', 10, { deliveryId: 'delivered', outcome: 'delivered' });
  await insert('events', 10, { deliveryId: 'retried', outcome: 'retrying', handOver: 'retry' });
  await insert('events', 11, { deliveryId: 'dead', outcome: 'dead', handOver: 'dead_letter' });
  await insert('events', 12, { deliveryId: 'in-lane', outcome: 'retrying' });
  await insert('events', 13, { deliveryId: 'expired', outcome: 'expired' });
  await insert('events', 14, { deliveryId: '', outcome: 'filtered' });
  await insert('other', 12, { deliveryId: 'other', outcome: 'delivered' });
  expect(await recover('events', 10)).toEqual({
    10: ['delivered', 'retried'],
    11: ['dead'],
    13: ['expired'],
    14: [''],
  });
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

describe('many partitions at once', () => {
  const NOWHERE = new Error('ECONNREFUSED');
  const columns = columnNames('attempts');
  const consumerAt = (places: readonly TopicPartitionOffset[]) => ({
    committed: () => Promise.resolve(places.map((place) => ({ ...place }))),
  });
  const isDelayTopic = (name: string): boolean => name.startsWith('retry');
  const plain = (recovered: readonly Recovered[]): unknown =>
    recovered.map(({ deliveryIds }) =>
      [...deliveryIds].map(([offset, ids]) => [offset, [...ids].toSorted()]).toSorted(),
    );

  const anyRow = fc.record({
    topic: fc.constantFrom('a', 'b'),
    partition: fc.nat(2),
    offset: fc.nat(6),
    deliveryId: fc.constantFrom('d1', 'd2', 'd3'),
    outcome: fc.constantFrom('delivered' as const, 'retrying' as const, 'dead' as const),
    isFinal: fc.boolean(),
    handOver: fc.constantFrom('', 'retry', 'dead_letter'),
    retryTopic: fc.constantFrom('', '', 'retry.1s'),
    retryPartition: fc.nat(2),
    retryOffset: fc.nat(6),
    isInLedger: fc.boolean(),
  });

  test('the ledger and the overflow answer as one, whichever of them has a row', async () => {
    let runs = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(anyRow, { maxLength: 40 }),
        fc.array(fc.nat(5), { minLength: 9, maxLength: 9 }),
        async (rows, offsets) => {
          const run = `run${runs++}-`;
          const places = ['a', 'b', 'retry.1s'].flatMap((topic, t) =>
            [0, 1, 2].map((partition) => ({
              topic: topic.startsWith('retry') ? `retry-${run}${topic}` : run + topic,
              partition,
              offset: offsets[3 * t + partition] ?? 0,
            })),
          );
          const samples = rows.map(({ topic, partition, offset, isInLedger, ...row }) => ({
            isInLedger,
            record: { topic: run + topic, partition, offset },
            row: { ...row, retryTopic: row.retryTopic === '' ? '' : `retry-${run}${row.retryTopic}` },
          }));
          const ask = (
            inLedger: readonly (typeof samples)[number][],
            undrained: ((of: readonly TopicPartitionOffset[]) => Promise<HeldDeliveries>) | null,
          ): Promise<Recovered[]> =>
            recoverDeliveries(
              {
                consumer: consumerAt(places),
                ledger: {
                  query: (sql, params) =>
                    inLedger.length === 0 ? Promise.resolve([]) : ledger.query(sql, params),
                },
                undrained,
                isDelayTopic,
                onLedgerSkipped: null,
              },
              places,
            );
          const stored = samples.filter(({ isInLedger }) => isInLedger);
          const waiting = samples.filter(({ isInLedger }) => !isInLedger);
          if (stored.length > 0)
            await ledger.insert(
              'attempts',
              [attemptBytes(stored)],
              (++inserts).toString(16).padStart(32, '0'),
            );
          const answer = await ask(stored, (of) => {
            const held = new HeldDeliveries(of, 100);
            held.add(attemptBytes(waiting), columns);
            return Promise.resolve(held);
          });
          const all = await ask([], (of) => {
            const held = new HeldDeliveries(of, 100);
            held.add(attemptBytes(samples), columns);
            return Promise.resolve(held);
          });
          expect(plain(answer)).toEqual(plain(all));
        },
      ),
      { numRuns: 40 },
    );
  });

  test('the overflow is read before the ledger is asked: what is drained between is in both answers', async () => {
    const order: string[] = [];
    await recoverDeliveries(
      {
        consumer: consumerAt([{ topic: 'a', partition: 0, offset: 4 }]),
        ledger: {
          query: () => {
            order.push('ledger');
            return Promise.resolve([]);
          },
        },
        undrained: async (places) => {
          await Promise.resolve();
          order.push(`overflow from ${places[0]?.offset}`);
          return new HeldDeliveries(places, 1);
        },
        isDelayTopic,
        onLedgerSkipped: null,
      },
      [{ topic: 'a', partition: 0 }],
    );
    expect(order).toEqual(['overflow from 4', 'ledger']);
  });

  test('one question per topic, a few at a time', async () => {
    let running = 0;
    let most = 0;
    let asked = 0;
    const partitions = Array.from({ length: 9 * 12 }, (_, i) => ({
      topic: `t${i % 9}`,
      partition: Math.floor(i / 9),
    }));
    const recovered = await recoverDeliveries(
      {
        consumer: consumerAt([]),
        ledger: {
          query: async () => {
            asked++;
            most = Math.max(most, ++running);
            await new Promise((resolve) => setImmediate(resolve));
            running--;
            return [];
          },
        },
        undrained: null,
        isDelayTopic,
        onLedgerSkipped: null,
      },
      partitions,
    );
    expect([asked, recovered.length]).toEqual([9, 108]);
    expect(most).toBeLessThanOrEqual(4);
  });

  test('a ledger that does not answer rejects; or is skipped where that is allowed, the overflow not', async () => {
    const skipped: unknown[] = [];
    const places = [{ topic: 'events', partition: 3, offset: 0 }];
    const held = new HeldDeliveries(places, 10);
    held.add(
      attemptBytes([{ record: { topic: 'events', partition: 3, offset: 8 }, row: { deliveryId: 'd' } }]),
      columns,
    );
    const ask = (onLedgerSkipped: ((error: unknown) => void) | null): Promise<Recovered[]> =>
      recoverDeliveries(
        {
          consumer: consumerAt(places),
          ledger: { query: () => Promise.reject(NOWHERE) },
          undrained: () => Promise.resolve(held),
          isDelayTopic,
          onLedgerSkipped,
        },
        places,
      );
    await expect(ask(null)).rejects.toBe(NOWHERE);
    expect(plain(await ask((error) => skipped.push(error)))).toEqual([[[8, ['d']]]]);
    expect(skipped).toEqual([NOWHERE]);
  });
});
