import { rmSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { UserError } from '../domain/errors.ts';
import { firstLineOf } from './errors.ts';

/** Where an embedded ledger has its data. */
export interface Directory {
  readonly path: string;
  /** Removes it when it is a temporary one. */
  remove(): Promise<void>;
}

/**
 * Makes the directory, or a temporary one for null.
 * @throws UserError when it can't be made.
 */
export async function openDirectory(embeddedPath: string | null): Promise<Directory> {
  if (embeddedPath === null) return temporaryDirectory();
  try {
    await mkdir(embeddedPath, { recursive: true });
  } catch (error) {
    throw await unusableDirectory(embeddedPath, error);
  }
  return { path: path.resolve(embeddedPath), remove: () => Promise.resolve() };
}

/** Goes with the process, also when it ends without a `close`; not when it is killed. */
async function temporaryDirectory(): Promise<Directory> {
  const directory = await mkdtemp(path.join(tmpdir(), 'eventdispatch-ledger-'));
  const removeAtExit = (): void => {
    rmSync(directory, { recursive: true, force: true });
  };
  process.once('exit', removeAtExit);
  const remove = async (): Promise<void> => {
    await rm(directory, { recursive: true, force: true });
    process.off('exit', removeAtExit);
  };
  return { path: directory, remove };
}

/** Why the engine can't have a directory. It says so only on stderr, so the owner is looked up in its status file. */
export async function unusableDirectory(directory: string, error: unknown): Promise<UserError> {
  const owner = await ownerOf(directory);
  const why =
    owner === null
      ? `can't be used: ${firstLineOf(error)}`
      : `is in use by process ${owner}; an embedded ledger has one process, several share a server by clickhouse.url`;
  return new UserError([`clickhouse.embeddedPath: ${directory} ${why}`]);
}

/** The process that has the engine's status file, as far as its line "PID: N" and the system tell. */
async function ownerOf(directory: string): Promise<number | null> {
  const status = await readFile(path.join(directory, 'status'), 'utf8').catch(() => '');
  const pid = Number(/^PID: (\d+)$/m.exec(status)?.[1]);
  return Number.isInteger(pid) && pid !== process.pid && isRunning(pid) ? pid : null;
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // A process of another user may not be signalled, but is there.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
