import { createWriteStream } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';

import type { BreakerEntry, Fault, OwnershipEntry, UsageSample } from '../../src/verify/history.ts';
import { startDispatcherProcess, type DispatcherProcess } from '../support/dispatcher.ts';

/** The request header that says which process sent it. */
export const WHO = 'x-process';

const PAGE_BYTES = 4_096;
const LATE_MS = 1_000;
/** The broker's answer to a member that it has evicted, in librdkafka's words. */
const EVICTED = /unknown member|fenced/i;

/** A dispatcher's process, and what its log says. */
export interface Member {
  readonly name: string;
  readonly dispatcher: DispatcherProcess;
  isPaused: boolean;
  continuedMs: number;
}

export interface LogLine {
  readonly time: string;
  readonly event: string;
  /** Of `handed_over`. */
  readonly isHop?: boolean;
  readonly partitions?: readonly string[];
  readonly offsets?: readonly { topic: string; partition: number; offset: number }[];
  readonly tenant?: string;
  readonly destination?: string;
  readonly error?: string;
  /** Of `identified`. */
  readonly instance?: string;
}

/** Who was killed, and when. */
interface Killed {
  readonly process: string;
  readonly fromMs: number;
  readonly toMs: number;
}

/** The dispatchers of a run: those that run, and what all of them wrote down. */
export class Members {
  readonly ownership: OwnershipEntry[] = [];
  readonly breakers: BreakerEntry[] = [];
  readonly usage: UsageSample[] = [];
  /** What nobody made: see `Fault`. */
  readonly unmade: Fault[] = [];
  /** Their names, by what they call themselves in the ledger. */
  readonly #names = new Map<string, string>();
  /** When a commit of each was accepted last, until one of these faults. */
  readonly #committedMs = new Map<string, number>();
  /** Those that give partitions up, and whether a commit was refused since. */
  readonly #givingUp = new Map<string, { isRefused: boolean }>();
  readonly #configOf: (name: string) => Record<string, unknown>;
  readonly #folder: string;
  readonly #watchers = new Set<(line: LogLine, process: string) => void>();
  #running: Member[] = [];
  #started = 0;

  /** @param folder gets the log of each, `NAME.log`. */
  constructor(folder: string, configOf: (name: string) => Record<string, unknown>) {
    this.#folder = folder;
    this.#configOf = configOf;
  }

  /** Those that were neither killed nor stopped; the oldest first. */
  get running(): readonly Member[] {
    return this.#running;
  }

  /** The name of the one that calls itself so in the ledger. */
  nameOf(instance: string): string | undefined {
    return this.#names.get(instance);
  }

  async start(): Promise<Member> {
    const name = `p${++this.#started}`;
    const log = createWriteStream(path.join(this.#folder, `${name}.log`));
    const dispatcher = await startDispatcherProcess(this.#configOf(name), [], (line) => {
      log.write(`${line}\n`);
      this.#read(name, line);
    });
    void dispatcher.child.exited.then(() => log.end());
    const member = { name, dispatcher, isPaused: false, continuedMs: 0 };
    this.#running.push(member);
    return member;
  }

  async kill(member: Member): Promise<Killed> {
    const fromMs = Date.now();
    this.#forget(member);
    await member.dispatcher.kill();
    return { process: member.name, fromMs, toMs: Date.now() };
  }

  /** Kills whoever is the first to write a line that fits, at once. @returns null when nobody has within the time. */
  async killAt(fits: (line: LogLine, process: string) => boolean, timeoutMs: number): Promise<Killed | null> {
    return new Promise((resolve, reject) => {
      const watcher = (line: LogLine, process: string): void => {
        const member = this.#running.find(({ name, isPaused }) => name === process && !isPaused);
        if (member === undefined || !fits(line, process)) return;
        end();
        this.kill(member).then(resolve, reject);
      };
      const timer = setTimeout(() => {
        end();
        resolve(null);
      }, timeoutMs);
      const end = (): void => {
        clearTimeout(timer);
        this.#watchers.delete(watcher);
      };
      this.#watchers.add(watcher);
    });
  }

  /** SIGTERM, then waits for the drain. */
  async stop(member: Member): Promise<void> {
    this.#forget(member);
    await member.dispatcher.stop();
  }

  async stopAll(): Promise<void> {
    await Promise.all(this.#running.map((member) => this.stop(member)));
  }

  /** Writes down what each takes now. */
  async sample(): Promise<void> {
    for (const { name, dispatcher, isPaused } of this.#running) {
      if (isPaused) continue;
      const usage = await usageOf(dispatcher).catch(() => null);
      if (usage !== null) this.usage.push({ atMs: Date.now(), process: name, ...usage });
    }
  }

  #isLate(process: string, atMs: number): boolean {
    const member = this.#running.find(({ name }) => name === process);
    return member !== undefined && (member.isPaused || atMs < member.continuedMs + LATE_MS);
  }

  #forget(member: Member): void {
    this.#running = this.#running.filter((one) => one !== member);
  }

  #read(process: string, text: string): void {
    const line = parsed(text);
    if (line === null) return;
    for (const watcher of this.#watchers) watcher(line, process);
    const atMs = Date.parse(line.time);
    const { tenant = '', destination = '' } = line;
    switch (line.event) {
      case 'identified':
        this.#names.set(line.instance ?? '', process);
        break;
      case 'partitions_assigned':
      case 'partitions_revoked':
        this.#moved({ atMs, process }, line);
        break;
      case 'offsets_committed':
        // What a process hears when it goes on may be the answer to what it asked before it was stopped.
        if (this.#isLate(process, atMs)) break;
        this.#committedMs.set(process, atMs);
        this.#givingUp.delete(process);
        for (const place of line.offsets ?? [])
          this.ownership.push({ ...place, atMs, process, what: 'committed' });
        break;
      case 'commit_failed':
        this.#refused(process, atMs, line.error ?? '');
        break;
      case 'breaker_opened':
      case 'breaker_closed':
        this.breakers.push({ atMs, process, tenant, destination, isOpen: line.event === 'breaker_opened' });
        break;
      default:
    }
  }

  #refused(process: string, atMs: number, error: string): void {
    const givingUp = this.#givingUp.get(process);
    if (EVICTED.test(error)) this.#noteUnmade('evicted', process, atMs);
    else if (givingUp !== undefined) givingUp.isRefused = true;
  }

  #noteUnmade(what: 'evicted' | 'commits_refused', process: string, toMs: number): void {
    const fromMs = this.#committedMs.get(process);
    this.#givingUp.delete(process);
    if (fromMs === undefined) return;
    this.#committedMs.delete(process);
    this.unmade.push({ what, process, fromMs, toMs });
  }

  #moved(at: { readonly atMs: number; readonly process: string }, { event, partitions = [] }: LogLine): void {
    const what = event === 'partitions_assigned' ? 'assigned' : 'revoked';
    for (const text of partitions) {
      const slash = text.lastIndexOf('/');
      const place = { topic: text.slice(0, slash), partition: Number(text.slice(slash + 1)), offset: -1 };
      this.ownership.push({ ...at, ...place, what });
    }
    // What a lane knows of a failing destination ends with its partition, without a line of its own.
    if (what === 'revoked') {
      this.#closeBreakers(at);
      this.#givingUp.set(at.process, { isRefused: false });
    } else if (this.#givingUp.get(at.process)?.isRefused === true) {
      this.#noteUnmade('commits_refused', at.process, at.atMs);
    }
  }

  #closeBreakers(at: { readonly atMs: number; readonly process: string }): void {
    const last = new Map<string, BreakerEntry>();
    for (const entry of this.breakers)
      if (entry.process === at.process) last.set(`${entry.tenant} ${entry.destination}`, entry);
    for (const entry of last.values())
      if (entry.isOpen) this.breakers.push({ ...entry, ...at, isOpen: false });
  }
}

function parsed(text: string): LogLine | null {
  if (!text.startsWith('{')) return null;
  try {
    return JSON.parse(text) as LogLine;
  } catch {
    // Cut off by a kill.
    return null;
  }
}

async function usageOf({
  child,
  metric,
}: DispatcherProcess): Promise<Pick<UsageSample, 'rssBytes' | 'descriptors' | 'openRecords'>> {
  const [statm, descriptors, openRecords] = await Promise.all([
    readFile(`/proc/${child.pid}/statm`, 'utf8'),
    readdir(`/proc/${child.pid}/fd`),
    metric('eventdispatch_open_records'),
  ]);
  return {
    rssBytes: Number(statm.split(' ')[1]) * PAGE_BYTES,
    descriptors: descriptors.length,
    openRecords,
  };
}
