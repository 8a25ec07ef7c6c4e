import { Client, type Dispatcher } from 'undici';
import type { DeliveryConfig } from '../config/config.ts';
import { limits } from '../domain/limits.ts';
import { DeadlineWheel, type Deadlined } from './deadline-wheel.ts';
import type { Connector } from './guarded-connector.ts';

/** Deadlines are kept to this, on the late side. */
const DEADLINE_SLOT_MS = 20;
const DEADLINE_SLOTS = 1024;

/** Waits for a free connection of an origin. */
export interface ConnectionWaiter {
  /** Set while it waits, so that it waits once. Written by the origin. */
  waitsForConnection: boolean;
  onConnectionFree(): void;
}

/** A request that holds a connection; which one is the origin's to write. */
export interface ConnectionHolder extends Dispatcher.DispatchHandler {
  connection: number;
}

/**
 * The connections of one lane to one origin, each an undici client of its own, the
 * one used last used first. undici would queue without bound beyond its
 * connections, so who finds none free waits here, first come first served.
 */
export class Origin {
  readonly #open: () => Client;
  readonly #clients: Client[] = [];
  /** Indexes of the clients that send nothing. */
  readonly #free: number[] = [];
  readonly #waiting: ConnectionWaiter[] = [];
  readonly #connections: number;

  constructor(open: () => Client, connections: number) {
    this.#open = open;
    this.#connections = connections;
  }

  get hasFreeConnection(): boolean {
    return this.#free.length > 0 || this.#clients.length < this.#connections;
  }

  get inUse(): number {
    return this.#clients.length - this.#free.length;
  }

  waitForConnection(waiter: ConnectionWaiter): void {
    if (waiter.waitsForConnection) return;
    waiter.waitsForConnection = true;
    this.#waiting.push(waiter);
  }

  /** Sends a POST on a connection, one of which must be free; `release` gives it back. */
  post(path: string, headers: string[], body: Buffer, exchange: ConnectionHolder): void {
    const connection = this.#free.pop() ?? this.#clients.push(this.#open()) - 1;
    exchange.connection = connection;
    (this.#clients[connection] as Client).dispatch({ path, method: 'POST', headers, body }, exchange);
  }

  /** @param connection the one its `post` took. */
  release(connection: number): void {
    this.#free.push(connection);
    // One that has nothing to send any more leaves the connection to the next in line.
    while (this.hasFreeConnection) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      next.waitsForConnection = false;
      next.onConnectionFree();
    }
  }

  async destroy(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.destroy()));
  }
}

/** All HTTP of one lane: a pool per origin, and the deadlines of everything in flight. */
export class HttpClient {
  readonly #config: DeliveryConfig;
  readonly #connect: Connector;
  readonly #origins = new Map<string, Origin>();
  readonly #deadlines: DeadlineWheel;

  constructor(config: DeliveryConfig, connect: Connector, nowMs: number) {
    this.#config = config;
    this.#connect = connect;
    this.#deadlines = new DeadlineWheel(DEADLINE_SLOT_MS, DEADLINE_SLOTS, nowMs);
  }

  /** The origin of a URL, made at its first use. */
  origin(url: string): Origin {
    const known = this.#origins.get(url);
    if (known !== undefined) return known;
    const connections = this.#config.connectionsPerOrigin;
    const open = (): Client =>
      new Client(url, {
        connect: this.#connect,
        pipelining: 1,
        allowH2: false,
        keepAliveTimeout: this.#config.keepAliveMs,
        // One deadline of our own covers the whole attempt; undici's phase timers would be a second opinion.
        headersTimeout: 0,
        bodyTimeout: 0,
        maxHeaderSize: limits.responseHeaderMaxBytes,
      });
    const origin = new Origin(open, connections);
    this.#origins.set(url, origin);
    return origin;
  }

  /** Puts an exchange under its deadline; `unwatch` takes it off. */
  watch(exchange: Deadlined): void {
    this.#deadlines.add(exchange);
  }

  unwatch(exchange: Deadlined): void {
    this.#deadlines.remove(exchange);
  }

  /** Ends what is past its deadline; to be called about every `DEADLINE_SLOT_MS`. */
  tick(nowMs: number): void {
    this.#deadlines.advance(nowMs);
  }

  get inFlight(): number {
    let sum = 0;
    for (const origin of this.#origins.values()) sum += origin.inUse;
    return sum;
  }

  /** Breaks every connection. */
  async destroy(): Promise<void> {
    await Promise.all([...this.#origins.values()].map((origin) => origin.destroy()));
  }
}
