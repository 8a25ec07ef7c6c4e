import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/**
 * What the stub does with a request: answer as a registry would, answer 500 or 401, never answer, or answer after
 * `delayMs`.
 */
export type StubMode = 'ok' | 'server-error' | 'unauthorized' | 'hang' | { readonly delayMs: number };

/**
 * A STUB of a Schema Registry, in the test's own process, for the faults that a real one can't be made to show. It
 * knows one path, GET /schemas/ids/{id}; what a registry really answers is tested on Apicurio (schema-registry.ts).
 */
export interface RegistryStub {
  /** `http://127.0.0.1:port`, the same after comeUp. */
  readonly url: string;
  /** How often each path was asked for, hanging and refused by status included. */
  readonly requests: ReadonlyMap<string, number>;
  setSchema(id: number, avroSchema: object): void;
  /** Holds for requests that come from now on. */
  setMode(mode: StubMode): void;
  /** Closes the port and every connection: connecting is refused. */
  goDown(): Promise<void>;
  /** Listens on the same port again. */
  comeUp(): Promise<void>;
  stop(): Promise<void>;
}

export async function startRegistryStub(): Promise<RegistryStub> {
  const stub = new Stub();
  await stub.comeUp();
  return stub;
}

class Stub implements RegistryStub {
  readonly requests = new Map<string, number>();
  readonly #schemas = new Map<number, string>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #server: Server | undefined;
  #port = 0;
  #mode: StubMode = 'ok';

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  setSchema(id: number, avroSchema: object): void {
    this.#schemas.set(id, JSON.stringify(avroSchema));
  }

  setMode(mode: StubMode): void {
    this.#mode = mode;
  }

  async comeUp(): Promise<void> {
    if (this.#server !== undefined) throw new Error('the stub is up');
    const server = createServer((request, response) => {
      this.#receive(request, response);
    });
    server.listen(this.#port, '127.0.0.1');
    await once(server, 'listening');
    this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
  }

  async goDown(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
  }

  stop(): Promise<void> {
    return this.goDown();
  }

  #receive(request: IncomingMessage, response: ServerResponse): void {
    const path = request.url ?? '';
    this.requests.set(path, (this.requests.get(path) ?? 0) + 1);
    const mode = this.#mode;
    if (mode === 'hang') return;
    if (typeof mode === 'object') {
      this.#later(mode.delayMs, () => this.#answerSchema(path, response));
    } else if (mode === 'server-error') {
      answer(response, 500, { error_code: 50001, message: 'Error in the backend datastore' });
    } else if (mode === 'unauthorized') {
      response.setHeader('www-authenticate', 'Basic realm="stub"');
      answer(response, 401, { error_code: 401, message: 'Unauthorized' });
    } else {
      this.#answerSchema(path, response);
    }
  }

  #later(delayMs: number, work: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      work();
    }, delayMs);
    this.#timers.add(timer);
  }

  #answerSchema(path: string, response: ServerResponse): void {
    const id = Number(/^\/schemas\/ids\/(\d+)(?:\?|$)/.exec(path)?.[1]);
    const schema = this.#schemas.get(id);
    if (schema === undefined) answer(response, 404, { error_code: 40403, message: `Schema ${id} not found` });
    else answer(response, 200, { schema });
  }
}

function answer(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/vnd.schemaregistry.v1+json' });
  response.end(JSON.stringify(body));
}
