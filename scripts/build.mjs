/**
 * Compiles src/ to dist/, incrementally, and leaves nothing there that src/ no
 * longer has: a stale module would still run, as a thread entry or by the test
 * that forgot it. Files are removed one by one, never the folder, because
 * another process may be running from it.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

const root = path.resolve(import.meta.dirname, '..');
const dist = path.join(root, 'dist');
const buildInfo = path.join(dist, '.tsbuildinfo');
const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');

function filesUnder(folder, matches) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true }).filter((name) => matches.test(name));
}

/** The modules that src/, as it is now, compiles to. */
function expectedModules() {
  return filesUnder(path.join(root, 'src'), /(?<!\.d)\.ts$/).map((name) => name.replace(/\.ts$/, '.js'));
}

// With its build information intact, tsc would not write again what somebody deleted by hand.
if (expectedModules().some((name) => !existsSync(path.join(dist, name)))) rmSync(buildInfo, { force: true });

const compiled = spawnSync(process.execPath, [tsc, '-p', path.join(root, 'tsconfig.build.json')], {
  stdio: 'inherit',
});

const wanted = new Set(expectedModules().flatMap((name) => [name, `${name}.map`]));
for (const name of filesUnder(dist, /\.js(\.map)?$/)) {
  if (!wanted.has(name)) rmSync(path.join(dist, name), { force: true });
}

process.exitCode = compiled.status ?? 1;
