/** What is added becomes durable exactly once and in order, whatever the ledger answers; nothing is ever dropped. */
import { describe, expect, test } from 'vitest';
import type { LedgerSink, LedgerState } from '../../src/ledger/batch-sender.ts';
import { LedgerBatcher } from '../../src/ledger/batcher.ts';
import type { LedgerTable } from '../../src/ledger/columns.ts';
import {
  AGE_MS,
  BOUNDS,
  bytesOf,
  chunkOf,
  LONGEST_RETRY_MS,
  passing,
  refusing,
  textOf,
} from './batcher-parts.ts';
import { settle, SimulatedTime } from './simulated-time.ts';

interface Call {
  readonly table: LedgerTable;
  readonly bytes: string;
  readonly token: string;
  readonly atMs: number;
  succeed(): void;
  fail(error: Error): void;
}

/** A sink whose inserts wait for the test to answer them. */
class HeldSink implements LedgerSink {
  readonly calls: Call[] = [];
  readonly #time: SimulatedTime;

  constructor(time: SimulatedTime) {
    this.#time = time;
  }

  insert(table: LedgerTable, pieces: readonly Uint8Array[], token: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const atMs = this.#time.monotonicMs();
      this.calls.push({
        table,
        bytes: textOf(Buffer.concat(pieces)),
        token,
        atMs,
        succeed: resolve,
        fail: reject,
      });
    });
  }

  call(index: number): Call {
    const call = this.calls.at(index);
    if (call === undefined) throw new Error(`there is no insert ${index}`);
    return call;
  }
}

function setUp(overrides: Partial<typeof BOUNDS> = {}) {
  const time = new SimulatedTime();
  const sink = new HeldSink(time);
  const durable: number[][] = [];
  const states: LedgerState[] = [];
  const batcher = new LedgerBatcher({
    sink,
    bounds: { ...BOUNDS, ...overrides },
    clock: time,
    timers: time,
    random: () => 0,
    onDurable: (records) => durable.push([...records]),
    onState: (state) => states.push(state),
  });
  return { time, sink, batcher, durable, states };
}

describe('when a batch is frozen', () => {
  test('at its age, counted from its first chunk', async () => {
    const { time, sink, batcher } = setUp();
    batcher.add(chunkOf(1));
    await time.advance(AGE_MS - 1);
    batcher.add(chunkOf(1));
    expect(sink.calls).toHaveLength(0);
    await time.advance(1);
    expect(sink.calls).toHaveLength(1);
    expect(sink.call(0).bytes.match(/\n/g)).toHaveLength(2);
  });

  test('at its rows, those of both tables counted, and at its bytes', async () => {
    const byRows = setUp();
    byRows.batcher.add(chunkOf(4, 5));
    await settle();
    expect(byRows.sink.calls).toHaveLength(0);
    byRows.batcher.add(chunkOf(1));
    await settle();
    expect(byRows.sink.calls.map(({ table }) => table).sort()).toEqual(['attempts', 'events']);

    const byBytes = setUp({ batchMaxBytes: 8 });
    byBytes.batcher.add({ ...chunkOf(1), attempts: bytesOf('1234567\n') });
    await settle();
    expect(byBytes.sink.calls).toHaveLength(1);
  });

  test('a chunk larger than every bound goes whole', async () => {
    const { sink, batcher } = setUp();
    const chunk = chunkOf(1_000);
    batcher.add(chunk);
    await settle();
    expect(sink.calls.map(({ bytes }) => bytes)).toEqual([textOf(chunk.attempts as Uint8Array)]);
  });

  test('while one batch flies, younger chunks gather to one next batch, however old they get', async () => {
    const { time, sink, batcher } = setUp({ batchMaxRows: 100 });
    batcher.add(chunkOf(1));
    await time.advance(AGE_MS);
    for (let i = 0; i < 5; i++) {
      batcher.add(chunkOf(1));
      await time.advance(AGE_MS * 3);
    }
    expect(sink.calls).toHaveLength(1);
    sink.call(0).succeed();
    await settle();
    expect(sink.calls).toHaveLength(2);
    expect(sink.call(1).bytes.match(/\n/g)).toHaveLength(5);
  });
});

describe('while frozen batches wait', () => {
  test('the open one goes on gathering, however old it is', async () => {
    const { time, sink, batcher } = setUp();
    batcher.add(chunkOf(10));
    batcher.add(chunkOf(10));
    batcher.add(chunkOf(1));
    await time.advance(AGE_MS * 2);
    sink.call(0).succeed();
    await settle();
    batcher.add(chunkOf(1));
    sink.call(1).succeed();
    await settle();
    expect(sink.calls.map(({ bytes }) => bytes.split('\n').length - 1)).toEqual([10, 10, 2]);
  });
});

describe('what is durable', () => {
  test('records are told only when both tables have their rows', async () => {
    const { sink, batcher, durable } = setUp();
    batcher.add(chunkOf(5, 5, [7, 1, 7, 2]));
    await settle();
    sink.call(0).succeed();
    await settle();
    expect(durable).toEqual([]);
    sink.call(1).succeed();
    await settle();
    expect(durable).toEqual([[7, 1, 7, 2]]);
    expect(batcher.pendingRows).toBe(0);
    expect(batcher.pendingBytes).toBe(0);
  });

  test('a chunk without rows waits for those before it, and for nothing else', async () => {
    const { sink, batcher, durable } = setUp();
    batcher.add(chunkOf(0, 0, [1, 1]));
    expect(durable).toEqual([[1, 1]]);
    batcher.add(chunkOf(10, 0, [1, 2]));
    batcher.add(chunkOf(0, 0, [1, 3]));
    await settle();
    expect(durable).toEqual([[1, 1]]);
    sink.call(0).succeed();
    await settle();
    expect(durable).toEqual([
      [1, 1],
      [1, 2],
      [1, 3],
    ]);
  });

  test('a chunk with nothing in it is no reason for an insert', async () => {
    const { time, sink, batcher } = setUp();
    batcher.add(chunkOf(0, 0, []));
    await time.advance(AGE_MS * 2);
    expect(sink.calls).toHaveLength(0);
    expect(time.timers).toBe(0);
  });

  test('chunks added by the callback keep the order', async () => {
    const time = new SimulatedTime();
    const sink = new HeldSink(time);
    const durable: number[] = [];
    const batcher: LedgerBatcher = new LedgerBatcher({
      sink,
      bounds: BOUNDS,
      clock: time,
      timers: time,
      onDurable: ([, sequence]) => {
        durable.push(sequence as number);
        if (sequence === 1) batcher.add(chunkOf(0, 0, [1, 3]));
      },
    });
    batcher.add(chunkOf(1, 0, [1, 1]));
    batcher.add(chunkOf(9, 0, [1, 2]));
    await settle();
    sink.call(0).succeed();
    await settle();
    expect(durable).toEqual([1, 2, 3]);
  });
});

describe('when an insert fails', () => {
  test('the table that failed is sent again, with the same bytes and token, and the other one is not', async () => {
    const { time, sink, batcher, durable } = setUp();
    batcher.add(chunkOf(5, 5));
    await settle();
    const [events, attempts] = sink.calls as [Call, Call];
    expect([events.table, attempts.table]).toEqual(['events', 'attempts']);
    events.succeed();
    attempts.fail(passing());
    batcher.add(chunkOf(10, 0));
    await time.advance(LONGEST_RETRY_MS);
    expect(sink.calls).toHaveLength(3);
    const again = sink.call(2);
    expect([again.table, again.bytes, again.token]).toEqual(['attempts', attempts.bytes, attempts.token]);
    expect(durable).toEqual([]);
    again.succeed();
    await settle();
    expect(durable).toHaveLength(1);
  });

  test('the waits grow to the longest one and stay there', async () => {
    const { time, sink, batcher } = setUp();
    batcher.add(chunkOf(10));
    await settle();
    for (let i = 0; i < 12; i++) {
      sink.call(-1).fail(passing());
      await time.advance(LONGEST_RETRY_MS);
    }
    const waits = sink.calls.slice(1).map(({ atMs }, i) => atMs - LONGEST_RETRY_MS * i);
    expect(waits).toEqual([200, 400, 800, 1_600, 3_200, 6_400, 12_800, ...Array<number>(5).fill(15_000)]);
  });

  test('what a human must mend raises the alarm and is tried at the longest wait', async () => {
    const { time, sink, batcher, states } = setUp();
    batcher.add(chunkOf(10));
    await settle();
    sink.call(0).fail(refusing());
    await time.advance(LONGEST_RETRY_MS - 1);
    expect(batcher.health()).toMatchObject({
      state: 'alarm',
      lastError: 'UNKNOWN_TABLE',
      pendingRows: 10,
      pendingSinceMs: 0,
    });
    expect(sink.calls).toHaveLength(1);
    await time.advance(1);
    sink.call(1).succeed();
    await settle();
    expect(states).toEqual(['alarm', 'ok']);
    expect(batcher.health()).toEqual({
      state: 'ok',
      isDiverting: false,
      lastError: null,
      pendingRows: 0,
      pendingSinceMs: null,
      lastAckMs: LONGEST_RETRY_MS,
    });
  });

  test('it is counted', async () => {
    const { time, sink, batcher } = setUp();
    batcher.add(chunkOf(10));
    await time.advance(100);
    sink.call(0).fail(passing());
    await time.advance(200);
    await time.advance(50);
    sink.call(1).succeed();
    await settle();
    expect(batcher.stats).toEqual({
      inserts: 1,
      rows: 10,
      bytes: sink.call(0).bytes.length,
      insertFailures: 1,
      insertSeconds: 0.15,
      pendingRows: 0,
      pendingBytes: 0,
    });
  });
});

describe('flushing', () => {
  test('sends what waits at once, and resolves when it is durable', async () => {
    const { sink, batcher } = setUp();
    await batcher.flush();
    batcher.add(chunkOf(1));
    let isFlushed = false;
    const flushed = batcher.flush().then(() => {
      isFlushed = true;
    });
    await settle();
    expect(sink.calls).toHaveLength(1);
    expect(isFlushed).toBe(false);
    sink.call(0).succeed();
    await flushed;
  });

  test('chunks added after it do not hurry', async () => {
    const { time, sink, batcher } = setUp();
    batcher.add(chunkOf(1));
    const flushed = batcher.flush();
    batcher.add(chunkOf(1));
    sink.call(0).succeed();
    await flushed;
    await settle();
    expect(sink.calls).toHaveLength(1);
    await time.advance(AGE_MS);
    expect(sink.calls).toHaveLength(2);
  });

  test('many flushes while one batch flies make one more batch', async () => {
    const { sink, batcher } = setUp();
    batcher.add(chunkOf(1));
    const flushes = [batcher.flush()];
    for (let i = 0; i < 5; i++) {
      batcher.add(chunkOf(1));
      flushes.push(batcher.flush());
    }
    sink.call(0).succeed();
    await settle();
    expect(sink.calls).toHaveLength(2);
    sink.call(1).succeed();
    await Promise.all(flushes);
  });
});

describe('stopping', () => {
  test('leaves no timer, tells no more records, rejects who waits, takes no more', async () => {
    const { time, sink, batcher, durable } = setUp();
    batcher.add(chunkOf(10));
    const flushed = batcher.flush();
    batcher.add(chunkOf(1));
    batcher.stop();
    await expect(flushed).rejects.toThrow(/stopped/);
    sink.call(0).succeed();
    await time.advance(60_000);
    expect(durable).toEqual([]);
    expect(sink.calls).toHaveLength(1);
    expect(time.timers).toBe(0);
    expect(() => {
      batcher.add(chunkOf(1));
    }).toThrow(/stopped/);
  });

  test('ends a wait for the next try', async () => {
    const { time, sink, batcher } = setUp();
    batcher.add(chunkOf(10));
    await settle();
    sink.call(0).fail(passing());
    await settle();
    expect(time.timers).toBe(1);
    batcher.stop();
    expect(time.timers).toBe(0);
    await time.advance(60_000);
    expect(sink.calls).toHaveLength(1);
  });
});

test('rows that come one by one are sent as one piece, among large ones in their order', async () => {
  const calls: string[][] = [];
  const batcher = new LedgerBatcher({
    sink: {
      insert: (_table, pieces) => {
        calls.push(pieces.map((piece) => `${textOf(piece).slice(0, 4)}${piece.length}`));
        return Promise.resolve();
      },
    },
    bounds: { batchMaxRows: 6, batchMaxBytes: 1e6, batchMaxAgeMs: AGE_MS },
    clock: new SimulatedTime(),
    onDurable: () => undefined,
  });
  const add = (text: string): void => {
    batcher.add({
      attempts: bytesOf(text),
      attemptRows: 1,
      events: null,
      eventRows: 0,
      records: new Uint32Array(0),
    });
  };
  for (const text of ['aa', 'bb', 'L'.repeat(9_000), 'cc', 'dd', 'ee']) add(text);
  await batcher.flush();
  expect(calls).toEqual([['aabb4', 'LLLL9000', 'ccdd6']]);
});
