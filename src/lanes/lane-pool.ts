import { fileURLToPath } from 'node:url';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { Piscina } from 'piscina';
import type { FromLane, LaneTask, Settled, ToLane } from './protocol.ts';

/** Everything a lane is started with except what the pool makes for it. */
export type LaneSetup = Omit<LaneTask, 'lane' | 'port' | 'counters'>;

export interface LanePoolOptions {
  readonly setup: LaneSetup;
  /** One shared counter block per lane; its length is the number of lanes. */
  readonly counters: readonly SharedArrayBuffer[];
  onSettled(lane: number, settled: Settled): void;
  /** A lane ended without being told to: what it held was not reported, and will not be. */
  onCrash(lane: number, error: unknown): void;
}

/**
 * Main's side of the lanes. Piscina gives threads and tells how each one ends; a
 * lane is one task that lives as long as its thread, with a port of its own, since
 * which thread a tenant is on is ours to say.
 */
export class LanePool {
  readonly #pool: Piscina;
  readonly #ports: MessagePort[] = [];
  readonly #ends: Promise<void>[] = [];
  readonly #options: LanePoolOptions;
  #alive = 0;
  #closing = false;

  private constructor(options: LanePoolOptions) {
    const lanes = options.counters.length;
    this.#options = options;
    this.#pool = new Piscina({
      filename: fileURLToPath(new URL('./thread.js', import.meta.url)),
      name: 'runLane',
      minThreads: lanes,
      maxThreads: lanes,
      concurrentTasksPerWorker: 1,
      // Its default blocks a thread's event loop between tasks, and with it every socket and timer.
      atomics: 'disabled',
    });
  }

  /** Starts every lane and waits until all of them take messages. */
  static async open(options: LanePoolOptions): Promise<LanePool> {
    const lanes = new LanePool(options);
    await Promise.all(options.counters.map((counters, lane) => lanes.#start(lane, counters)));
    return lanes;
  }

  get size(): number {
    return this.#ports.length;
  }

  /** Lanes whose thread runs. */
  get alive(): number {
    return this.#alive;
  }

  /** Gives a packed batch to a lane; the buffer is gone afterwards. */
  send(lane: number, buffer: ArrayBuffer, count: number): void {
    this.#port(lane).postMessage({ kind: 'batch', buffer, count } satisfies ToLane, [buffer]);
  }

  /** Tells every lane. */
  broadcast(message: Extract<ToLane, { kind: 'schema' | 'assignment' | 'abandon' }>): void {
    for (const port of this.#ports) port.postMessage(message);
  }

  /** Ends every lane; what is in flight is broken off. */
  async close(): Promise<void> {
    this.#closing = true;
    for (const port of this.#ports) port.postMessage({ kind: 'close' } satisfies ToLane);
    await Promise.all(this.#ends);
    await this.#pool.destroy();
  }

  #start(lane: number, counters: SharedArrayBuffer): Promise<void> {
    const { port1, port2 } = new MessageChannel();
    this.#ports[lane] = port1;
    return new Promise((resolve, reject) => {
      port1.on('message', (message: FromLane) => {
        if (message.kind === 'settled') {
          this.#options.onSettled(lane, message);
          return;
        }
        this.#alive++;
        resolve();
      });
      const task: LaneTask = { ...this.#options.setup, lane, counters, port: port2 };
      const run = this.#pool.run(task, { transferList: [port2] }) as Promise<void>;
      this.#ends[lane] = run.then(
        () => {
          this.#onEnd(lane, new Error('its thread ended'));
        },
        (error: unknown) => {
          reject(error instanceof Error ? error : new Error(String(error)));
          this.#onEnd(lane, error);
        },
      );
    });
  }

  #onEnd(lane: number, error: unknown): void {
    this.#alive--;
    if (!this.#closing) this.#options.onCrash(lane, error);
  }

  #port(lane: number): MessagePort {
    const port = this.#ports[lane];
    if (port === undefined) throw new RangeError(`there is no lane ${lane}`);
    return port;
  }
}
