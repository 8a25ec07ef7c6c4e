import { existsSync } from 'node:fs';
import path from 'node:path';

/**
 * The root folder of this repository, found by walking up from this file. Child scripts and the pom are addressed
 * from it, so that these helpers also work when they were compiled into another folder (benchmarks).
 */
export const repositoryRoot = findRoot(import.meta.dirname);

/** The absolute path of a file in test/support. */
export function supportFile(name: string): string {
  return path.join(repositoryRoot, 'test', 'support', name);
}

/** Where downloaded parts are kept between runs: $EVENTDISPATCH_TEST_CACHE, or `.cache` in the repository. */
export function cacheDirectory(): string {
  const fromEnvironment = process.env['EVENTDISPATCH_TEST_CACHE'];
  return fromEnvironment ? path.resolve(fromEnvironment) : path.join(repositoryRoot, '.cache');
}

function findRoot(start: string): string {
  for (let directory = start; ; directory = path.dirname(directory)) {
    if (existsSync(path.join(directory, 'package.json'))) return directory;
    if (path.dirname(directory) === directory) throw new Error(`no package.json above ${start}`);
  }
}
