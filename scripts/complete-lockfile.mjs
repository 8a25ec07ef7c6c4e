/**
 * Adds to package-lock.json the platform packages that npm left out: optional
 * dependencies, of packages in the lock, that the registry in reach did not offer
 * while it was written. npm 11.16 and later refuse such a lock in `npm ci`
 * (https://github.com/npm/cli/issues/9846), although the packages are for other
 * machines. An added entry has the exact version its parent asks for and the
 * platform its name tells, and no integrity, which only the registry could give.
 *
 * Run it (`npm run lockfile`) after every `npm install` that changed the lock;
 * `--check` only reports.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const file = path.resolve(import.meta.dirname, '../package-lock.json');
const lock = JSON.parse(readFileSync(file, 'utf8'));

const OS = ['android', 'darwin', 'freebsd', 'linux', 'openharmony', 'win32'];
const CPU = ['arm', 'arm64', 'ia32', 'ppc64', 'riscv64', 's390x', 'x64'];
const LIBC = { gnu: 'glibc', musl: 'musl' };

/** os, cpu and libc as package.json writes them, from a name such as `binding-linux-x64-gnu`. */
function platformOf(name) {
  const words = name.split(/[/-]/);
  const os = OS.filter((word) => words.includes(word));
  const cpu = CPU.filter((word) => words.includes(word));
  if (os.length !== 1 || cpu.length !== 1) throw new Error(`${name} does not tell its platform`);
  const libc = Object.keys(LIBC).filter((word) => words.includes(word));
  return { os, cpu, ...(libc.length > 0 && { libc: libc.map((word) => LIBC[word]) }) };
}

/** Whether a package at `parent` finds `name` in its own node_modules or one above. */
function isLocked(parent, name) {
  for (let folder = parent; ; folder = folder.slice(0, folder.lastIndexOf('/node_modules/'))) {
    if (lock.packages[`${folder}/node_modules/${name}`] !== undefined) return true;
    if (!folder.includes('/node_modules/')) return lock.packages[`node_modules/${name}`] !== undefined;
  }
}

const missing = Object.entries(lock.packages).flatMap(([parent, entry]) =>
  parent === ''
    ? []
    : Object.entries(entry.optionalDependencies ?? {})
        .filter(([name]) => !isLocked(parent, name))
        .map(([name, version]) => ({ name, version, dev: entry.dev })),
);

if (process.argv.includes('--check')) {
  for (const { name, version } of missing) console.error(`package-lock.json lacks ${name}@${version}`);
  if (missing.length > 0) console.error('npm ci would refuse it: npm run lockfile');
  process.exitCode = missing.length > 0 ? 1 : 0;
} else {
  for (const { name, version, dev } of missing) {
    if (!/^\d/.test(version)) throw new Error(`${name} is asked for by a range, ${version}`);
    lock.packages[`node_modules/${name}`] = {
      version,
      ...(dev && { dev }),
      optional: true,
      ...platformOf(name),
    };
  }
  const byPath = ([a], [b]) => a.localeCompare(b, 'en');
  lock.packages = Object.fromEntries(Object.entries(lock.packages).sort(byPath));
  writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
  console.log(`${missing.length} packages added to package-lock.json`);
}
