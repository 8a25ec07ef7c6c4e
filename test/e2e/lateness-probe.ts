import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

import type { ReceivedRequest } from '../support/receiver.ts';

const INTERVAL_MS = 5;
const PATH = '/lateness-probe/';

/**
 * Sends requests that carry their own time to a receiver, all the while: how late the busiest of machines lets the
 * receiver see what reached it. An arrival is only known to have been within that much before it was written down.
 */
export class LatenessProbe {
  readonly #socket: Socket;
  readonly #timer: NodeJS.Timeout;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.resume();
    this.#timer = setInterval(() => {
      socket.write(`GET ${PATH}${process.hrtime.bigint() / 1000n} HTTP/1.1\r\nhost: probe\r\n\r\n`);
    }, INTERVAL_MS);
  }

  /** @param url of a receiver that answers at once. */
  static async start(url: string): Promise<LatenessProbe> {
    const { hostname, port } = new URL(url);
    const socket = connect(Number(port), hostname);
    await once(socket, 'connect');
    return new LatenessProbe(socket);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#socket.destroy();
  }
}

export function isProbe({ path }: ReceivedRequest): boolean {
  return path.startsWith(PATH);
}

/**
 * The most milliseconds that a request can have been at the receiver before it was written down: one that came right
 * after a probe was sent was written down no later than the next probe. @throws Error when too few probes arrived.
 */
export function worstLatenessMs(requests: readonly ReceivedRequest[]): number {
  const probes = requests.filter(isProbe).map(({ path, monotonicUs }) => {
    return { sentUs: Number(path.slice(PATH.length)), seenUs: monotonicUs };
  });
  if (probes.length < 2) throw new Error(`${probes.length} probes arrived`);
  const lateUs = probes
    .slice(1)
    .map(({ seenUs }, index) => seenUs - (probes[index] as { sentUs: number }).sentUs);
  return Math.max(...lateUs) / 1000;
}
