/** `npm ci` accepts the lock: no platform package that npm 11.16 and later insist on is missing from it. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';

const ROOT = path.resolve(import.meta.dirname, '../..');
const copy = mkdtempSync(path.join(tmpdir(), 'lockfile-'));
afterAll(() => {
  rmSync(copy, { recursive: true });
});

interface Lock {
  packages: Record<string, { version?: string }>;
}

function complete(root: string, ...flags: string[]): { status: number | null; stderr: string } {
  const script = path.join(root, 'scripts/complete-lockfile.mjs');
  return spawnSync(process.execPath, [script, ...flags], { encoding: 'utf8' });
}

test('the lock is complete', () => {
  expect(complete(ROOT, '--check')).toMatchObject({ status: 0, stderr: '' });
});

test('a package left out is reported, and put back as it was but for its integrity', () => {
  const left = 'node_modules/@chdb/lib-linux-x64-gnu';
  const lock = JSON.parse(readFileSync(path.join(ROOT, 'package-lock.json'), 'utf8')) as Lock;
  const { [left]: before, ...others } = lock.packages;
  mkdirSync(path.join(copy, 'scripts'));
  cpSync(path.join(ROOT, 'scripts/complete-lockfile.mjs'), path.join(copy, 'scripts/complete-lockfile.mjs'));
  writeFileSync(path.join(copy, 'package-lock.json'), JSON.stringify({ ...lock, packages: others }));

  const check = complete(copy, '--check');
  expect(check.status).toBe(1);
  expect(check.stderr).toContain(`lacks @chdb/lib-linux-x64-gnu@${before!.version}\n`);

  expect(complete(copy).status).toBe(0);
  const after = JSON.parse(readFileSync(path.join(copy, 'package-lock.json'), 'utf8')) as Lock;
  expect(Object.keys(after.packages)).toEqual(Object.keys(lock.packages));
  expect(before).toMatchObject(after.packages[left]!);
});
