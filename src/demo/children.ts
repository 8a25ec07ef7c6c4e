import { fork, spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { FromReceivers, ReceiverCounts, ToReceivers } from './receiver-messages.ts';
import { endsWithin } from './waiting.ts';

const LAUNCHER = fileURLToPath(new URL('../../bin/eventdispatch.cjs', import.meta.url));
const RECEIVERS = fileURLToPath(new URL('./receivers-process.js', import.meta.url));

/** How long a child may take to end by itself before it is killed. */
const END_TIMEOUT_MS = 10_000;
/**
 * Ctrl-C in a terminal reaches every process of the group, and a second signal
 * would break the producer off: it is sent one only when it goes on after this.
 */
const SIGNALLED_ALREADY_MS = 3_000;

/** How a child ended: its exit code, or the signal that ended it. */
export type ChildEnd = number | NodeJS.Signals;

/** Resolves when the child has ended; it is killed when this process exits before. */
function endOf(child: ChildProcess): Promise<ChildEnd> {
  const kill = (): void => {
    child.kill('SIGKILL');
  };
  process.on('exit', kill);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      process.off('exit', kill);
      resolve(code ?? signal ?? 1);
    });
  });
}

/** The three receivers, in one process. */
export class Receivers {
  /** By destination. */
  readonly ports: Readonly<Record<string, number>>;
  readonly ended: Promise<ChildEnd>;
  readonly #child: ChildProcess;
  #counts: readonly ReceiverCounts[] = [];
  #onFlushed: (() => void) | null = null;

  private constructor(
    child: ChildProcess,
    ended: Promise<ChildEnd>,
    ports: Readonly<Record<string, number>>,
  ) {
    this.#child = child;
    this.ended = ended;
    this.ports = ports;
    child.on('message', (message: FromReceivers) => {
      if (message.kind !== 'counts' && message.kind !== 'flushed') return;
      this.#counts = message.counts;
      if (message.kind === 'flushed') this.#onFlushed?.();
    });
  }

  /** @throws Error when they cannot listen. */
  static async start(receiptsFile: string, logFile: string): Promise<Receivers> {
    const log = openSync(logFile, 'a');
    const child = fork(RECEIVERS, [receiptsFile], { stdio: ['ignore', log, log, 'ipc'] });
    closeSync(log);
    const ended = endOf(child);
    const first = await Promise.race([
      new Promise<FromReceivers>((resolve) => child.once('message', resolve)),
      ended.then((end): FromReceivers => ({ kind: 'failed', reason: `they ended with ${end}` })),
    ]);
    if (first.kind === 'listening') return new Receivers(child, ended, first.ports);
    throw new Error(`the receivers did not start: ${first.kind === 'failed' ? first.reason : first.kind}`);
  }

  /** As told last, every 500 ms. */
  get counts(): readonly ReceiverCounts[] {
    return this.#counts;
  }

  /** Sees to it that every receipt is in the file. */
  async flush(): Promise<void> {
    const flushed = new Promise<void>((resolve) => {
      this.#onFlushed = resolve;
    });
    this.#child.send({ kind: 'flush' } satisfies ToReceivers);
    await Promise.race([flushed, this.ended]);
  }

  async stop(): Promise<void> {
    if (this.#child.connected) this.#child.disconnect();
    if (!(await endsWithin(this.ended, END_TIMEOUT_MS))) this.#child.kill('SIGKILL');
    await this.ended;
  }
}

export interface ProducerPlan {
  readonly brokers: string;
  readonly topic: string;
  readonly ratePerSecond: number;
  readonly tenants: number;
  /** Null: until it is stopped. */
  readonly seconds: number | null;
  readonly manifestFile: string;
  readonly logFile: string;
}

/** `eventdispatch produce`, as a user would run it. */
export class SampleProducer {
  readonly ended: Promise<ChildEnd>;
  readonly #child: ChildProcess;

  constructor(plan: ProducerPlan) {
    const log = openSync(plan.logFile, 'a');
    this.#child = spawn(process.execPath, [LAUNCHER, 'produce', ...argumentsOf(plan)], {
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    this.ended = endOf(this.#child);
  }

  /** Ends it after what it sent is acknowledged. */
  async stop(): Promise<ChildEnd> {
    if (!(await endsWithin(this.ended, SIGNALLED_ALREADY_MS))) this.#child.kill('SIGTERM');
    if (!(await endsWithin(this.ended, END_TIMEOUT_MS))) this.#child.kill('SIGKILL');
    return this.ended;
  }
}

function argumentsOf(plan: ProducerPlan): string[] {
  const { brokers, topic, ratePerSecond, tenants, seconds, manifestFile } = plan;
  return [
    ...['--brokers', brokers, '--topic', topic],
    ...['--rate', `${ratePerSecond}/s`, '--tenants', String(tenants)],
    ...(seconds === null ? [] : ['--duration', `${seconds}s`]),
    ...['--manifest', manifestFile],
  ];
}
