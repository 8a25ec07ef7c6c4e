/** Proves which events of a partition are told to have been seen: a first record, lately, near the committed offset. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { recoverSeenEvents, type SeenEventsParts } from '../../src/app/seen-events.ts';
import type { TopicPartitionOffset } from '../../src/domain/record.ts';
import { hashEvent, type EventHash } from '../../src/duplicates/seen-events.ts';
import type { Ledger } from '../../src/ledger/client.ts';
import type { AttemptRow, RecordColumns } from '../../src/ledger/rows.ts';
import { attemptBytes, TIME_MS } from '../ledger/sample-rows.ts';
import { migratedLedger } from '../support/ledger.ts';

const HOUR_MS = 3_600_000;

let ledger: Ledger;
beforeAll(async () => {
  ledger = await migratedLedger({ database: 'seeing' });
});
afterAll(() => ledger.close());

let inserts = 0;
async function insert(record: Partial<RecordColumns>, row: Partial<AttemptRow> = {}): Promise<void> {
  const bytes = attemptBytes([
    { record: { topic: 'events', partition: 3, ...record }, row: { attemptedAtMs: TIME_MS, ...row } },
  ]);
  await ledger.insert('attempts', [bytes], (++inserts).toString(16).padStart(32, '0'));
}

/** What was seen, as `tenant event@offset age`, oldest first, of each partition that was asked for. */
async function seen(
  committed: readonly TopicPartitionOffset[],
  change: Partial<SeenEventsParts> = {},
): Promise<(string[] | undefined)[]> {
  const parts: SeenEventsParts = {
    consumer: { committed: () => Promise.resolve(committed) },
    ledger,
    duplicates: { windowMs: HOUR_MS, maxRemembered: 1_000 },
    isDelayTopic: (topic) => topic.startsWith('retry'),
    onLedgerSkipped: null,
    nowMs: TIME_MS + 1_000,
    ...change,
  };
  const found = await recoverSeenEvents(parts, committed);
  return found.map(({ seen: numbers }) => numbers && texts(numbers));
}

function texts(numbers: Float64Array): string[] {
  const known = new Map<string, string>();
  const hash: EventHash = { low: 0, high: 0 };
  for (const tenant of ['t', 'u']) {
    for (const id of ['a', 'b', 'c', 'd', 'e', 'f']) {
      hashEvent(tenant, id, hash);
      known.set(`${hash.low} ${hash.high}`, `${tenant} ${id}`);
    }
  }
  const found: string[] = [];
  for (let i = 0; i < numbers.length; i += 4) {
    const [low, high, offset, ageMs] = numbers.subarray(i, i + 4);
    found.push(`${known.get(`${low} ${high}`)}@${offset} ${ageMs}`);
  }
  return found;
}

test('each event of a first record once, by its earliest offset, oldest first', async () => {
  await insert({ tenant: 't', eventId: 'a', offset: 10 }, { attemptedAtMs: TIME_MS - 5_000 });
  await insert({ tenant: 't', eventId: 'a', offset: 10 }, { outcome: 'retrying' });
  await insert({ tenant: 'u', eventId: 'a', offset: 11 }, { outcome: 'filtered' });
  await insert({ tenant: 't', eventId: 'a', offset: 12 }, { outcome: 'duplicate' });
  await insert({ tenant: 't', eventId: 'b', offset: 13 }, { attemptedAtMs: TIME_MS - 2 * HOUR_MS });
  await insert({ tenant: 't', eventId: 'c', offset: 14 }, { retryTopic: 'retry.1s', retryOffset: 1 });
  await insert({ tenant: '', eventId: '', offset: 15 }, { outcome: 'invalid' });
  await insert({ tenant: 't', eventId: 'd', offset: 16, partition: 4 }, { attemptedAtMs: TIME_MS - 1 });
  await insert({ tenant: 't', eventId: 'e', offset: 17, topic: 'others' });
  const places = [
    { topic: 'events', partition: 3, offset: 20 },
    { topic: 'retry.1s', partition: 3, offset: 0 },
    { topic: 'events', partition: 4, offset: -1 },
    { topic: 'events', partition: 5, offset: 0 },
  ];
  expect(await seen(places)).toEqual([['t a@10 6000', 'u a@11 1000'], undefined, ['t d@16 1001'], []]);
});

test('no more than may be remembered, the newest, and none of offsets further back', async () => {
  for (const [i, eventId] of ['a', 'b', 'c', 'd'].entries()) {
    await insert({ topic: 'many', tenant: 't', eventId, offset: i }, { attemptedAtMs: TIME_MS + i });
  }
  const duplicates = { windowMs: HOUR_MS, maxRemembered: 2 };
  const [near] = await seen([{ topic: 'many', partition: 3, offset: 0 }], { duplicates });
  expect(near).toEqual(['t c@2 998', 't d@3 997']);
  const [far] = await seen([{ topic: 'many', partition: 3, offset: 5 }], { duplicates });
  expect(far).toEqual(['t d@3 997']);
});

test('a ledger that does not answer is waited for, or done without', async () => {
  const place = { topic: 'events', partition: 3, offset: 20 };
  const silent = { query: () => Promise.reject(new Error('silent')) };
  await expect(seen([place], { ledger: silent })).rejects.toThrow('silent');
  const skipped: unknown[] = [];
  expect(await seen([place], { ledger: silent, onLedgerSkipped: (error) => skipped.push(error) })).toEqual([
    undefined,
  ]);
  expect(skipped).toHaveLength(1);
  expect(await seen([place], { ledger: silent, duplicates: null })).toEqual([undefined]);
});
