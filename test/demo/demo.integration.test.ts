/** The demo as a user starts it, without a terminal: it delivers, proves it, cleans up and exits 0. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { spawnChild, type Child } from '../support/process.ts';
import { repositoryRoot } from '../support/repository.ts';

const START_TIMEOUT_MS = 60_000;
const LOG_FILE = /log (\S+)\/dispatcher\.log/;

function startDemo(...args: string[]): Promise<Child> {
  return spawnChild({
    name: 'the demo',
    command: process.execPath,
    args: [path.join(repositoryRoot, 'bin', 'demo.cjs'), ...args],
  });
}

function expectGoodEnd(output: string): void {
  expect(output).not.toMatch(/NOT OK/);
  expect(output).toMatch(/^OK {6}every expected \(event, destination\) has a final outcome$/m);
  expect(output).toMatch(/^OK {6}none has two final outcomes$/m);
  expect(output).toMatch(/^OK: none missing, none twice$/m);
  const folder = LOG_FILE.exec(output)?.[1];
  expect(folder).toBeDefined();
  expect(existsSync(folder!)).toBe(false);
}

/** The numbers in a table's row. */
function rowOf(output: string, name: string): number[] {
  const row = new RegExp(`^│ ${name} .*$`, 'm').exec(output)?.[0] ?? '';
  return [...row.matchAll(/│ +([\d,]+) (?=│)/g)].map((match) => Number(match[1]!.replaceAll(',', '')));
}

describe('npm run demo, no terminal', () => {
  test('for 10 s: plain lines, tables by SQL, the verdict, exit code 0', async () => {
    const demo = await startDemo('--seconds', '10');
    const { code } = await demo.exited;
    const output = demo.output();
    expect(code, output).toBe(0);
    expect(output).not.toContain('\u001b');
    expect(output.match(/^producing \d+\/10 s \| in .*$/gm)?.length).toBeGreaterThanOrEqual(4);
    expect(output).toMatch(/^draining: \d+ records open/m);
    for (const id of ['crm', 'warehouse', 'billing']) {
      const [deliveries, delivered, dead] = rowOf(output, id);
      expect(deliveries, id).toBeGreaterThan(500);
      expect(delivered! + dead!, id).toBe(deliveries);
    }
    expect(rowOf(output, 'retrying')[0], 'retries of the flaky receiver').toBeGreaterThan(0);
    expect(rowOf(output, 'filtered')[0], 'events that nobody wants').toBeGreaterThan(0);
    expectGoodEnd(output);
  });

  test('stopped by Ctrl-C, it delivers what it produced, proves it and exits 0', async () => {
    const demo = await startDemo('--seconds', '600');
    await demo.waitForLine(/^producing [1-9]\d*\/600 s .* crm [1-9]/, START_TIMEOUT_MS);
    demo.signal('SIGINT');
    const { code } = await demo.exited;
    expect(code, demo.output()).toBe(0);
    expectGoodEnd(demo.output());
  });

  test('a wrong option is one line that says what is allowed, exit code 2', async () => {
    const demo = await startDemo('--seconds', 'soon');
    expect((await demo.exited).code).toBe(2);
    expect(demo.output()).toContain('Allowed: a whole number, 1 to 3600.');
  });
});
