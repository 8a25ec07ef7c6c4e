/** The small helpers: waiting ends, locks exclude, children end with their parent and tell how they ended. */
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { withFileLock } from '../support/file-lock.ts';
import { freePorts } from '../support/ports.ts';
import { runToEnd, spawnChild, startNodeChild } from '../support/process.ts';
import { startRegistryStub } from '../support/registry-stub.ts';
import { repositoryRoot } from '../support/repository.ts';
import { temporaryDirectory } from '../support/temp.ts';
import type { TemporaryDirectory } from '../support/temp.ts';
import { waitFor } from '../support/wait.ts';

let directory: TemporaryDirectory;
beforeAll(async () => {
  directory = await temporaryDirectory('helpers');
});
afterAll(async () => {
  await directory.remove();
  expect(existsSync(directory.path)).toBe(false);
});

function node(name: string, code: string) {
  return { name, command: process.execPath, args: ['-e', code] };
}

test('waitFor gives the answer, tells what it waited for, and passes errors on', async () => {
  let looks = 0;
  const third = () => (++looks === 3 ? 'there' : undefined);
  expect(await waitFor(third, { timeoutMs: 2_000, intervalMs: 1, what: 'x' })).toBe('there');
  const never = waitFor(() => false, { timeoutMs: 30, what: () => `tea, after ${looks} looks` });
  await expect(never).rejects.toThrow('timed out after 30 ms waiting for tea, after 3 looks');
  const broken = () => Promise.reject(new Error('broken'));
  await expect(waitFor(broken, { timeoutMs: 1_000, what: 'x' })).rejects.toThrow('broken');
});

test('free ports differ', async () => {
  expect(new Set(await freePorts(20)).size).toBe(20);
});

test('the repository root is the one with package.json', async () => {
  expect(JSON.parse(await readFile(path.join(repositoryRoot, 'package.json'), 'utf8'))).toMatchObject({
    name: 'eventdispatch',
  });
});

describe('file lock', () => {
  test('lets one in at a time', async () => {
    let inside = 0;
    let most = 0;
    const work = () =>
      withFileLock(path.join(directory.path, 'one.lock'), 5_000, async () => {
        inside += 1;
        most = Math.max(most, inside);
        await new Promise(setImmediate);
        inside -= 1;
      });
    await Promise.all([work(), work(), work()]);
    expect(most).toBe(1);
  });

  test('of a dead owner is taken over', async () => {
    const lock = path.join(directory.path, 'dead.lock');
    const dead = await spawnChild(node('short', ''));
    await dead.exited;
    await mkdir(lock);
    await writeFile(path.join(lock, 'pid'), String(dead.pid));
    expect(await withFileLock(lock, 5_000, () => Promise.resolve('in'))).toBe('in');
  });
});

describe('children', () => {
  test('ready line, output, stop', async () => {
    const script = path.join(directory.path, 'child.mjs');
    await writeFile(script, `console.log('port 7'); console.error('and more'); setInterval(() => {}, 1000);`);
    const { child, ready } = await startNodeChild(script, { name: 'child', args: [], ready: /port (\d+)/ });
    expect(ready[1]).toBe('7');
    await child.waitForLine(/and more/, 5_000);
    expect(child.isRunning()).toBe(true);
    expect(await child.stop()).toEqual({ code: null, signal: 'SIGTERM' });
    expect(child.isRunning()).toBe(false);
  });

  test('one that ends before it is ready fails with its output', async () => {
    const start = startNodeChild(path.join(directory.path, 'absent.mjs'), {
      name: 'absent',
      args: [],
      ready: /never printed/,
    });
    await expect(start).rejects.toThrow(/absent ended with exit code 1 .*\n(.*\n)*.*Cannot find module/);
  });

  test('one that ignores SIGTERM is killed at the deadline, paused or not', async () => {
    const child = await spawnChild(
      node('stubborn', `process.on('SIGTERM', () => {}); console.log('on'); setInterval(() => {}, 9)`),
    );
    await child.waitForLine(/on/, 5_000);
    child.pause();
    expect(await child.stop(100)).toEqual({ code: null, signal: 'SIGKILL' });
  });

  test('runToEnd gives the output, or fails with it', async () => {
    const timeoutMs = 10_000;
    expect(await runToEnd({ ...node('good', `console.log('fine')`), timeoutMs })).toBe('fine');
    const bad = runToEnd({ ...node('bad', `console.log('why'); process.exitCode = 3`), timeoutMs });
    await expect(bad).rejects.toThrow('bad ended with exit code 3:\nwhy');
    const slow = runToEnd({ ...node('slow', 'setInterval(() => {}, 1000)'), timeoutMs: 100 });
    await expect(slow).rejects.toThrow('slow ended with signal SIGKILL (allowed: 100 ms)');
  });

  test.skipIf(process.platform !== 'linux')('end when their parent is killed', async () => {
    const support = path.join(repositoryRoot, 'test/support/receiver-process.mjs');
    const code = `
      const child = require('node:child_process').spawn(process.execPath, [${JSON.stringify(support)}, '[]'],
        { stdio: ['pipe', 'inherit', 'inherit'] });
      console.log('child ' + child.pid); setInterval(() => {}, 1000);`;
    const parent = await spawnChild(node('parent', code));
    const pid = Number((await parent.waitForLine(/child (\d+)/, 5_000))[1]);
    await parent.waitForLine(/receiver ready/, 5_000);
    await parent.kill();
    await waitFor(() => !existsSync(`/proc/${pid}`), { timeoutMs: 5_000, what: 'the grandchild to end' });
  });
});

test('registry stub: each mode, and down, then up on the same port', async () => {
  const stub = await startRegistryStub();
  const ask = async (id: number) => {
    const response = await fetch(`${stub.url}/schemas/ids/${id}`, { signal: AbortSignal.timeout(200) });
    return [response.status, await response.json()] as const;
  };
  stub.setSchema(1, { type: 'string' });
  expect(await ask(1)).toEqual([200, { schema: '{"type":"string"}' }]);
  expect(await ask(2)).toMatchObject([404, { error_code: 40403 }]);
  stub.setMode('server-error');
  expect((await ask(1))[0]).toBe(500);
  stub.setMode('unauthorized');
  expect((await ask(1))[0]).toBe(401);
  stub.setMode('hang');
  await expect(ask(1)).rejects.toThrow(/timeout/);
  stub.setMode({ delayMs: 30 });
  expect((await ask(1))[0]).toBe(200);
  stub.setMode('ok');
  const { url } = stub;
  await stub.goDown();
  await expect(ask(1)).rejects.toThrow(/fetch failed/);
  await stub.comeUp();
  expect(stub.url).toBe(url);
  expect((await ask(1))[0]).toBe(200);
  expect(stub.requests.get('/schemas/ids/1')).toBe(6);
  await stub.stop();
});
