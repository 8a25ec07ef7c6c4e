/** The ledger over HTTP keeps what `ledger.suite.ts` says, and loses nothing by failures of the way. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/domain/clock.ts';
import { UserError } from '../../src/domain/errors.ts';
import type { LedgerState } from '../../src/ledger/batch-sender.ts';
import { LedgerBatcher } from '../../src/ledger/batcher.ts';
import type { Ledger } from '../../src/ledger/client.ts';
import { startClickHouseOwner, type ClickHouseOwner } from '../support/clickhouse-owner.ts';
import { waitFor } from '../support/wait.ts';
import { attemptBytes, eventBytes } from '../ledger/sample-rows.ts';
import { describeLedgerAnalysis } from './ledger-analysis.suite.ts';
import { describeLedger } from './ledger.suite.ts';
import { openTestLedger } from '../support/ledger.ts';

let owner: ClickHouseOwner;
beforeAll(async () => {
  owner = await startClickHouseOwner();
});
afterAll(async () => {
  await owner.stop();
});

const openOn = (database: string, url = owner.url): Promise<Ledger> =>
  openTestLedger({ url, database, requestTimeoutMs: 2_000 });

describeLedger('ledger over HTTP', () => openOn('conformance'));
describeLedgerAnalysis('analysis in a ledger over HTTP', () => openOn('analysis'));

describe('failures on the way', () => {
  let ledger: Ledger;
  let durable: number[] = [];
  let states: LedgerState[] = [];
  let batcher: LedgerBatcher;
  let topics = 0;
  let topic = '';

  beforeAll(async () => {
    ledger = await openOn('failures');
    await ledger.migrate();
  });
  afterAll(async () => {
    await ledger.close();
  });
  beforeEach(async () => {
    await owner.clearFaults();
    topic = `failing-${++topics}`;
    durable = [];
    states = [];
    batcher = new LedgerBatcher({
      sink: ledger,
      bounds: { batchMaxRows: 20, batchMaxBytes: 1_000_000, batchMaxAgeMs: 5 },
      clock: systemClock,
      onDurable: (records) => durable.push(...records.filter((_, i) => i % 2 === 1)),
      onState: (state) => states.push(state),
      random: () => 0.99,
    });
  });

  const addRecords = (from: number, count: number): void => {
    for (let sequence = from; sequence < from + count; sequence++) {
      const rows = [{ record: { topic, offset: sequence } }];
      batcher.add({
        attempts: attemptBytes(rows),
        attemptRows: 1,
        events: eventBytes(rows),
        eventRows: 1,
        records: Uint32Array.of(1, sequence),
      });
    }
  };
  const expectAllOnce = async (count: number): Promise<void> => {
    await batcher.flush();
    batcher.stop();
    expect(durable).toEqual(Array.from({ length: count }, (_, sequence) => sequence));
    for (const table of ['events', 'attempts']) {
      const [found] = await ledger.query(
        `SELECT count() AS rows, uniqExact(offset) AS offsets FROM ${table} WHERE topic = {topic:String}`,
        { topic },
      );
      expect(found).toEqual({ rows: count, offsets: count });
    }
    expect(batcher.health()).toMatchObject({ state: 'ok', lastError: null, pendingRows: 0 });
  };

  test.each([
    { name: 'refused for a while', act: 'error', code: 252, type: 'TOO_MANY_PARTS', when: 'before' },
    { name: 'stored, and the answer lost', act: 'reset', when: 'after' },
    { name: 'reset before it was stored', act: 'reset', when: 'before' },
    { name: 'never answered, though stored', act: 'hang', when: 'after' },
  ] as const)('an insert that is $name is stored once', async ({ name: _name, ...fault }) => {
    await owner.fault({ ...fault, on: 'insert', times: 3 });
    addRecords(0, 100);
    await waitFor(() => states.includes('retrying'), { timeoutMs: 10_000, what: 'a failed insert' });
    await expectAllOnce(100);
    expect(states).not.toContain('alarm');
    expect(batcher.stats.insertFailures).toBe(3);
  });

  test('a server that is killed and comes back has everything once', async () => {
    addRecords(0, 30);
    await batcher.flush();
    await owner.kill();
    addRecords(30, 30);
    await waitFor(() => states.includes('retrying'), { timeoutMs: 10_000, what: 'a failed insert' });
    await owner.startAgain();
    await expectAllOnce(60);
  });
});

describe('a server that cannot be used', () => {
  test('migrating says that nothing answers at clickhouse.url', async () => {
    const ledger = await openOn('nowhere', 'http://127.0.0.1:1/');
    const error: unknown = await ledger.migrate().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(UserError);
    expect((error as UserError).message).toMatch(
      /^clickhouse\.url: http:\/\/127\.0\.0\.1:1 can't be used: .*ECONNREFUSED/,
    );
    await ledger.close();
  });

  test('a URL with a query is refused: the client would read its own options from it', async () => {
    await expect(openOn('conformance', `${owner.url}/?database=other`)).rejects.toThrow(
      /^clickhouse\.url: no query/,
    );
  });

  test('a database that was not migrated is named as such', async () => {
    const ledger = await openOn('not_there');
    await expect(ledger.query('SELECT 1 FROM attempts')).rejects.toMatchObject({ kind: 'fatal' });
    await ledger.close();
  });
});
