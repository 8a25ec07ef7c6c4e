import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { waitFor } from './wait.ts';

/**
 * Runs the work while holding a lock that all processes of this machine see: a directory, made atomically, that
 * names its owner. A lock whose owner is gone is taken over.
 */
export async function withFileLock<T>(lock: string, timeoutMs: number, work: () => Promise<T>): Promise<T> {
  await mkdir(path.dirname(lock), { recursive: true });
  await waitFor(() => tryToTake(lock), { timeoutMs, intervalMs: 100, what: `the lock ${lock}` });
  try {
    return await work();
  } finally {
    await rm(lock, { recursive: true, force: true });
  }
}

async function tryToTake(lock: string): Promise<boolean> {
  try {
    await mkdir(lock);
    await writeFile(ownerFile(lock), String(process.pid));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  const owner = Number(await readFile(ownerFile(lock), 'utf8').catch(() => ''));
  // No owner yet: between the two calls above, in another process.
  if (owner > 0 && !isAlive(owner)) await rm(lock, { recursive: true, force: true });
  return false;
}

function ownerFile(lock: string): string {
  return path.join(lock, 'pid');
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
