/** The leak check of the unit tests sees each kind of leak, and sees it go. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { MessageChannel, Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import { openAfter } from './open-resources.ts';

const LEAKS: [string, () => Promise<() => unknown>][] = [
  [
    '1 Timeout',
    () => {
      const timer = setInterval(() => undefined, 60_000);
      return Promise.resolve(() => {
        clearInterval(timer);
      });
    },
  ],
  [
    '1 TCPServerWrap',
    async () => {
      const server = net.createServer().listen(0, '127.0.0.1');
      await once(server, 'listening');
      return () => server.close();
    },
  ],
  [
    '1 MessagePort',
    () => {
      const { port1 } = new MessageChannel();
      port1.on('message', () => undefined);
      return Promise.resolve(() => {
        port1.close();
      });
    },
  ],
  [
    '1 ProcessWrap',
    async () => {
      const child = spawn('sleep', ['60'], { stdio: 'ignore' });
      await once(child, 'spawn');
      return () => child.kill('SIGKILL');
    },
  ],
  [
    '1 Worker',
    async () => {
      const worker = new Worker('setInterval(() => {}, 60_000)', { eval: true });
      await once(worker, 'online');
      worker.unref();
      return () => worker.terminate();
    },
  ],
];

describe('open resources', () => {
  test.each(LEAKS)('%s is reported until it is closed', async (name, open) => {
    expect(await openAfter(2_000)).toEqual([]);
    const close = await open();
    expect(await openAfter(0)).toContain(name);
    await close();
    expect(await openAfter(2_000)).toEqual([]);
  });

  test('an open connection is reported at both of its ends', async () => {
    const server = net.createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const client = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1');
    const [accepted] = (await once(server, 'connection')) as [net.Socket];
    expect(await openAfter(0)).toContain('2 TCPSocketWrap');
    client.destroy();
    accepted.destroy();
    server.close();
    expect(await openAfter(2_000)).toEqual([]);
  });
});
