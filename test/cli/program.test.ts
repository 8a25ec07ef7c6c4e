/** Proves what a user sees of the program: help with examples, the version, the configuration, problems and exit codes. */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { repositoryRoot } from '../support/repository.ts';
import { temporaryDirectory } from '../support/temp.ts';
import type { TemporaryDirectory } from '../support/temp.ts';

const PROGRAM = path.join(repositoryRoot, 'bin', 'eventdispatch.cjs');
let folder: TemporaryDirectory;

beforeAll(async () => {
  folder = await temporaryDirectory('cli');
});
afterAll(() => folder.remove());

interface Result {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

function run(args: readonly string[], env: Record<string, string> = {}, program = PROGRAM): Result {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...args], {
    cwd: folder.path,
    encoding: 'utf8',
    env: { PATH: process.env['PATH'], ...env },
    timeout: 20_000,
  });
  return { code: status, out: stdout, err: stderr };
}

function writeConfig(name: string, text: string): string {
  writeFileSync(path.join(folder.path, name), text);
  return name;
}

describe('help', () => {
  test.each([[], ['start'], ['check-config'], ['migrate'], ['produce'], ['query']])(
    'of %j has examples',
    (...command) => {
      const { code, out } = run([...command, '--help']);
      expect(code).toBe(0);
      expect(out).toMatch(/^Usage: eventdispatch/);
      expect(out).toMatch(/\nExamples:\n {2}\$ .*eventdispatch /);
    },
  );

  test('the version is that of package.json', () => {
    const { version } = JSON.parse(readFileSync(path.join(repositoryRoot, 'package.json'), 'utf8'));
    expect(run(['--version'])).toEqual({ code: 0, out: `${version}\n`, err: '' });
  });

  test.each([
    [['nonsense']],
    [['start', '--wrong']],
    [['produce', '--count', 'x']],
    [['produce', '--rate', '5']],
    [[]],
  ])('a wrong command line %j is exit code 2, without a stack', (args) => {
    const { code, err, out } = run(args);
    expect(code).toBe(2);
    expect(out).toBe('');
    expect(err).toMatch(/--help/);
    expect(err).not.toMatch(/\n\s+at /);
  });
});

describe('check-config', () => {
  test('prints the effective configuration, secrets masked', () => {
    const file = writeConfig(
      'good.yaml',
      `clickhouse: { url: 'http://ch:8123', password: '\${env:CH}' }
destinations:
  - { id: a, tenant: t, url: 'https://h.example/x', headers: { authorization: hunter2 } }
`,
    );
    const { code, out, err } = run(['check-config', '--config', file], {
      CH: 'hunter3',
      EVENTDISPATCH_LANES__COUNT: '3',
    });
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toMatch(/^kafka:\n/);
    expect(out).toContain('\n  count: 3\n');
    expect(out).toContain('authorization: "********"');
    expect(out).not.toMatch(/hunter/);
    expect(
      run(['check-config'], { CH: 'hunter3', EVENTDISPATCH_CONFIG: file, EVENTDISPATCH_LANES__COUNT: '3' })
        .out,
    ).toBe(out);
  });

  test('prints every problem at once, a line each, exit code 2', () => {
    const file = writeConfig('bad.yaml', 'kafka: { brokers: x }\nhttp: { port: 99999 }\ndestinations: []\n');
    const { code, out, err } = run(['check-config', '--config', file], { EVENTDISPATCH_WRONG: '1' });
    expect({ code, out }).toEqual({ code: 2, out: '' });
    const lines = err.trimEnd().split('\n');
    expect(lines).toHaveLength(4);
    expect(lines.every((line) => line.startsWith('error: '))).toBe(true);
    expect(lines.join('\n')).toContain('error: bad.yaml:1 kafka.brokers: "x" is not allowed');
  });

  test.each([['start'], ['check-config'], ['migrate']])('%s says how to get a configuration', (command) => {
    for (const args of [[command], [command, '--config', 'none.yaml']]) {
      const { code, err } = run(args);
      expect(code).toBe(2);
      expect(err).toMatch(/^error: .*--config FILE.*eventdispatch\.example\.yaml.*\n$/);
    }
  });

  test('--reference is docs/configuration.md', () => {
    const { code, out } = run(['check-config', '--reference']);
    expect(code).toBe(0);
    expect(out).toBe(readFileSync(path.join(repositoryRoot, 'docs/configuration.md'), 'utf8'));
  });
});

describe('what needs a system', () => {
  test('migrate has nothing to do for a temporary ledger', () => {
    const file = writeConfig(
      'embedded.yaml',
      "destinations: [{ id: a, tenant: t, url: 'https://h.example' }]\n",
    );
    const { code, err } = run(['migrate', '--config', file]);
    expect(code).toBe(2);
    expect(err).toMatch(/^error: nothing to migrate: .*clickhouse\.url.*\n$/);
  });

  test('produce needs a broker, and types of the catalogue', () => {
    const noBroker = run(['produce', '--config', 'embedded.yaml']);
    expect(noBroker.code).toBe(2);
    expect(noBroker.err).toMatch(/^error: no broker to send to: .*--brokers.*\n$/);
    const noType = run(['produce', '--brokers', '127.0.0.1:1', '--types', 'nothing.*']);
    expect(noType.code).toBe(2);
    expect(noType.err).toMatch(/^error: no event type chosen; the catalogue has .*contact\.created.*\n$/);
  });
});

test('a checkout that was not built says so in one line', () => {
  const bin = path.join(folder.path, 'bin');
  cpSync(path.join(repositoryRoot, 'bin'), bin, { recursive: true });
  expect(existsSync(path.join(folder.path, 'dist'))).toBe(false);
  const { code, err } = run(['start'], {}, path.join(bin, 'eventdispatch.cjs'));
  expect(code).toBe(1);
  expect(err).toBe('error: dist/ is not there: run `npm run build` first\n');
});
