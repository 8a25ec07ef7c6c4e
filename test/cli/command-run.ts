import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, vi } from 'vitest';
import { runProgram } from '../../src/cli/program.ts';
import { temporaryDirectory } from '../support/temp.ts';
import type { TemporaryDirectory } from '../support/temp.ts';

const DESTINATIONS = "destinations: [{ id: a, tenant: t, url: 'https://h.example' }]\n";

/** What a command said, and its exit code. */
export interface CommandRun {
  readonly code: number;
  readonly err: string;
  readonly out: string;
}

export interface CommandUser {
  /** A folder of this test file's own. */
  readonly folder: () => string;
  /** Types the command with these arguments. */
  readonly run: (...args: string[]) => Promise<CommandRun>;
  /** Writes a configuration file, with one destination besides. @returns its path. */
  readonly config: (text: string) => string;
}

/** Somebody who types one command of the program; to be called at the top of a test file. */
export function commandUser(command: string): CommandUser {
  let folder: TemporaryDirectory;
  beforeAll(async () => {
    folder = await temporaryDirectory(command);
  });
  afterAll(() => folder.remove());
  afterEach(() => {
    vi.restoreAllMocks();
  });
  return {
    folder: () => folder.path,
    run: async (...args) => {
      let err = '';
      let out = '';
      vi.spyOn(console, 'error').mockImplementation((line) => (err += `${line}\n`));
      vi.spyOn(console, 'log').mockImplementation((line) => (out += `${line}\n`));
      vi.spyOn(process.stderr, 'write').mockImplementation((text) => ((err += String(text)), true));
      vi.spyOn(process.stdout, 'write').mockImplementation((text) => ((out += String(text)), true));
      const code = await runProgram(['node', 'eventdispatch', command, ...args], {});
      vi.restoreAllMocks();
      return { code, err, out };
    },
    config: (text) => {
      const file = path.join(folder.path, `${command}.yaml`);
      writeFileSync(file, text + DESTINATIONS);
      return file;
    },
  };
}
