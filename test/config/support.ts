import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Config } from '../../src/config/config.ts';
import type { Environment } from '../../src/config/environment.ts';
import { loadConfig } from '../../src/config/load.ts';
import { UserError } from '../../src/domain/errors.ts';

/** The shortest configuration that is one. */
export const MINIMAL = "destinations:\n  - { id: a, tenant: acme, url: 'https://hooks.example/in' }\n";

/** A temporary folder with `eventdispatch.yaml` and whatever else is given; removed after the work. */
export function inFolder<T>(files: Readonly<Record<string, string>>, work: (folder: string) => T): T {
  const folder = mkdtempSync(path.join(tmpdir(), 'eventdispatch-config-'));
  try {
    for (const [name, text] of Object.entries(files)) writeFileSync(path.join(folder, name), text);
    return work(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

export function load(
  yaml: string,
  env: Environment = {},
  files: Readonly<Record<string, string>> = {},
): Config {
  return inFolder({ ...files, 'eventdispatch.yaml': yaml }, (folder) =>
    loadConfig({ file: path.join(folder, 'eventdispatch.yaml'), env }),
  );
}

/** The problems of a configuration, with the temporary folder left out of the lines; none when it loads. */
export function problemsOf(
  yaml: string,
  env: Environment = {},
  files: Readonly<Record<string, string>> = {},
): string[] {
  return inFolder({ ...files, 'eventdispatch.yaml': yaml }, (folder) => {
    try {
      loadConfig({ file: path.join(folder, 'eventdispatch.yaml'), env });
      return [];
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      return error.problems.map((problem) => problem.replaceAll(`${folder}/`, ''));
    }
  });
}
