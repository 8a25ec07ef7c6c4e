/**
 * Proves that connections of an origin are given out first come, first served, and
 * never more than there are; and, over real sockets, that the one deadline ends an
 * attempt whatever the receiver does to keep it open.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { buildConnector, type Dispatcher, type Pool } from 'undici';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { DeliveryConfig } from '../../src/config/config.ts';
import { classify, type Verdict } from '../../src/deliver/classify.ts';
import { Exchange } from '../../src/deliver/exchange.ts';
import { HttpClient, Origin, type ConnectionWaiter } from '../../src/deliver/http-client.ts';
import { systemClock } from '../../src/domain/clock.ts';
import { waitFor } from '../support/wait.ts';

/** Takes requests and never answers. */
function silentPool(): { pool: Pool; sent: string[] } {
  const sent: string[] = [];
  const pool = { dispatch: ({ path }: Dispatcher.DispatchOptions) => sent.push(path), destroy: () => Promise.resolve() };
  return { pool: pool as unknown as Pool, sent };
}

const handler = {} as Dispatcher.DispatchHandler;

class Waiter implements ConnectionWaiter {
  waitsForConnection = false;
  readonly #name: string;
  readonly #origin: Origin;
  /** Requests it has to send when its turn comes. */
  toSend: number;

  constructor(name: string, origin: Origin, toSend = 1) {
    this.#name = name;
    this.#origin = origin;
    this.toSend = toSend;
  }

  onConnectionFree(): void {
    for (; this.toSend > 0; this.toSend--) {
      if (!this.#origin.hasFreeConnection) {
        this.#origin.waitForConnection(this);
        return;
      }
      this.#origin.post(this.#name, [], Buffer.alloc(0), handler);
    }
  }
}

describe('the connections of an origin', () => {
  /** An origin with all of its connections in use. */
  function busyOrigin(connections: number): { origin: Origin; sent: string[] } {
    const { pool, sent } = silentPool();
    const origin = new Origin(pool, connections);
    for (let i = 0; i < connections; i++) origin.post('/first', [], Buffer.alloc(0), handler);
    sent.length = 0;
    return { origin, sent };
  }

  test('go to whoever waits longest', () => {
    const { origin, sent } = busyOrigin(1);
    for (const name of ['a', 'b', 'c']) origin.waitForConnection(new Waiter(name, origin));
    for (let i = 0; i < 3; i++) origin.release();
    expect(sent).toEqual(['a', 'b', 'c']);
  });

  test('go round: one that has more to send queues up again behind the others', () => {
    const { origin, sent } = busyOrigin(1);
    origin.waitForConnection(new Waiter('a', origin, 3));
    origin.waitForConnection(new Waiter('b', origin, 2));
    for (let i = 0; i < 5; i++) origin.release();
    expect(sent).toEqual(['a', 'b', 'a', 'b', 'a']);
  });

  test('are passed on by one that has nothing to send any more', () => {
    const { origin, sent } = busyOrigin(1);
    for (const [name, toSend] of [['a', 0], ['b', 0], ['c', 1]] as const) {
      origin.waitForConnection(new Waiter(name, origin, toSend));
    }
    origin.release();
    expect(sent).toEqual(['c']);
    expect(origin.inUse).toBe(1);
  });

  test('are free when nobody waits, and a waiter waits once however often it says so', () => {
    const { origin, sent } = busyOrigin(2);
    const waiter = new Waiter('a', origin);
    origin.waitForConnection(waiter);
    origin.waitForConnection(waiter);
    origin.release();
    expect([sent, waiter.waitsForConnection, origin.hasFreeConnection]).toEqual([['a'], false, false]);
    origin.release();
    origin.release();
    expect([origin.inUse, origin.hasFreeConnection]).toEqual([0, true]);
  });
});

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
    client = new HttpClient(delivery, buildConnector({ timeout: 1_000, allowH2: false }), systemClock.monotonicMs());
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
  async function attempt(timeoutMs: number): Promise<{ verdict: Verdict; tookMs: number; exchange: Exchange<null> }> {
    const origin = client.origin(url);
    const startedMs = systemClock.monotonicMs();
    let endedMs = 0;
    let released = false;
    const listener = {
      onSpent: () => undefined,
      onEnd: (of: Exchange<null>) => {
        client.unwatch(of);
        endedMs = systemClock.monotonicMs();
      },
      onRelease: () => {
        released = true;
        origin.release();
      },
    };
    const exchange = new Exchange(listener, null, startedMs, timeoutMs, { maxExcerptBytes: 100, maxResponseBytes: 1_000 });
    client.watch(exchange);
    origin.post('/hook', ['x', 'y'], Buffer.from('{}'), exchange);
    await waitFor(() => released, { timeoutMs: 5_000, what: 'the connection to be given back', intervalMs: 2 });
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
    expect(tookMs).toBeLessThan(600);
    expect(client.inFlight).toBe(0);
  });

  test.each<[string, string, string]>([
    ['headers without end', `HTTP/1.1 200 OK\r\nx: ${'y'.repeat(40_000)}`, 'response_headers_too_large'],
    ['garbage', 'SSH-2.0-OpenSSH\r\n\r\n', 'response_malformed'],
    ['an answer with two lengths', 'HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 5\r\n\r\nx', 'response_malformed'],
  ])('%s is no delivery', async (_what, bytes, reason) => {
    onRequest = (socket) => socket.write(bytes);
    const { verdict } = await attempt(2_000);
    expect(verdict).toEqual({ class: 'failed_after_send', reason });
  });

  test('a body beyond the bound is cut, and its status stands', async () => {
    onRequest = (socket) => socket.write(`HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n${'z'.repeat(2_000)}`);
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
