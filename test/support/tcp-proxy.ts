import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';

/** What happens to the bytes that pass, in both directions. */
export interface ProxyFaults {
  /** Every byte comes so much later; twice this is added to a round trip. */
  readonly latencyMs?: number;
  /**
   * A pulled cable: connections stand and are accepted, and nothing passes. What was written meanwhile passes
   * afterwards, as it does when TCP sends it again.
   */
  readonly isBlackHole?: boolean;
  /** Resets a connection once so many bytes have come from the client. */
  readonly resetAfterBytes?: number;
}

/** A TCP proxy of 127.0.0.1 that makes a network misbehave. */
export interface TcpProxy {
  readonly port: number;
  /** Connections that are open now. */
  readonly connections: number;
  /** Where connections go from now on: `host:port`. */
  setTarget(address: string): void;
  /** Replaces the faults, for what passes from now on; `{}` heals. */
  setFaults(faults: ProxyFaults): void;
  /** Resets every connection, on both sides. */
  resetAll(): void;
  /** Ends the target's half of every connection towards the client: it reads an end, and may still write. */
  halfCloseAll(): void;
  stop(): Promise<void>;
}

export async function startTcpProxy(): Promise<TcpProxy> {
  const proxy = new FaultyProxy();
  await proxy.listen();
  return proxy;
}

class FaultyProxy implements TcpProxy {
  readonly #server: Server = createServer({ allowHalfOpen: true }, (client) => {
    this.#accept(client);
  });
  readonly #links = new Set<Link>();
  #target = '';
  #faults: ProxyFaults = {};

  async listen(): Promise<void> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get connections(): number {
    return this.#links.size;
  }

  setTarget(address: string): void {
    this.#target = address;
  }

  setFaults(faults: ProxyFaults): void {
    this.#faults = faults;
    for (const link of this.#links) link.onFaults();
  }

  resetAll(): void {
    for (const link of this.#links) link.reset();
  }

  halfCloseAll(): void {
    for (const link of this.#links) link.client.end();
  }

  async stop(): Promise<void> {
    this.resetAll();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #accept(client: Socket): void {
    const [host = '', port] = this.#target.split(':');
    const server = connect({ host, port: Number(port), allowHalfOpen: true });
    const link = new Link(client, server, () => this.#faults);
    this.#links.add(link);
    client.once('close', () => {
      link.reset();
      this.#links.delete(link);
    });
  }
}

/** A connection through the proxy. */
class Link {
  readonly client: Socket;
  readonly #server: Socket;
  readonly #directions: readonly Direction[];

  constructor(client: Socket, server: Socket, faults: () => ProxyFaults) {
    this.client = client;
    this.#server = server;
    let received = 0;
    client.on('data', (chunk: Buffer) => {
      received += chunk.length;
      if (received >= (faults().resetAfterBytes ?? Infinity)) this.reset();
    });
    this.#directions = [new Direction(client, server, faults), new Direction(server, client, faults)];
    for (const socket of [client, server]) {
      socket.setNoDelay(true);
      socket.on('error', () => {
        this.reset();
      });
    }
    server.once('close', () => {
      this.reset();
    });
  }

  onFaults(): void {
    for (const direction of this.#directions) direction.pass();
  }

  reset(): void {
    for (const direction of this.#directions) direction.stop();
    for (const socket of [this.client, this.#server]) if (!socket.destroyed) socket.resetAndDestroy();
  }
}

interface Piece {
  /** Null: the end of the stream. */
  readonly bytes: Buffer | null;
  readonly dueMs: number;
}

/** One way of a connection: pieces in their order, each when its time has come. */
class Direction {
  readonly #to: Socket;
  readonly #faults: () => ProxyFaults;
  #pieces: Piece[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(from: Socket, to: Socket, faults: () => ProxyFaults) {
    this.#to = to;
    this.#faults = faults;
    from.on('data', (bytes: Buffer) => {
      this.#take(bytes);
    });
    from.on('end', () => {
      this.#take(null);
    });
  }

  /** Lets through what is due. */
  pass(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#faults().isBlackHole === true) return;
    const nowMs = performance.now();
    let passed = 0;
    for (const { bytes, dueMs } of this.#pieces) {
      if (dueMs > nowMs) {
        this.#timer = setTimeout(() => {
          this.pass();
        }, dueMs - nowMs);
        break;
      }
      passed++;
      if (bytes === null) this.#to.end();
      else if (this.#to.writable) this.#to.write(bytes);
    }
    if (passed > 0) this.#pieces = this.#pieces.slice(passed);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#pieces = [];
  }

  #take(bytes: Buffer | null): void {
    this.#pieces.push({ bytes, dueMs: performance.now() + (this.#faults().latencyMs ?? 0) });
    this.pass();
  }
}
