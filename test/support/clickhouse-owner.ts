import { appendFile, rm } from 'node:fs/promises';
import path from 'node:path';

import { startChild } from './process.ts';
import type { Child } from './process.ts';
import { supportFile } from './repository.ts';
import { temporaryDirectory } from './temp.ts';
import type { TemporaryDirectory } from './temp.ts';

export interface ClickHouseOwnerOptions {
  /** Directory of the data, kept afterwards; by default a temporary one, deleted by stop(). */
  readonly dir?: string;
  /** Port of 127.0.0.1; any free one by default. */
  readonly port?: number;
  /**
   * Puts the data on a disk of its own and of so many bytes, in memory, seen by this process alone. It is gone when the
   * process ends. Takes Linux that lets one make namespaces.
   */
  readonly diskBytes?: number;
}

interface FaultTarget {
  /** Requests it hits: an insert is a statement that begins with INSERT, a query is any other. */
  readonly on: 'insert' | 'query' | 'ping' | 'any';
  /** Before the engine has run the statement, or after it, when only the reply is lost. */
  readonly when: 'before' | 'after';
  /** How many requests it hits; all until clearFaults() when left out. */
  times?: number;
}

/** Answer with an exception as ClickHouse does, reset the connection, never answer, or wait first. */
export type ClickHouseFault = FaultTarget &
  (
    | { readonly act: 'error'; readonly code: number; readonly type: string }
    | { readonly act: 'reset' }
    | { readonly act: 'hang' }
    | { readonly act: 'delay'; readonly delayMs: number }
  );

/** Requests that arrived since the process started, also those that a fault or an error met. */
export interface ClickHouseOwnerStats {
  readonly inserts: number;
  /** Of the inserts that the engine ran without an error. */
  readonly insertedBytes: number;
  readonly queries: number;
  readonly pings: number;
  readonly faults: number;
}

/**
 * The embedded ClickHouse in a process of its own behind ClickHouse's HTTP interface: TEST SUPPORT. It is the same
 * engine as a server's, run one statement after the other. Not as a server: no users, no compressed answers, no
 * binary input formats (RowBinary …), answers are sent whole, and a session_id is ignored.
 */
export interface ClickHouseOwner {
  /** For `createClient({ url })`; the same after startAgain. */
  readonly url: string;
  /** Of the process that runs now, or ran last. */
  readonly pid: number;
  readonly dir: string;
  fault(fault: ClickHouseFault): Promise<void>;
  /** Takes all faults back; requests that hang lose their connection. */
  clearFaults(): Promise<void>;
  stats(): Promise<ClickHouseOwnerStats>;
  /** Leaves no room on the disk of `diskBytes`. */
  fillDisk(): Promise<void>;
  /** Takes that back. */
  freeDisk(): Promise<void>;
  /** SIGSTOP. */
  pause(): void;
  /** SIGCONT. */
  resume(): void;
  /** SIGKILL; data and port are kept for startAgain. */
  kill(): Promise<void>;
  /** Starts the process on its old data and port. */
  startAgain(): Promise<void>;
  /** Ends the process; a temporary data directory is deleted. */
  stop(): Promise<void>;
}

/** Starts the owner process and waits until it serves (about 0.5 s). @throws Error with its output. */
export async function startClickHouseOwner(options: ClickHouseOwnerOptions = {}): Promise<ClickHouseOwner> {
  const temporary = options.dir === undefined ? await temporaryDirectory('clickhouse') : undefined;
  const owner = new Owner(options, temporary);
  try {
    await owner.startAgain();
    return owner;
  } catch (error) {
    await temporary?.remove();
    throw error;
  }
}

class Owner implements ClickHouseOwner {
  readonly dir: string;
  #port: number;
  readonly #diskBytes: number | null;
  readonly #temporary: TemporaryDirectory | undefined;
  #child: Child | undefined;

  constructor({ dir, port, diskBytes }: ClickHouseOwnerOptions, temporary: TemporaryDirectory | undefined) {
    this.dir = dir ?? temporary?.path ?? '';
    this.#port = port ?? 0;
    this.#diskBytes = diskBytes ?? null;
    this.#temporary = temporary;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  get pid(): number {
    return this.#process().pid;
  }

  async startAgain(): Promise<void> {
    if (this.#child?.isRunning()) throw new Error('the ClickHouse owner is running');
    const script = supportFile('clickhouse-owner-process.mjs');
    const [command, ...args] = [
      ...(this.#diskBytes === null ? [] : onDiskOf(this.#diskBytes, this.dir)),
      process.execPath,
      ...[script, this.dir, String(this.#port)],
    ] as [string, ...string[]];
    const { child, ready } = await startChild({
      name: 'ClickHouse owner',
      command,
      args,
      ready: /ready on http:\/\/127\.0\.0\.1:(\d+)/,
      readyTimeoutMs: 30_000,
    });
    this.#child = child;
    this.#port = Number(ready[1]);
  }

  async fault(fault: ClickHouseFault): Promise<void> {
    await this.#control('POST', '/_faults', JSON.stringify(fault));
  }

  async clearFaults(): Promise<void> {
    await this.#control('DELETE', '/_faults');
  }

  async stats(): Promise<ClickHouseOwnerStats> {
    return JSON.parse(await this.#control('GET', '/_stats')) as ClickHouseOwnerStats;
  }

  async fillDisk(): Promise<void> {
    const piece = Buffer.alloc(64 * 1024);
    try {
      for (;;) await appendFile(this.#filler, piece);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    }
  }

  freeDisk(): Promise<void> {
    return rm(this.#filler);
  }

  /** By way of the process, since nobody else sees its disk. */
  get #filler(): string {
    return path.join(`/proc/${this.pid}/root`, this.dir, 'filler');
  }

  pause(): void {
    this.#process().pause();
  }

  resume(): void {
    this.#process().resume();
  }

  async kill(): Promise<void> {
    await this.#process().kill();
  }

  async stop(): Promise<void> {
    await this.#process().stop();
    await this.#temporary?.remove();
  }

  async #control(method: string, route: string, body?: string): Promise<string> {
    const response = await fetch(this.url + route, { method, ...(body === undefined ? {} : { body }) });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${route}: ${response.status} ${text}`);
    return text;
  }

  #process(): Child {
    if (this.#child === undefined) throw new Error('the ClickHouse owner was never started');
    return this.#child;
  }
}

/** What a command is to be preceded by to run on a disk of its own, which hides what is in the directory. */
function onDiskOf(bytes: number, directory: string): string[] {
  const mount = 'mount -t tmpfs -o "size=$0" none "$1" && shift && exec "$@"';
  return ['unshare', '--map-root-user', '--mount', 'sh', '-c', mount, String(bytes), directory];
}
