/**
 * House rules that no other tool checks, kept as tests so that they hold for the
 * next change too. Each offence is reported as `file:line: text`.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';

const ROOT = path.resolve(import.meta.dirname, '../..');
const NOT_OURS = new Set(['node_modules', 'dist', '.git', '.cache', 'coverage', 'target']);
const TEXT = /(\.(ts|js|mjs|cjs|json|md|ya?ml|avsc|sql|xml|properties)|\/run)$/;

/** Paths below `folder`, relative to the repository, of everything that is ours. */
function walk(folder = ''): string[] {
  return readdirSync(path.join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    if (NOT_OURS.has(entry.name)) return [];
    const name = path.posix.join(folder, entry.name);
    return entry.isDirectory() ? [`${name}/`, ...walk(name)] : [name];
  });
}

const ours = walk();
const files = ours.filter((name) => !name.endsWith('/'));
const folders = ours.filter((name) => name.endsWith('/'));
const read = (name: string): string => readFileSync(path.join(ROOT, name), 'utf8');
const lines = (name: string): string[] => read(name).split('\n');

/** Lines of the given files that match, as `file:line: text`. */
function offences(names: string[], isOffence: (line: string) => boolean): string[] {
  return names.flatMap((name) =>
    lines(name).flatMap((line, i) => (isOffence(line) ? [`${name}:${i + 1}: ${line.trim()}`] : [])),
  );
}

const textFiles = files.filter((name) => TEXT.test(name) && name !== 'package-lock.json');
const codeFiles = files.filter((name) => /\.(ts|js|mjs|cjs)$/.test(name));

describe('code', () => {
  test('the walk finds the code it is to judge', () => {
    expect(codeFiles).toContain('src/domain/clock.ts');
    expect(textFiles).toContain('.ci/run');
  });

  test('nothing is left to do in a comment', () => {
    // Put together from parts, so that this line is none itself.
    const marker = new RegExp(`\\b(${['TO' + 'DO', 'FIX' + 'ME', 'X' + 'XX', 'HA' + 'CK'].join('|')})\\b`);
    expect(offences(textFiles, (line) => marker.test(line))).toEqual([]);
  });

  test('a silenced check has its reason beside it', () => {
    const silenced = new RegExp(['eslint' + '-disable', '@ts' + '-(ignore|nocheck|expect-error)'].join('|'));
    const withReason = /eslint-disable.* -- \S+ \S+|@ts-expect-error:? \S+ \S+/;
    expect(offences(codeFiles, (line) => silenced.test(line) && !withReason.test(line))).toEqual([]);
  });

  test('no test runs alone, is skipped, or is a promise', () => {
    // The one place that leaves tests out: where there is no real broker or registry, and never under CI=true.
    const leavesOut = 'test/support/with-real-parts.ts';
    const tests = codeFiles.filter((name) => name.startsWith('test/') && name !== leavesOut);
    const parked = /\b(it|test|describe|suite|bench)\.(only|skip|todo|fails)\b/;
    expect(offences(tests, (line) => parked.test(line))).toEqual([]);
  });

  test('nothing is retried until it is green', () => {
    const tests = codeFiles.filter((name) => name.startsWith('test/') || name.startsWith('vitest.'));
    const retried = /\{ *retry: *[1-9]/;
    expect(offences(tests, (line) => retried.test(line))).toEqual([]);
  });
});

describe('layout', () => {
  const FILE_MAX_LINES = 400;

  test('every file of src fits in a reader’s head', () => {
    const sizes = files
      .filter((name) => name.startsWith('src/'))
      .map((name) => ({ name, size: lines(name).length }));
    expect(sizes.filter(({ size }) => size > FILE_MAX_LINES + 1)).toEqual([]);
  });

  test('src holds TypeScript only, because the build copies nothing else', () => {
    expect(files.filter((name) => name.startsWith('src/') && !name.endsWith('.ts'))).toEqual([]);
  });

  test('folders are named after what is in them', () => {
    const vague = /\/(utils?|libs?|helpers?|common|shared|misc|classes)\/$/;
    expect(folders.filter((name) => vague.test(`/${name}`))).toEqual([]);
  });
});

describe('documents', () => {
  const scripts = (JSON.parse(read('package.json')) as { scripts: Record<string, string> }).scripts;

  test('ARCHITECTURE.md names every folder of src', () => {
    const architecture = read('ARCHITECTURE.md');
    const stages = folders
      .filter((name) => /^src\/[^/]+\/$/.test(name))
      .map((name) => name.slice('src/'.length));
    expect(stages.filter((stage) => !architecture.includes(stage))).toEqual([]);
  });

  test('README.md shows the two commands', () => {
    const readme = read('README.md');
    expect(readme).toContain('npm ci && npm run demo');
    expect(readme).toContain('npm ci && npm test');
  });

  test('every npm script a document tells to run is there', () => {
    const named = files
      .filter((name) => name.endsWith('.md'))
      .flatMap((name) =>
        [...read(name).matchAll(/\bnpm (?:run )?([a-z][\w:.-]*)/g)].map(([command, script]) => ({
          name,
          command,
          script: script!,
        })),
      )
      .filter(
        ({ command, script }) => command.startsWith('npm run ') || script === 'test' || script === 'start',
      );
    expect(named.filter(({ script }) => scripts[script] === undefined)).toEqual([]);
  });

  test('every relative link leads to a file', () => {
    const broken = files
      .filter((name) => name.endsWith('.md'))
      .flatMap((name) => linksOf(read(name)).map((link) => ({ name, link })))
      .filter(({ name, link }) => !existsSync(path.join(ROOT, path.dirname(name), link)));
    expect(broken).toEqual([]);
  });
});

/** Targets of a Markdown text's links and images that are paths, without their anchors. */
function linksOf(markdown: string): string[] {
  const prose = markdown.replaceAll(/^```[\s\S]*?^```/gm, '').replaceAll(/`[^`\n]*`/g, '');
  const inline = [...prose.matchAll(/\]\(<?([^)\s>]+)>?(?: "[^"]*")?\)/g)].map((match) => match[1]!);
  const references = [...prose.matchAll(/^\[[^\]]+\]: +<?([^\s>]+)/gm)].map((match) => match[1]!);
  return [...inline, ...references]
    .filter((target) => !/^([a-z][\w+.-]*:|#|\/\/)/i.test(target))
    .map((target) => decodeURI(target.replace(/#.*$/, '')));
}
