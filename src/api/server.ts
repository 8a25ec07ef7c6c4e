import { createServer } from 'node:net';
import { UserError } from '../domain/errors.ts';
import { phraseOf, problemReply } from './reply.ts';
import type { Reply, Route } from './reply.ts';
import { listenExclusively, loadUws } from './uws.ts';
import type { HttpRequest, HttpResponse } from './uws.ts';

export interface HttpSurfaceOptions {
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  readonly routes: readonly Route[];
  /** Told when a handler throws; the client gets a plain 500. */
  readonly onHandlerError: (error: unknown, path: string) => void;
}

export interface HttpSurface {
  /** The port it listens on. */
  readonly port: number;
  /** Stops listening and ends all connections. */
  close(): void;
}

/** @throws UserError naming `http.port` or `http.host` when it cannot listen, or when uWebSockets.js cannot load. */
export async function startHttpSurface(options: HttpSurfaceOptions): Promise<HttpSurface> {
  const uws = await loadUws();
  const app = uws.App();
  const routes = new Map(options.routes.map((route) => [route.path, route]));
  app.any('/*', (response, request) => {
    handle(response, request, routes, options.onHandlerError);
  });
  const port = listenExclusively(uws, app, options.host, options.port);
  if (port === null) {
    app.close();
    throw new UserError([await whyNotListening(options.host, options.port)]);
  }
  return { port, close: () => void app.close() };
}

function handle(
  response: HttpResponse,
  request: HttpRequest,
  routes: ReadonlyMap<string, Route>,
  onHandlerError: HttpSurfaceOptions['onHandlerError'],
): void {
  let aborted = false;
  response.onAborted(() => {
    aborted = true;
  });
  // The request object is gone once this function returns, so its parts are read here.
  const path = request.getUrl();
  const method = request.getMethod().toUpperCase();
  void replyTo(method, path, routes, onHandlerError).then((reply) => {
    if (!aborted) response.cork(() => send(response, reply, method === 'HEAD'));
  });
}

/** Never rejects. */
async function replyTo(
  method: string,
  path: string,
  routes: ReadonlyMap<string, Route>,
  onHandlerError: HttpSurfaceOptions['onHandlerError'],
): Promise<Reply> {
  const route = routes.get(path);
  if (route === undefined) return problemReply(404, `there is nothing at ${path}`);
  if (method !== 'GET' && method !== 'HEAD') {
    return problemReply(405, `${path} can be read only`, { allow: 'GET, HEAD' });
  }
  try {
    return await route.get();
  } catch (error) {
    onHandlerError(error, path);
    return problemReply(500, `${path} could not be answered`);
  }
}

function send(response: HttpResponse, reply: Reply, headersOnly: boolean): void {
  response.writeStatus(`${reply.status} ${phraseOf(reply.status)}`);
  response.writeHeader('content-type', reply.contentType);
  response.writeHeader('cache-control', 'no-store');
  for (const [name, value] of Object.entries(reply.headers ?? {})) response.writeHeader(name, value);
  if (headersOnly) {
    // `endWithoutBody(length)` of this build drops the connection (and, with no abort handler, the process).
    response.writeHeader('content-length', String(Buffer.byteLength(reply.body)));
    response.endWithoutBody();
  } else {
    response.end(reply.body);
  }
}

/** Listens once more with Node, which says why it can't. */
async function whyNotListening(host: string, port: number): Promise<string> {
  const code = await listenErrorCode(host, port);
  switch (code) {
    case 'EADDRINUSE':
      return `http.port: ${port} is in use on ${host}; allowed is a free port, or 0 for any free one`;
    case 'EACCES':
      return `http.port: ${port} needs privileges this process does not have; allowed is a port from 1024 on`;
    default:
      return `http.host: cannot listen on ${host} port ${port} (${code}); allowed is an address of this machine, or 0.0.0.0`;
  }
}

function listenErrorCode(host: string, port: number): Promise<string> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', (error: NodeJS.ErrnoException) => {
      resolve(error.code ?? error.message);
    });
    probe.listen({ host, port, exclusive: true }, () => {
      probe.close(() => {
        resolve('it was refused, and is free by now');
      });
    });
  });
}
