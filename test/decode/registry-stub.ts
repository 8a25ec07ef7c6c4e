import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { RegistryConfig } from '../../src/config/config.ts';

/** A schema registry that does what a test tells it to, for the faults that a real one cannot show. */
export interface RegistryStub {
  readonly requests: readonly IncomingMessage[];
  config(changes?: Partial<RegistryConfig>): RegistryConfig;
  close(): Promise<void>;
}

export async function startRegistryStub(answer: RequestListener): Promise<RegistryStub> {
  const requests: IncomingMessage[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((request, response) => {
    requests.push(request);
    answer(request, response);
  });
  server.on('connection', (socket) => {
    sockets.add(socket.once('close', () => sockets.delete(socket)));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    requests,
    config: (changes) => ({
      url: `http://127.0.0.1:${port}/base/`,
      username: null,
      password: null,
      ca: null,
      timeoutMs: 5_000,
      ...changes,
    }),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}
