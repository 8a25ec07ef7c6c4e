/** Proves that a start waits for a ledger that is away, says so, and goes on without one only when allowed to. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { logLedgerNotices } from '../../src/app/ledger-notices.ts';
import { startLedger } from '../../src/app/ledger-start.ts';
import { UserError } from '../../src/domain/errors.ts';
import type { Ledger } from '../../src/ledger/client.ts';
import { LedgerError } from '../../src/ledger/errors.ts';
import type { Log } from '../../src/observability/log.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function setUp() {
  const lines: string[] = [];
  const log: Log = {
    write: (event) => lines.push(event),
    writes: () => true,
    with: () => log,
  };
  let nowMs = 0;
  const notices = logLedgerNotices(log, { monotonicMs: () => nowMs, wallMs: () => nowMs });
  const state = { ping: null as Error | null, migrate: null as Error | null };
  const ledger = {
    ping: () => (state.ping === null ? Promise.resolve() : Promise.reject(state.ping)),
    migrate: () => (state.migrate === null ? Promise.resolve([]) : Promise.reject(state.migrate)),
  } as unknown as Ledger;
  const failures: Error[] = [];
  let migrated = 0;
  const start = (allowDuplicates: boolean): Promise<() => void> =>
    startLedger(ledger, {
      allowDuplicates,
      notices,
      onMigrated: () => {
        migrated++;
      },
      onFailure: (error) => failures.push(error),
    });
  const pass = async (ms: number): Promise<void> => {
    for (let passed = 0; passed < ms; passed += 500) {
      nowMs += 500;
      await vi.advanceTimersByTimeAsync(500);
    }
  };
  return { lines, notices, state, start, pass, failures, migrations: () => migrated };
}

const away = new LedgerError('connect ECONNREFUSED', 'retryable', null, null);
const refused = new LedgerError('wrong password', 'fatal', 516, null);

test('waits until it answers; told at once and every 30 s, and as long as it lasts to who asks', async () => {
  const { lines, notices, state, start, pass, migrations } = setUp();
  state.ping = away;
  let isStarted = false;
  void start(false).then(() => {
    isStarted = true;
  });
  await pass(65_000);
  expect([isStarted, migrations()]).toEqual([false, 0]);
  expect(lines).toEqual(['ledger_awaited', 'ledger_awaited', 'ledger_awaited']);
  expect(notices.awaitedBecause).toBe('connect ECONNREFUSED');
  state.ping = null;
  await pass(1_000);
  expect([isStarted, migrations()]).toEqual([true, 1]);
  expect(lines.slice(3)).toEqual(['ledger_answers']);
  expect(notices.awaitedBecause).toBeNull();
});

test('what does not pass by waiting is told by migrating', async () => {
  const { state, start } = setUp();
  state.ping = refused;
  state.migrate = new UserError(["clickhouse.url: can't be used"]);
  await expect(start(false)).rejects.toThrow("can't be used");
});

test('allowed duplicates: starts at once, loudly, and makes the tables later', async () => {
  const { lines, state, start, pass, migrations } = setUp();
  state.ping = away;
  await start(true);
  expect([lines, migrations()]).toEqual([['ledger_skipped'], 0]);
  await pass(5_000);
  state.ping = null;
  await pass(2_000);
  expect(migrations()).toBe(1);
});

test('allowed duplicates: tables that cannot be made later end the process', async () => {
  const { state, start, pass, failures } = setUp();
  state.ping = away;
  await start(true);
  state.ping = null;
  state.migrate = new UserError(['it is newer']);
  await pass(2_000);
  expect(failures).toEqual([state.migrate]);
});

test('stopped while it waits behind, it asks no more', async () => {
  const { state, start, pass, migrations } = setUp();
  state.ping = away;
  const stop = await start(true);
  stop();
  state.ping = null;
  await pass(5_000);
  expect([migrations(), vi.getTimerCount()]).toEqual([0, 0]);
});

test('a wait of which nothing is heard any more is over', async () => {
  const { notices, pass } = setUp();
  notices.awaited(away);
  await pass(60_000);
  expect(notices.awaitedBecause).not.toBeNull();
  await pass(120_000);
  expect(notices.awaitedBecause).toBeNull();
});
