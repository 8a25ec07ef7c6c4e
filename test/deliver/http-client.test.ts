/**
 * Proves over real sockets that an attempt ends as it should whatever the receiver
 * does: the one deadline, the bounds of what is read, and garbage for an answer.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { buildConnector } from 'undici';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { DeliveryConfig } from '../../src/config/config.ts';
import { classify, type Verdict } from '../../src/deliver/classify.ts';
import { Exchange } from '../../src/deliver/exchange.ts';
import { HttpClient } from '../../src/deliver/http-client.ts';
import { systemClock } from '../../src/domain/clock.ts';
import { waitFor } from '../support/wait.ts';

const delivery: DeliveryConfig = {
  allowAddresses: [],
  connectTimeoutMs: 1_000,
  connectionsPerOrigin: 4,
  keepAliveMs: 5_000,
  maxResponseBytes: 1_000,
  dns: { timeoutMs: 1_000, maxTtlMs: 1_000, servers: [] },
};

describe('over real sockets', () => {
  let server: Server;
  let client: HttpClient;
  let ticker: NodeJS.Timeout;
  let onRequest: (socket: Socket) => void;
  const sockets = new Set<Socket>();
  let url = '';

  beforeEach(async () => {
    server = createServer((socket) => {
      sockets.add(socket.on('error', () => undefined).on('close', () => sockets.delete(socket)));
      socket.on('data', (bytes) => {
        if (bytes.includes('\r\n\r\n')) onRequest(socket);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
    client = new HttpClient(
      delivery,
      buildConnector({ timeout: 1_000, allowH2: false }),
      systemClock.monotonicMs(),
    );
    ticker = setInterval(() => {
      client.tick(systemClock.monotonicMs());
    }, 5);
  });

  afterEach(async () => {
    clearInterval(ticker);
    await client.destroy();
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });

  /** Posts under a deadline and tells how it ended and after how long, once the connection is given back. */
  async function attempt(
    timeoutMs: number,
  ): Promise<{ verdict: Verdict; tookMs: number; exchange: Exchange<null> }> {
    const origin = client.origin(url);
    const startedMs = systemClock.monotonicMs();
    let endedMs = 0;
    let released = false;
    const listener = {
      onSpent: () => undefined,
      onAnswer: () => undefined,
      onEnd: (of: Exchange<null>) => {
        client.unwatch(of);
        endedMs = systemClock.monotonicMs();
      },
      onRelease: ({ connection }: Exchange<null>) => {
        released = true;
        origin.release(connection);
      },
    };
    const exchange = new Exchange(listener, null, startedMs, timeoutMs, {
      maxExcerptBytes: 100,
      maxResponseBytes: 1_000,
    });
    client.watch(exchange);
    origin.post('/hook', ['x', 'y'], Buffer.from('{}'), exchange);
    await waitFor(() => released, {
      timeoutMs: 5_000,
      what: 'the connection to be given back',
      intervalMs: 2,
    });
    return { verdict: classify(exchange), tookMs: endedMs - startedMs, exchange };
  }

  test('an answer is a delivery, and its connection is used again', async () => {
    let connections = 0;
    server.on('connection', () => connections++);
    onRequest = (socket) => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
    for (let i = 0; i < 3; i++) {
      const { verdict, exchange } = await attempt(1_000);
      expect([verdict.class, exchange.excerpt]).toEqual(['delivered', 'ok']);
    }
    expect(connections).toBe(1);
    expect(client.inFlight).toBe(0);
  });

  test.each<[string, (socket: Socket) => void, string]>([
    ['silence', () => undefined, 'deadline'],
    [
      'a flood of informational answers',
      (socket) => {
        const flood = setInterval(() => socket.write('HTTP/1.1 103 Early Hints\r\n\r\n'), 5);
        socket.on('close', () => {
          clearInterval(flood);
        });
      },
      'deadline',
    ],
    [
      'a body that drips',
      (socket) => {
        socket.write('HTTP/1.1 500 Oops\r\ncontent-length: 900\r\n\r\n');
        const drip = setInterval(() => socket.write('x'), 5);
        socket.on('close', () => {
          clearInterval(drip);
        });
      },
      'http_500',
    ],
    [
      'headers that drip',
      (socket) => {
        socket.write('HTTP/1.1 200 OK\r\n');
        const drip = setInterval(() => socket.write('x: y\r\n'), 50);
        socket.on('close', () => {
          clearInterval(drip);
        });
      },
      'deadline',
    ],
  ])('%s ends at the deadline, at most some slots late', async (_what, receiver, reason) => {
    onRequest = receiver;
    const { verdict, tookMs } = await attempt(150);
    expect(verdict).toEqual({ class: 'failed_after_send', reason });
    expect(tookMs).toBeGreaterThanOrEqual(150);
    expect(tookMs).toBeLessThan(2_000);
    expect(client.inFlight).toBe(0);
  });

  test.each<[string, string, string]>([
    ['headers without end', `HTTP/1.1 200 OK\r\nx: ${'y'.repeat(40_000)}`, 'response_headers_too_large'],
    ['garbage', 'SSH-2.0-OpenSSH\r\n\r\n', 'response_malformed'],
    [
      'an answer with two lengths',
      'HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 5\r\n\r\nx',
      'response_malformed',
    ],
  ])('%s is no delivery', async (_what, bytes, reason) => {
    onRequest = (socket) => socket.write(bytes);
    const { verdict } = await attempt(2_000);
    expect(verdict).toEqual({ class: 'failed_after_send', reason });
  });

  test('a body beyond the bound is cut, and its status stands', async () => {
    onRequest = (socket) =>
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n${'z'.repeat(2_000)}`);
    const { verdict, exchange } = await attempt(2_000);
    expect(verdict.class).toBe('delivered');
    expect(exchange.excerpt).toBe('z'.repeat(100));
  });

  test('a receiver that is gone is a failure before anything was sent', async () => {
    await new Promise((resolve) => server.close(resolve));
    const { verdict } = await attempt(2_000);
    expect(verdict).toEqual({ class: 'failed_before_send', reason: 'connect_refused' });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });

  test('a client that is destroyed breaks off what is in flight, as our own doing', async () => {
    onRequest = () => void client.destroy();
    const { verdict } = await attempt(5_000);
    expect(verdict).toEqual({ class: 'local', reason: 'shutdown' });
  });
});
