/** The closing line of .ci/run says what the report says, and no run without tests is green. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';

const folder = mkdtempSync(path.join(tmpdir(), 'summary-'));
afterAll(() => {
  rmSync(folder, { recursive: true });
});

interface FileResult {
  status: string;
  assertionResults: { status: string }[];
}

function summarise(content: string | null): { line: string; status: number | null } {
  const file = path.join(folder, 'report.json');
  rmSync(file, { force: true });
  if (content !== null) writeFileSync(file, content);
  const script = path.resolve(import.meta.dirname, '../../scripts/test-summary.mjs');
  const { stdout, status } = spawnSync(process.execPath, [script, file], { encoding: 'utf8' });
  return { line: stdout, status };
}

function report(numbers: Record<string, number>, success: boolean, testResults: FileResult[] = []): string {
  const none = { numPassedTests: 0, numFailedTests: 0, numPendingTests: 0, numTodoTests: 0 };
  return JSON.stringify({ ...none, ...numbers, success, testResults });
}

test('a green run', () => {
  const content = report({ numPassedTests: 7, numPendingTests: 1, numTodoTests: 1 }, true);
  expect(summarise(content)).toEqual({ line: '7 passed, 0 failed, 2 skipped\n', status: 0 });
});

test('a failed test', () => {
  const files = [{ status: 'failed', assertionResults: [{ status: 'failed' }] }];
  const content = report({ numPassedTests: 7, numFailedTests: 1 }, false, files);
  expect(summarise(content)).toEqual({ line: '7 passed, 1 failed, 0 skipped\n', status: 1 });
});

test('a file that failed outside its tests', () => {
  const content = report({ numPassedTests: 7 }, false, [{ status: 'failed', assertionResults: [] }]);
  expect(summarise(content)).toEqual({ line: '7 passed, 1 failed, 0 skipped\n', status: 1 });
});

test('a run that failed outside its files', () => {
  const content = report({ numPassedTests: 7 }, false);
  expect(summarise(content)).toEqual({ line: '7 passed, 1 failed, 0 skipped\n', status: 1 });
});

test.each([
  ['no report', null],
  ['a report cut short', '{"numPassedTests": 7'],
])('%s', (_name, content) => {
  expect(summarise(content)).toEqual({ line: '0 passed, 1 failed, 0 skipped\n', status: 1 });
});

test('a run without tests', () => {
  expect(summarise(report({}, true))).toEqual({ line: '0 passed, 0 failed, 0 skipped\n', status: 1 });
});
