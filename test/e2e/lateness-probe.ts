import { once } from 'node:events';
import path from 'node:path';
import { Worker } from 'node:worker_threads';

import type { ReceivedRequest } from '../support/receiver.ts';
import { repositoryRoot } from '../support/repository.ts';

const INTERVAL_MS = 3;
const PATH = '/lateness-probe/';

/**
 * Sends requests that carry their own time to a receiver, all the while: how late a busy machine lets the receiver see
 * what has reached it.
 */
export class LatenessProbe {
  readonly #thread: Worker;

  private constructor(thread: Worker) {
    this.#thread = thread;
  }

  /** @param url of a receiver that answers at once. */
  static async start(url: string, intervalMs = INTERVAL_MS): Promise<LatenessProbe> {
    const thread = new Worker(path.join(repositoryRoot, 'test', 'e2e', 'lateness-probe-thread.mjs'), {
      workerData: { url, path: PATH, intervalMs },
    });
    await once(thread, 'message');
    return new LatenessProbe(thread);
  }

  async stop(): Promise<void> {
    await this.#thread.terminate();
  }
}

export function isProbe({ path: url }: ReceivedRequest): boolean {
  return url.startsWith(PATH);
}

/**
 * The most milliseconds that a request can have been at the receiver before it was written down: one that came right
 * after a probe was sent was written down no later than the next probe. @throws Error when too few probes arrived.
 */
export function worstLatenessMs(requests: readonly ReceivedRequest[]): number {
  const probes = requests.filter(isProbe).map(({ path: probe, monotonicUs }) => {
    return { sentUs: Number(probe.slice(PATH.length)), seenUs: monotonicUs };
  });
  if (probes.length < 2) throw new Error(`${probes.length} probes arrived`);
  const lateUs = probes
    .slice(1)
    .map(({ seenUs }, index) => seenUs - (probes[index] as { sentUs: number }).sentUs);
  return Math.max(...lateUs) / 1000;
}
