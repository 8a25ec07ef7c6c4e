/** Proves that connections of an origin are given out first come, first served, and never more than there are. */
import type { Client, Dispatcher } from 'undici';
import { describe, expect, test } from 'vitest';
import { Origin, type ConnectionHolder, type ConnectionWaiter } from '../../src/deliver/http-client.ts';

/** Takes requests and never answers. */
function silentClient(): { open: () => Client; sent: string[] } {
  const sent: string[] = [];
  const client = {
    dispatch: ({ path }: Dispatcher.DispatchOptions) => sent.push(path),
    destroy: () => Promise.resolve(),
  };
  return { open: () => client as unknown as Client, sent };
}

const handler: ConnectionHolder = { connection: -1 };

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
    const { open, sent } = silentClient();
    const origin = new Origin(open, connections);
    for (let i = 0; i < connections; i++) origin.post('/first', [], Buffer.alloc(0), handler);
    sent.length = 0;
    return { origin, sent };
  }

  test('go to whoever waits longest', () => {
    const { origin, sent } = busyOrigin(1);
    for (const name of ['a', 'b', 'c']) origin.waitForConnection(new Waiter(name, origin));
    for (let i = 0; i < 3; i++) origin.release(0);
    expect(sent).toEqual(['a', 'b', 'c']);
  });

  test('go round: one that has more to send queues up again behind the others', () => {
    const { origin, sent } = busyOrigin(1);
    origin.waitForConnection(new Waiter('a', origin, 3));
    origin.waitForConnection(new Waiter('b', origin, 2));
    for (let i = 0; i < 5; i++) origin.release(0);
    expect(sent).toEqual(['a', 'b', 'a', 'b', 'a']);
  });

  test('are passed on by one that has nothing to send any more', () => {
    const { origin, sent } = busyOrigin(1);
    for (const [name, toSend] of [
      ['a', 0],
      ['b', 0],
      ['c', 1],
    ] as const) {
      origin.waitForConnection(new Waiter(name, origin, toSend));
    }
    origin.release(0);
    expect(sent).toEqual(['c']);
    expect(origin.inUse).toBe(1);
  });

  test('are free when nobody waits, and a waiter waits once however often it says so', () => {
    const { origin, sent } = busyOrigin(2);
    const waiter = new Waiter('a', origin);
    origin.waitForConnection(waiter);
    origin.waitForConnection(waiter);
    origin.release(0);
    expect([sent, waiter.waitsForConnection, origin.hasFreeConnection]).toEqual([['a'], false, false]);
    origin.release(0);
    origin.release(1);
    expect([origin.inUse, origin.hasFreeConnection]).toEqual([0, true]);
  });
});
