/** The embedded engine has one owner, says so, and leaves nothing behind. */
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { ClickHouseConfig } from '../../src/config/config.ts';
import { UserError } from '../../src/domain/errors.ts';
import { startClickHouseOwner } from '../support/clickhouse-owner.ts';
import { openTestLedger } from '../support/ledger.ts';
import { temporaryDirectory, type TemporaryDirectory } from '../support/temp.ts';
import { attemptBytes } from './sample-rows.ts';

const TOKEN = 'ab'.repeat(32);

let directory: TemporaryDirectory;
beforeAll(async () => {
  directory = await temporaryDirectory('embedded');
});
afterAll(async () => {
  await directory.remove();
});

async function problemsOf(config: Partial<ClickHouseConfig>): Promise<readonly string[]> {
  const error: unknown = await openTestLedger(config).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(UserError);
  return (error as UserError).problems;
}

describe('the embedded ledger', () => {
  test('without a path it lives in a temporary directory, gone after close', async () => {
    const parent = await temporaryDirectory('parent');
    vi.stubEnv('TMPDIR', parent.path);
    const ledger = await openTestLedger();
    vi.unstubAllEnvs();
    expect(ledger.kind).toBe('embedded');
    expect(await readdir(parent.path)).toEqual([expect.stringMatching(/^eventdispatch-ledger-/)]);
    await ledger.close();
    expect(await readdir(parent.path)).toEqual([]);
    await parent.remove();
  });

  test('with a path it is there again after close, parents made as needed', async () => {
    const embeddedPath = path.join(directory.path, 'deep', 'ledger');
    const first = await openTestLedger({ embeddedPath });
    await first.migrate();
    await first.insert('attempts', [attemptBytes([{}])], TOKEN);
    await first.close();
    expect(existsSync(embeddedPath)).toBe(true);
    const second = await openTestLedger({ embeddedPath });
    expect(await second.migrate()).toEqual([]);
    await second.insert('attempts', [attemptBytes([{}])], TOKEN);
    expect(await second.query('SELECT count() AS n FROM attempts')).toEqual([{ n: 1 }]);
    await second.close();
  });

  test('close waits for an insert that runs', async () => {
    const embeddedPath = path.join(directory.path, 'closing');
    const rows = Array.from({ length: 20_000 }, (_, offset) => ({ record: { offset } }));
    const ledger = await openTestLedger({ embeddedPath });
    await ledger.migrate();
    const inserted = ledger.insert('attempts', [attemptBytes(rows)], TOKEN);
    await ledger.close();
    await inserted;
    const again = await openTestLedger({ embeddedPath });
    expect(await again.query('SELECT count() AS n FROM attempts')).toEqual([{ n: 20_000 }]);
    await again.close();
  });
});

describe('what cannot be opened is one line that names the key', () => {
  test.each(['', 'a b', 'a;DROP', '1st', 'x'.repeat(65), 'a`'])('database %j', async (database) => {
    expect(await problemsOf({ database })).toEqual([expect.stringMatching(/^clickhouse\.database: /)]);
  });

  test('a path below a file', async () => {
    const embeddedPath = path.join(new URL(import.meta.url).pathname, 'ledger');
    expect(await problemsOf({ embeddedPath })).toEqual([
      expect.stringMatching(/^clickhouse\.embeddedPath: .*client\.test\.ts\/ledger can't be used: /),
    ]);
  });

  test('a directory that another process has', async () => {
    const embeddedPath = path.join(directory.path, 'taken');
    const owner = await startClickHouseOwner({ dir: embeddedPath });
    try {
      expect(await problemsOf({ embeddedPath })).toEqual([
        `clickhouse.embeddedPath: ${embeddedPath} is in use by process ${owner.pid}; an embedded ledger has one process, several share a server by clickhouse.url`,
      ]);
    } finally {
      await owner.stop();
    }
  });
});
