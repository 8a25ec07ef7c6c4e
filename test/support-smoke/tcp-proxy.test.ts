/** The fault proxy does what it is told: bytes come late, not at all, or end in a reset, and never out of order. */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';

import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';
import { waitFor } from '../support/wait.ts';

let echo: Server;
let proxy: TcpProxy;
let client = new Socket();
let received = '';
const TIMEOUT = { timeoutMs: 5_000, intervalMs: 1 };

beforeAll(async () => {
  echo = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => undefined);
    socket.pipe(socket);
  });
  echo.listen(0, '127.0.0.1');
  await once(echo, 'listening');
  proxy = await startTcpProxy();
  proxy.setTarget(`127.0.0.1:${(echo.address() as AddressInfo).port}`);
});
afterAll(async () => {
  await proxy.stop();
  echo.close();
});
beforeEach(async () => {
  proxy.setFaults({});
  client.destroy();
  received = '';
  client = connect({ port: proxy.port, host: '127.0.0.1', allowHalfOpen: true });
  client.on('data', (chunk: Buffer) => (received += String(chunk)));
  await once(client, 'connect');
});
afterAll(() => client.destroy());

async function echoed(text: string): Promise<number> {
  const startedMs = performance.now();
  await waitFor(() => received === text, { ...TIMEOUT, what: () => `${text}, got ${received}` });
  return performance.now() - startedMs;
}

test('without faults it passes bytes, and a latency twice to a round trip, in their order', async () => {
  client.write('a');
  await echoed('a');
  proxy.setFaults({ latencyMs: 100 });
  client.write('b');
  proxy.setFaults({ latencyMs: 50 });
  await sleep(1);
  client.write('c');
  expect(await echoed('abc')).toBeGreaterThanOrEqual(99);
});

test('a black hole keeps what is written until it heals', async () => {
  proxy.setFaults({ isBlackHole: true });
  client.write('held');
  await sleep(100);
  expect(received).toBe('');
  proxy.setFaults({});
  await echoed('held');
});

test('a reset comes after so many bytes, or at once', async () => {
  proxy.setFaults({ resetAfterBytes: 4 });
  client.write('abc');
  await echoed('abc');
  client.write('d');
  const [error] = (await once(client, 'error')) as [NodeJS.ErrnoException];
  expect(error.code).toBe('ECONNRESET');
  const other = connect(proxy.port, '127.0.0.1');
  await once(other, 'connect');
  await waitFor(() => proxy.connections === 1, { ...TIMEOUT, what: 'the connection' });
  proxy.resetAll();
  expect(((await once(other, 'error')) as [NodeJS.ErrnoException])[0].code).toBe('ECONNRESET');
});

test('a half close ends what the client reads, while it may write', async () => {
  client.write('x');
  await echoed('x');
  proxy.halfCloseAll();
  await once(client, 'end');
  expect(client.write('still')).toBe(true);
});
