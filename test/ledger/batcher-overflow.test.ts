/** Proves when batches leave by the overflow: at a bound, the oldest first, and not for a short gap. */
import { describe, expect, test } from 'vitest';
import { LedgerBatcher } from '../../src/ledger/batcher.ts';
import { LedgerError } from '../../src/ledger/errors.ts';
import { settle, SimulatedTime } from './simulated-time.ts';

const AFTER_AGE_MS = 5_000;

function setUp({ maxPartBytes = 1_000, batchMaxRows = 10 } = {}) {
  const time = new SimulatedTime();
  const inserted: string[] = [];
  const overflow: string[] = [];
  const durable: number[] = [];
  const diversions: boolean[] = [];
  const ledger = { isUp: false, hangs: false };
  const batcher = new LedgerBatcher({
    sink: {
      insert: (_, pieces) => {
        if (ledger.hangs) return new Promise(() => undefined);
        if (!ledger.isUp) return Promise.reject(new LedgerError('ECONNREFUSED', 'retryable', null, null));
        inserted.push(Buffer.concat(pieces).toString());
        return Promise.resolve();
      },
    },
    bounds: { batchMaxRows, batchMaxBytes: 1e6, batchMaxAgeMs: 100 },
    overflow: {
      to: {
        put: ({ pieces }) => {
          overflow.push(Buffer.concat(pieces).toString());
          return Promise.resolve();
        },
      },
      afterRows: 30,
      afterBytes: 500,
      afterAgeMs: AFTER_AGE_MS,
      maxPartBytes,
    },
    clock: time,
    timers: time,
    random: () => 0,
    onDurable: (records) => durable.push(records[1] as number),
    onDiverting: (isDiverting) => diversions.push(isDiverting),
  });
  let sequence = 0;
  const add = (rows: number, text = 'r'): void => {
    batcher.add({
      attempts: Buffer.from(`${text}\n`.repeat(rows)),
      attemptRows: rows,
      events: null,
      eventRows: 0,
      records: Uint32Array.of(1, sequence++),
    });
  };
  return { time, batcher, ledger, inserted, overflow, durable, diversions, add };
}

describe('batches leave by the overflow', () => {
  test('when so many rows wait, the oldest first', async () => {
    const { add, overflow, durable, batcher, diversions } = setUp();
    add(10, 'a');
    add(10, 'b');
    add(9, 'c');
    await settle();
    expect(overflow).toEqual([]);
    add(1, 'd');
    await settle();
    expect(overflow.map((rows) => rows[0])).toEqual(['a', 'b', 'c']);
    expect(durable).toEqual([0, 1, 2, 3]);
    expect(diversions).toEqual([true]);
    expect([batcher.pendingRows, batcher.pendingBytes]).toEqual([0, 0]);
    expect(batcher.health()).toMatchObject({ state: 'retrying', isDiverting: true });
    batcher.stop();
  });

  test('when so many bytes wait', async () => {
    const { add, overflow, batcher } = setUp();
    add(10, 'x'.repeat(48));
    await settle();
    expect(overflow).toEqual([]);
    add(1, 'x'.repeat(48));
    await settle();
    expect(overflow).toHaveLength(1);
    batcher.stop();
  });

  test('when the oldest row waits for so long, also for an insert that is never answered', async () => {
    const { time, add, overflow, ledger, batcher } = setUp();
    ledger.hangs = true;
    add(1);
    await time.advance(AFTER_AGE_MS - 1);
    expect(overflow).toEqual([]);
    await time.advance(1);
    expect(overflow).toHaveLength(1);
    batcher.stop();
    expect(time.timers).toBe(0);
  });

  test('and not for a gap shorter than that', async () => {
    const { time, add, overflow, inserted, ledger, batcher } = setUp();
    add(1);
    await time.advance(2_000);
    ledger.isUp = true;
    await time.advance(AFTER_AGE_MS);
    expect([overflow.length, inserted.length]).toEqual([0, 1]);
    expect(batcher.health().state).toBe('ok');
    expect(time.timers).toBe(0);
  });

  test('until the ledger takes one again', async () => {
    const { time, add, overflow, inserted, ledger, diversions, batcher } = setUp();
    add(1);
    await time.advance(AFTER_AGE_MS);
    ledger.isUp = true;
    for (let i = 0; i < 100; i++) {
      add(1);
      await time.advance(100);
    }
    expect(diversions).toEqual([true, false]);
    expect(overflow.length + inserted.length).toBe(101);
    expect(overflow.length).toBeLessThan(20);
    await time.advance(AFTER_AGE_MS);
    expect(time.timers).toBe(0);
    batcher.stop();
  });
});

test('a batch larger than a record of the overflow is cut into whole rows before it is sent anywhere', async () => {
  const { add, overflow, batcher } = setUp({ maxPartBytes: 7 });
  for (const text of ['aa', 'bb', 'cc']) add(10, text);
  await settle();
  expect(overflow.join('')).toBe('aa\n'.repeat(10) + 'bb\n'.repeat(10) + 'cc\n'.repeat(10));
  expect(new Set(overflow.map((rows) => rows.length))).toEqual(new Set([6]));
  batcher.stop();
});
