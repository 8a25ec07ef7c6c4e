/** Proves that what is read of the overflow is all that is not drained, and of it what recovery asks for. */
import { expect, test } from 'vitest';
import type { SourceRecord } from '../../src/domain/record.ts';
import { columnNames } from '../../src/ledger/columns.ts';
import { overflowHeaders } from '../../src/overflow/overflow-record.ts';
import { readUndrained } from '../../src/overflow/undrained.ts';
import { attemptBytes, eventBytes } from '../ledger/sample-rows.ts';

function recordOf(partition: number, offset: number, table: string, bytes: Uint8Array): SourceRecord {
  const columns = columnNames(table as 'attempts' | 'events');
  return {
    topic: 'overflow',
    partition,
    offset,
    value: Buffer.from(bytes),
    headers: overflowHeaders({ table, token: 'ff', rows: 1, columns }).map(([name, value]) => ({
      [name]: Buffer.from(value),
    })),
  };
}

function attempt(partition: number, at: number, offset: number, deliveryId: string): SourceRecord {
  const row = { record: { topic: 't', partition: 0, offset }, row: { deliveryId } };
  return recordOf(partition, at, 'attempts', attemptBytes([row]));
}

test('every partition, from what the drainers have committed to its end', async () => {
  const topic: SourceRecord[][] = [
    [attempt(0, 0, 5, 'drained'), attempt(0, 1, 6, 'waits'), recordOf(0, 2, 'events', eventBytes([{}]))],
    [],
    [attempt(2, 0, 7, 'deleted'), attempt(2, 1, 7, 'never drained'), attempt(2, 2, 3, 'committed long ago')],
  ];
  const spans: string[] = [];
  const { held, records } = await readUndrained(
    {
      partitions: () => Promise.resolve(3),
      committed: () => Promise.resolve([1, -1, -1]),
      bounds: (_, partition) =>
        Promise.resolve({ partition, from: partition === 2 ? 1 : 0, end: topic[partition]?.length ?? 0 }),
      read: async (_, { partition, from, end }, onRecords) => {
        spans.push(`${partition}: ${from}…${end}`);
        for (const record of topic[partition]?.slice(from, end) ?? []) await onRecords([record]);
      },
    },
    'overflow',
    [{ topic: 't', partition: 0, offset: 4 }],
    10,
  );
  expect(spans).toEqual(['0: 1…3', '1: 0…0', '2: 1…3']);
  expect(records).toBe(4);
  expect([...held.of({ topic: 't', partition: 0 })]).toEqual([
    [6, new Set(['waits'])],
    [7, new Set(['never drained'])],
  ]);
  expect(held.of({ topic: 't', partition: 1 }).size).toBe(0);
});
