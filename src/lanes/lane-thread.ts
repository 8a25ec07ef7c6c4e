import { MessageChannel, type MessagePort } from 'node:worker_threads';
import type { Piscina } from 'piscina';
import type { FromLane, LaneTask, Settled, ToLane } from './protocol.ts';

/** A thread that was told to end, or failed, and still holds its port after this is stuck outside of JavaScript. */
const END_TIMEOUT_MS = 5_000;

/** How a thread ended. */
export interface ThreadEnd {
  readonly error: Error;
  /** It may still run: nothing can take its place. */
  readonly isStuck: boolean;
}

/** Main's end of one lane thread: one Piscina task with a port of its own. */
export class LaneThread {
  /** Resolves when it takes messages. */
  readonly ready: Promise<void>;
  /** Resolves when it has ended and everything it posted was heard; never rejects. */
  readonly ended: Promise<ThreadEnd>;
  isReady = false;
  readonly #port: MessagePort;
  readonly #abort = new AbortController();

  constructor(pool: Piscina, task: Omit<LaneTask, 'port'>, onSettled: (settled: Settled) => void) {
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    this.ready = new Promise((resolve) => {
      port1.on('message', (message: FromLane) => {
        if (message.kind === 'settled') {
          onSettled(message);
          return;
        }
        this.isReady = true;
        resolve();
      });
    });
    const closed = new Promise<boolean>((resolve) => {
      port1.once('close', () => {
        resolve(true);
      });
    });
    const run = pool.run(
      { ...task, port: port2 },
      { transferList: [port2], signal: this.#abort.signal },
    ) as Promise<void>;
    this.ended = run
      .then(
        () => new Error('its thread ended'),
        (error: unknown) => asError(this.#abort.signal.aborted ? this.#abort.signal.reason : error),
      )
      .then((error) => this.#end(error, closed));
  }

  /** Posts to a thread that has ended go nowhere. */
  post(message: ToLane, transfer: ArrayBuffer[] = []): void {
    this.#port.postMessage(message, transfer);
  }

  /** Ends it wherever it is, within any JavaScript. */
  abort(reason: Error): void {
    this.#abort.abort(reason);
  }

  /** The port closes when the thread's memory is torn down, after all it posted: only then is it gone. */
  async #end(error: Error, closed: Promise<boolean>): Promise<ThreadEnd> {
    let timer: NodeJS.Timeout | undefined;
    const timedOut = new Promise<boolean>((resolve) => {
      timer = setTimeout(resolve, END_TIMEOUT_MS, false);
    });
    const hasClosed = await Promise.race([closed, timedOut]);
    clearTimeout(timer);
    this.#port.close();
    // A task that failed before it took messages leaves its thread alive, with nothing to do.
    const isStuck = !hasClosed && this.isReady;
    this.isReady = false;
    return { error, isStuck };
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
