import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

export interface TemporaryDirectory {
  readonly path: string;
  /** Deletes the directory with all it holds; a second call does nothing. */
  remove(): Promise<void>;
}

/** A new empty directory below the system's temporary directory, named `eventdispatch-<purpose>-XXXXXX`. */
export async function temporaryDirectory(purpose: string): Promise<TemporaryDirectory> {
  const directory = await mkdtemp(path.join(tmpdir(), `eventdispatch-${purpose}-`));
  return {
    path: directory,
    // A process that was killed a moment ago may still be closing files here, hence the retries of rm.
    remove: () => rm(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 }),
  };
}
