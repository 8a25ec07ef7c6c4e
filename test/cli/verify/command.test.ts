/** Proves what `eventdispatch verify` prints of a folder of histories, its exit codes, and what it says of files it can't use. */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { runProgram } from '../../../src/cli/program.ts';
import { HISTORY_FILES } from '../../../src/verify/history.ts';
import type { History } from '../../../src/verify/history.ts';
import { temporaryDirectory } from '../../support/temp.ts';
import type { TemporaryDirectory } from '../../support/temp.ts';
import { simulatedHistory } from '../../verify/simulator.ts';

let root: TemporaryDirectory;
let folders = 0;

beforeAll(async () => {
  root = await temporaryDirectory('verify');
});
afterAll(() => root.remove());
afterEach(() => {
  vi.restoreAllMocks();
});

function written(history: History): string {
  const folder = path.join(root.path, String(folders++));
  mkdirSync(folder);
  writeFileSync(path.join(folder, 'run.json'), JSON.stringify(history.run));
  for (const [name, file] of Object.entries(HISTORY_FILES)) {
    const items: readonly unknown[] = history[name as keyof typeof HISTORY_FILES];
    writeFileSync(path.join(folder, file), items.map((item) => `${JSON.stringify(item)}\n`).join(''));
  }
  return folder;
}

async function run(...args: string[]): Promise<{ code: number; err: string; out: string }> {
  let err = '';
  let out = '';
  vi.spyOn(console, 'error').mockImplementation((line) => (err += `${line}\n`));
  vi.spyOn(console, 'log').mockImplementation((line) => (out += `${line}\n`));
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => ((err += String(text)), true));
  const code = await runProgram(['node', 'eventdispatch', 'verify', ...args], {});
  vi.restoreAllMocks();
  return { code, err, out };
}

test('a run that held: 16 rows, what its faults repeated, exit code 0', async () => {
  const { code, out } = await run('--histories', written(simulatedHistory(1)));
  expect(out.match(/│ I\d+ +│.*│ held /g)).toHaveLength(16);
  expect(out).toMatch(/duplicates per fault\n {2}kill .*█ 1\n/);
  expect(out).toMatch(/\nverdict: held\n$/);
  expect(code).toBe(0);
});

test('a run that lost something: named with an example, exit code 4', async () => {
  const history = simulatedHistory(2);
  const requests = history.requests.filter(
    ({ deliveryId }) => deliveryId !== history.requests[50]?.deliveryId,
  );
  const { code, out } = await run('--histories', written({ ...history, requests }));
  expect(out).toMatch(/│ I1 +│ nothing is lost +│ violated │/);
  expect(out).toMatch(/ {2}I1: dlv_\S+ of events \d:\d+ has no end; answered: never/);
  expect(code).toBe(4);
});

test('a run that saw no breaker open is invalid, exit code 5', async () => {
  const { code, out } = await run('--histories', written({ ...simulatedHistory(3), breakers: [] }), '--json');
  const verdict = JSON.parse(out) as { state: string; findings: { id: string; state: string }[] };
  expect(verdict.state).toBe('invalid');
  expect(verdict.findings).toHaveLength(16);
  expect(code).toBe(5);
});

test('files that are not there are named together', async () => {
  const { code, err } = await run('--histories', root.path);
  expect(err).toMatch(/^error: --histories .*: has no run\.json, produced\.jsonl, .*usage\.jsonl\n$/);
  expect(code).toBe(2);
});

test.each([
  ['{"atMs":1', /faults\.jsonl:2: .*JSON/],
  ['7', /faults\.jsonl:2: is no JSON object/],
  ['{"what":"kill","process":"p1","fromMs":"1","toMs":2}', /faults\.jsonl:2: fromMs must be a number/],
])('a line %s is named with its number', async (line, problem) => {
  const folder = written(simulatedHistory(1));
  const fault = JSON.stringify({ what: 'kill', process: 'p', fromMs: 1, toMs: 1 });
  writeFileSync(path.join(folder, 'faults.jsonl'), `${fault}\n${line}\n`);
  const { code, err } = await run('--histories', folder);
  expect(err).toMatch(problem);
  expect(code).toBe(2);
});
