/** Proves what a client of the HTTP surface gets, and that no client and no handler can take the process down. */
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import type { Readiness } from '../../src/api/readiness.ts';
import type { Route } from '../../src/api/reply.ts';
import { surfaceRoutes } from '../../src/api/routes.ts';
import { startHttpSurface } from '../../src/api/server.ts';
import type { HttpSurface } from '../../src/api/server.ts';
import { UserError } from '../../src/domain/errors.ts';
import { freePort } from '../support/ports.ts';
import { waitFor } from '../support/wait.ts';

const HOST = '127.0.0.1';
const open: HttpSurface[] = [];
afterEach(() => {
  for (const surface of open.splice(0)) surface.close();
});

async function start(routes: readonly Route[], errors: unknown[] = []): Promise<HttpSurface> {
  const onHandlerError = (error: unknown): void => void errors.push(error);
  const surface = await startHttpSurface({ host: HOST, port: 0, routes, onHandlerError });
  open.push(surface);
  return surface;
}

const text = (path: string, body: string): Route => ({
  path,
  get: () => ({ status: 200, contentType: 'text/plain', body }),
});

/** Sends bytes, and gives all that comes back until the server closes or the text is there. */
async function exchange(port: number, request: string, until: RegExp): Promise<string> {
  const socket = connect(port, HOST);
  let answer = '';
  socket.setEncoding('utf8').on('data', (chunk: string) => (answer += chunk));
  socket.write(request);
  await waitFor(() => until.test(answer), { timeoutMs: 5_000, what: () => `${String(until)} in ${answer}` });
  socket.destroy();
  return answer;
}

const url = (surface: HttpSurface, path: string): string => `http://${HOST}:${surface.port}${path}`;

describe('the routes of the surface', () => {
  const readiness = (ready: boolean): Readiness => {
    const ok = { ok: true } as const;
    const ledger = ready ? ok : { ok: false, reason: 'inserts are refused', state: 'alarm' };
    return { ready, checks: { running: ok, kafka: ok, pollLoop: ok, ledger, rekey: ok, lanes: ok } };
  };
  const routes = (ready: boolean): readonly Route[] =>
    surfaceRoutes({
      metrics: { contentType: 'text/plain; version=0.0.4', renderMetrics: () => Promise.resolve('up 1\n') },
      readiness: () => readiness(ready),
    });

  test('/metrics is what the metrics render, in their content type', async () => {
    const response = await fetch(url(await start(routes(true)), '/metrics'));
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4');
    expect(await response.text()).toBe('up 1\n');
  });

  test('/health is 200 also while not ready', async () => {
    const response = await fetch(url(await start(routes(false)), '/health'));
    expect([response.status, await response.json()]).toEqual([200, { status: 'up' }]);
  });

  test('/health/ready is 200 with each check', async () => {
    const response = await fetch(url(await start(routes(true)), '/health/ready?verbose=1'));
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('application/json');
    expect(await response.json()).toEqual({ status: 'ready', checks: readiness(true).checks });
  });

  test('/health/ready is 503 with the reason', async () => {
    const response = await fetch(url(await start(routes(false)), '/health/ready'));
    expect(response.status).toBe(503);
    expect(response.statusText).toBe('Service Unavailable');
    const body = (await response.json()) as { status: string; checks: Record<string, unknown> };
    expect(body.status).toBe('not_ready');
    expect(body.checks['ledger']).toEqual({ ok: false, reason: 'inserts are refused', state: 'alarm' });
  });
});

describe('what is not there', () => {
  test.each(['/', '/nothing', '/healthy', '/a/', '/%61'])('%s is 404 as problem+json', async (path) => {
    const response = await fetch(url(await start([text('/a', 'x')]), path));
    expect(response.status).toBe(404);
    expect(response.headers.get('content-type')).toBe('application/problem+json');
    expect(await response.json()).toEqual({
      type: 'about:blank',
      title: 'Not Found',
      status: 404,
      detail: `there is nothing at ${path}`,
    });
  });

  test.each(['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'])(
    '%s is 405 with what is allowed',
    async (method) => {
      const surface = await start([text('/a', 'x')]);
      const body = method === 'OPTIONS' ? null : 'y'.repeat(100_000);
      const response = await fetch(url(surface, '/a'), { method, body });
      expect(response.status).toBe(405);
      expect(response.headers.get('allow')).toBe('GET, HEAD');
      expect(response.headers.get('content-type')).toBe('application/problem+json');
      expect(await response.json()).toMatchObject({ title: 'Method Not Allowed', status: 405 });
    },
  );
});

describe('HEAD', () => {
  test('has the headers of GET and no body, and the connection goes on', async () => {
    const { port } = await start([text('/a', 'grün')]);
    const request = (method: string, path: string): string => `${method} ${path} HTTP/1.1\r\nHost: x\r\n\r\n`;
    const answer = await exchange(port, request('HEAD', '/a') + request('GET', '/a'), /grün$/);
    const [head, get, end] = answer.split('HTTP/1.1 200 OK\r\n').slice(1).concat('none');
    expect(head).toMatch(/content-type: text\/plain\r\n/);
    expect(head).toMatch(/content-length: 5\r\n/i);
    expect(head!.endsWith('\r\n\r\n')).toBe(true);
    expect(get).toMatch(/content-length: 5\r\n[^]*grün$/i);
    expect(end).toBe('none');
  });

  test('of nothing is 404 without a body', async () => {
    const response = await fetch(url(await start([]), '/none'), { method: 'HEAD' });
    expect([response.status, await response.text()]).toEqual([404, '']);
  });
});

describe('a handler that fails', () => {
  const broken: Route[] = [
    {
      path: '/throws',
      get: () => {
        throw new Error('secret detail');
      },
    },
    { path: '/rejects', get: () => Promise.reject(new Error('secret detail')) },
  ];

  test.each(['/throws', '/rejects'])('%s is a plain 500, and is told', async (path) => {
    const errors: unknown[] = [];
    const surface = await start(broken, errors);
    const response = await fetch(url(surface, path));
    expect(response.status).toBe(500);
    expect(await response.text()).not.toContain('secret detail');
    expect(errors).toEqual([new Error('secret detail')]);
  });
});

describe('clients that misbehave', () => {
  test('one that leaves before the answer does no harm', async () => {
    const answers: (() => void)[] = [];
    const slow: Route = {
      path: '/slow',
      get: () =>
        new Promise((resolve) => {
          answers.push(() => {
            resolve({ status: 200, contentType: 'text/plain', body: 'late' });
          });
        }),
    };
    const surface = await start([slow, text('/a', 'x')]);
    const socket: Socket = connect(surface.port, HOST);
    socket.write('GET /slow HTTP/1.1\r\nHost: x\r\n\r\n');
    await waitFor(() => answers.length === 1, { timeoutMs: 5_000, what: 'the request' });
    socket.destroy();
    await once(socket, 'close');
    // An exchange behind it shows that the server has seen the close.
    expect(await (await fetch(url(surface, '/a'))).text()).toBe('x');
    answers[0]!();
    expect(await (await fetch(url(surface, '/a'))).text()).toBe('x');
  });

  test('bytes that are no HTTP end that connection only', async () => {
    const surface = await start([text('/a', 'x')]);
    await exchange(surface.port, 'NONSENSE\r\n\r\n', /^HTTP\/1\.1 (4|5)\d\d/);
    expect(await (await fetch(url(surface, '/a'))).text()).toBe('x');
  });

  test('many requests at once are all answered', async () => {
    const surface = await start([text('/a', 'x'.repeat(50_000))]);
    const bodies = await Promise.all(
      Array.from({ length: 200 }, async () => (await (await fetch(url(surface, '/a'))).text()).length),
    );
    expect(new Set(bodies)).toEqual(new Set([50_000]));
  });
});

describe('start and stop', () => {
  const problemsOf = async (host: string, port: number): Promise<readonly string[]> => {
    const started = startHttpSurface({ host, port, routes: [], onHandlerError: () => undefined });
    const error = await started.catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(UserError);
    return (error as UserError).problems;
  };

  test('a port another surface has is a UserError that names http.port, and is not shared', async () => {
    // A port of our choice: for port 0 uWebSockets.js never shares, for a given one it would by default.
    const port = await freePort();
    open.push(await startHttpSurface({ host: HOST, port, routes: [], onHandlerError: () => undefined }));
    expect(await problemsOf(HOST, port)).toEqual([
      `http.port: ${port} is in use on ${HOST}; allowed is a free port, or 0 for any free one`,
    ]);
  });

  test('a port another program has is a UserError that names http.port', async () => {
    const other = createServer().listen(0, HOST);
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    expect(await problemsOf(HOST, port)).toEqual([expect.stringMatching(/^http\.port: \d+ is in use/)]);
    other.close();
    await once(other, 'close');
  });

  test('an address of another machine is a UserError that names http.host', async () => {
    expect(await problemsOf('203.0.113.7', 0)).toEqual([
      expect.stringMatching(/^http\.host: cannot listen on 203\.0\.113\.7 .*EADDRNOTAVAIL/),
    ]);
  });

  test('close ends idle and waiting connections, and a restart gets the port at once', async () => {
    const never: Route = { path: '/never', get: () => new Promise(() => undefined) };
    const options = { host: HOST, port: await freePort(), routes: [never], onHandlerError: () => undefined };
    const surface = await startHttpSurface(options);
    const sockets = [connect(surface.port, HOST), connect(surface.port, HOST)];
    await Promise.all(sockets.map((socket) => once(socket, 'connect')));
    sockets[1]!.write('GET /never HTTP/1.1\r\nHost: x\r\n\r\n');
    // Both connections are the server's own once a later one has been answered.
    expect((await fetch(url(surface, '/none'))).status).toBe(404);
    const closed = Promise.all(sockets.map((socket) => once(socket.resume(), 'close')));
    surface.close();
    await closed;

    const again = await startHttpSurface(options);
    expect(again.port).toBe(options.port);
    again.close();
  });
});
