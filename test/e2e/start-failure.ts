import { writeFile } from 'node:fs/promises';
import path from 'node:path';

import { spawnChild, type ExitStatus } from '../support/process.ts';
import { repositoryRoot } from '../support/repository.ts';
import { temporaryDirectory } from '../support/temp.ts';

export interface StartFailure extends ExitStatus {
  /** What it told the user: its lines that are not log lines, which are JSON. */
  readonly told: readonly string[];
  /** Everything it wrote. */
  readonly output: string;
}

/** Runs `eventdispatch start` with a configuration it can't start with, to its end; it is killed at the deadline. */
export async function failToStart(
  config: Readonly<Record<string, unknown>>,
  deadlineMs: number,
): Promise<StartFailure> {
  const directory = await temporaryDirectory('start-failure');
  try {
    const file = path.join(directory.path, 'eventdispatch.yaml');
    await writeFile(file, JSON.stringify(config));
    const child = await spawnChild({
      name: 'eventdispatch start',
      command: process.execPath,
      args: [path.join(repositoryRoot, 'bin', 'eventdispatch.cjs'), 'start', '--config', file],
    });
    const timer = setTimeout(() => void child.kill(), deadlineMs);
    const status = await child.exited;
    clearTimeout(timer);
    const output = child.output();
    const told = output.split('\n').filter((line) => line !== '' && !line.startsWith('{'));
    return { ...status, told, output };
  } finally {
    await directory.remove();
  }
}
