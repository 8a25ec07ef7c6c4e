import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { Piscina } from 'piscina';
import { systemClock } from '../domain/clock.ts';
import { limits } from '../domain/limits.ts';
import { NOTHING_RECOVERED } from '../domain/record.ts';
import type { Recovered } from '../domain/record.ts';
import { LaneCounters } from '../observability/lane-counters.ts';
import { laneSlots } from '../observability/lane-slots.ts';
import { LaneThread, type ThreadEnd } from './lane-thread.ts';
import type { LaneTask, Settled, ToLane } from './protocol.ts';
import { RestartPolicy, type Suspect } from './restart-policy.ts';
import { RetainedBatches } from './retained-batches.ts';
import { StallWatch } from './stall-watch.ts';
import { crashDeadLetter, type KnownAssignment } from './worker-crash.ts';

/** A stall is told by so many looks at a heartbeat that does not move. */
const STALL_LOOKS = 5;
const RECOVER_RETRY_MS = 500;

/** Everything a lane is started with except what the pool makes for it. */
export type LaneSetup = Omit<LaneTask, 'lane' | 'port' | 'counters'>;

/** A thread ended unasked and another one takes its place. */
export interface LaneRestart {
  readonly lane: number;
  readonly error: Error;
  /** Where the record stands it worked on; null when there was none. */
  readonly suspect: RecordPlace | null;
  /** The suspect is not sent again, for it killed before: it leaves as a dead letter. */
  readonly isPoison: boolean;
  /** How long the lane rests before. */
  readonly delayMs: number;
}

export interface RecordPlace {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
}

export interface LanePoolOptions {
  readonly setup: LaneSetup;
  /** One shared counter block per lane; its length is the number of lanes. */
  readonly counters: readonly SharedArrayBuffer[];
  onSettled(lane: number, settled: Settled): void;
  /** A lane can't be restarted any more: what it held was not reported, and will not be. */
  onCrash(lane: number, error: unknown): void;
  readonly onRestart?: (restart: LaneRestart) => void;
  /**
   * What the ledger has of these assignments, everything reported so far included: a
   * new thread must not repeat it. Asked again after it rejects. Without it nothing is skipped.
   * @returns per assignment, in their order.
   */
  readonly recover?: (assignments: readonly KnownAssignment[]) => Promise<readonly Recovered[]>;
  /** A thread whose event loop has not turned for so long is replaced. */
  readonly stallTimeoutMs?: number;
  /** Bound of a thread's heap; `limits.laneHeapMb` unless a test wants less. */
  readonly heapMb?: number;
  /** The module with `runLane`; a test may give one that fails. */
  readonly entry?: string;
}

/**
 * One lane over all of its threads:
 *
 *   up ──thread ends──► down ──restarted──► up …
 *    └──close──► ended ◄──given up, close──┘
 *
 * `up` is a thread that is not null. What is sent to a lane that is down is kept,
 * as everything is that was not reported, and posted to its next thread.
 */
interface LaneState {
  readonly number: number;
  readonly block: SharedArrayBuffer;
  readonly counters: LaneCounters;
  readonly policy: RestartPolicy;
  readonly watch: StallWatch;
  thread: LaneThread | null;
}

/**
 * Main's side of the lanes. Piscina gives threads and tells how each one ends; a
 * lane is one task that lives as long as its thread, with a port of its own, since
 * which thread a tenant is on is ours to say. A thread that ends unasked, or whose
 * event loop stops turning, is replaced by one that is told everything anew:
 * schemas, assignments, and the records that were not reported.
 */
export class LanePool {
  restarts = 0;
  readonly #options: LanePoolOptions;
  readonly #pool: Piscina;
  readonly #lanes: readonly LaneState[];
  readonly #retained: RetainedBatches;
  /** What part of all partitions this process has. */
  #share = 0;
  readonly #schemas = new Map<number, string>();
  readonly #assignments = new Map<number, KnownAssignment>();
  readonly #lives: Promise<void>[] = [];
  readonly #closing = new AbortController();
  #watchTimer: NodeJS.Timeout | null = null;

  private constructor(options: LanePoolOptions) {
    const { counters, entry = fileURLToPath(new URL('./thread.js', import.meta.url)) } = options;
    this.#options = options;
    this.#retained = new RetainedBatches(counters.length);
    this.#lanes = counters.map((block, number) => ({
      number,
      block,
      counters: new LaneCounters(block),
      policy: new RestartPolicy(),
      watch: new StallWatch(STALL_LOOKS),
      thread: null,
    }));
    // V8 begins with a small young generation and lets it grow as much survives there, which little does in a lane.
    // One that has its size from the start is collected less often. It holds for threads that are made from here on.
    setFlagsFromString(`--min-semi-space-size=${limits.laneSemiSpaceMb}`);
    // Left to itself V8 lets a heap of 14 MB, as a lane's is, grow by 8, buffers counted: three full collections a second.
    setFlagsFromString(`--heap-growing-percent=${limits.heapGrowingPercent}`);
    this.#pool = new Piscina({
      filename: entry,
      name: 'runLane',
      minThreads: counters.length,
      maxThreads: counters.length,
      concurrentTasksPerWorker: 1,
      // Its default blocks a thread's event loop between tasks, and with it every socket and timer.
      atomics: 'disabled',
      resourceLimits: { maxOldGenerationSizeMb: options.heapMb ?? limits.laneHeapMb },
    });
    // A thread that fails while it has no task: the lane that waits for it waits in vain.
    this.#pool.on('error', (error: unknown) => {
      const waiting = this.#lanes.find(({ thread }) => thread?.isReady !== true);
      if (!this.#closing.signal.aborted && waiting !== undefined) options.onCrash(waiting.number, error);
    });
  }

  /** Starts every lane and waits until all of them take messages. */
  static async open(options: LanePoolOptions): Promise<LanePool> {
    const pool = new LanePool(options);
    const threads = pool.#lanes.map((lane) => pool.#startThread(lane));
    await Promise.all(threads.map(readyOrFailed));
    pool.#lives.push(...pool.#lanes.map((lane, i) => pool.#live(lane, threads[i] as LaneThread)));
    pool.#watchTimer = setInterval(
      () => {
        pool.#watch();
      },
      (options.stallTimeoutMs ?? limits.laneStallMs) / STALL_LOOKS,
    );
    return pool;
  }

  get size(): number {
    return this.#lanes.length;
  }

  /** Lanes whose thread runs. */
  get alive(): number {
    return this.#lanes.filter(({ thread }) => thread?.isReady === true).length;
  }

  /** Memory of what is kept to be sent again. */
  get keptBytes(): number {
    return this.#retained.keptBytes;
  }

  /** Gives a packed batch to a lane; the buffer is gone afterwards. */
  send(lane: number, buffer: ArrayBuffer, count: number): void {
    this.#retained.keep(lane, buffer, count);
    this.#lanes[lane]?.thread?.post({ kind: 'batch', buffer, count }, [buffer]);
  }

  /** Tells every lane. */
  broadcast(message: Extract<ToLane, { kind: 'schema' | 'assignment' | 'abandon' | 'share' }>): void {
    this.#note(message);
    for (const { thread } of this.#lanes) thread?.post(message);
  }

  /** Ends every lane; what is in flight is broken off. */
  async close(): Promise<void> {
    this.#closing.abort();
    for (const { thread } of this.#lanes) thread?.post({ kind: 'close' });
    await Promise.all(this.#lives);
    if (this.#watchTimer !== null) clearInterval(this.#watchTimer);
    await this.#pool.destroy();
  }

  /** What a later thread has to be told. */
  #note(message: Parameters<LanePool['broadcast']>[0]): void {
    switch (message.kind) {
      case 'schema':
        this.#schemas.set(message.id, message.source);
        break;
      case 'assignment': {
        const { kind: _, recovered: __, ...known } = message;
        this.#assignments.set(known.assignment, known);
        break;
      }
      case 'share':
        this.#share = message.share;
        break;
      case 'abandon':
        for (const assignment of message.assignments) this.#assignments.delete(assignment);
        this.#retained.forget(message.assignments);
        break;
    }
  }

  #startThread(lane: LaneState): LaneThread {
    const { number, block } = lane;
    const task = { ...this.#options.setup, lane: number, counters: block };
    const thread = new LaneThread(this.#pool, task, (settled) => {
      const { records, releasedRecords, releasedBytes } = settled;
      this.#retained.release(number, records, { records: releasedRecords, bytes: releasedBytes });
      this.#options.onSettled(number, settled);
    });
    lane.watch.reset();
    lane.thread = thread;
    return thread;
  }

  /** From its first thread until it is closed or given up. */
  async #live(lane: LaneState, first: LaneThread): Promise<void> {
    for (let thread: LaneThread | null = first; thread !== null;) {
      const end: ThreadEnd = await thread.ended;
      lane.thread = null;
      thread = this.#closing.signal.aborted ? null : await this.#restart(lane, end);
    }
  }

  /** @returns null when there is no other thread. */
  async #restart(lane: LaneState, { error, isStuck }: ThreadEnd): Promise<LaneThread | null> {
    const suspect = takeSuspect(lane.counters);
    lane.counters.resetGauges();
    const verdict = isStuck
      ? ({ action: 'give_up' } as const)
      : lane.policy.died(systemClock.monotonicMs(), suspect);
    if (verdict.action === 'give_up') {
      this.#options.onCrash(lane.number, error);
      return null;
    }
    const { delayMs, poison } = verdict;
    this.restarts++;
    this.#options.onRestart?.({
      lane: lane.number,
      error,
      suspect: suspect && this.#placeOf(suspect),
      isPoison: poison !== null,
      delayMs,
    });
    const recovered = await this.#recoverAfter(delayMs);
    if (recovered === null) return null;
    if (poison !== null) this.#buryPoison(lane, poison);
    const lost = this.#retained.handOn(lane.number);
    if (lost.records > 0) this.#options.onSettled(lane.number, { ...NOTHING_SETTLED, ...releaseOf(lost) });
    const thread = this.#startThread(lane);
    this.#tellAll(lane.number, thread, recovered);
    return thread;
  }

  /** Everything a thread has to know, in one go, so that nothing comes between. */
  #tellAll(lane: number, thread: LaneThread, recovered: ReadonlyMap<number, Recovered>): void {
    for (const [id, source] of this.#schemas) thread.post({ kind: 'schema', id, source });
    thread.post({ kind: 'share', share: this.#share });
    for (const known of this.#assignments.values()) {
      thread.post({
        kind: 'assignment',
        ...known,
        recovered: recovered.get(known.assignment) ?? NOTHING_RECOVERED,
      });
    }
    for (const { buffer, count } of this.#retained.copies(lane)) {
      thread.post({ kind: 'batch', buffer, count }, [buffer]);
    }
  }

  /**
   * Rests, then asks until it is answered for every assignment there is by then.
   * @returns by assignment; null when the lanes are closed meanwhile.
   */
  async #recoverAfter(delayMs: number): Promise<ReadonlyMap<number, Recovered> | null> {
    const { recover } = this.#options;
    const recovered = new Map<number, Recovered>();
    const isClosing = (): boolean => this.#closing.signal.aborted;
    await this.#orClosing(sleep(delayMs));
    while (!isClosing()) {
      const asked = [...this.#assignments.values()].filter(({ assignment }) => !recovered.has(assignment));
      if (asked.length === 0 || recover === undefined) return recovered;
      try {
        const answers = await this.#orClosing(recover(asked));
        asked.forEach(({ assignment }, i) => recovered.set(assignment, answers?.[i] ?? NOTHING_RECOVERED));
      } catch {
        await this.#orClosing(sleep(RECOVER_RETRY_MS));
      }
    }
    return null;
  }

  /** The promise, or undefined as soon as the lanes are being closed. */
  async #orClosing<T>(promise: Promise<T>): Promise<T | undefined> {
    const { signal } = this.#closing;
    let stop: (() => void) | undefined;
    const closing = new Promise<undefined>((resolve) => {
      stop = () => {
        resolve(undefined);
      };
      signal.addEventListener('abort', stop);
      if (signal.aborted) stop();
    });
    try {
      return await Promise.race([promise, closing]);
    } finally {
      if (stop !== undefined) signal.removeEventListener('abort', stop);
    }
  }

  /** Ends a record as a dead letter, as its lane would have. */
  #buryPoison(lane: LaneState, { assignment, sequence }: Suspect): void {
    const known = this.#assignments.get(assignment);
    const record = this.#retained.find(assignment, sequence);
    if (known === undefined || record === null) return;
    const handover = crashDeadLetter(record, {
      assignment: known,
      instance: this.#options.setup.instance,
      lane: lane.number,
      nowMs: systemClock.wallMs(),
    });
    this.#retained.remove(assignment, sequence);
    const records = Uint32Array.of(assignment, sequence);
    if (record.part === 0 || known.isRetry) lane.counters.add(laneSlots.recordsDone);
    lane.counters.add(laneSlots.deliveriesDead);
    this.#options.onSettled(lane.number, { ...NOTHING_SETTLED, records, handovers: [handover] });
  }

  #placeOf({ assignment, sequence }: Suspect): RecordPlace | null {
    const known = this.#assignments.get(assignment);
    const record = this.#retained.find(assignment, sequence);
    if (known === undefined || record === null) return null;
    return { topic: known.topic, partition: known.partition, offset: record.offset };
  }

  #watch(): void {
    for (const { thread, watch, counters } of this.#lanes) {
      if (thread?.isReady !== true || !watch.look(counters.get(laneSlots.heartbeat))) continue;
      watch.reset();
      thread.abort(new Error('its event loop stopped turning'));
    }
  }
}

const NOTHING_SETTLED: Settled = {
  kind: 'settled',
  attempts: null,
  attemptRows: 0,
  events: null,
  eventRows: 0,
  records: new Uint32Array(0),
  handovers: [],
  notices: [],
  releasedRecords: 0,
  releasedBytes: 0,
};

function releaseOf({ records, bytes }: { records: number; bytes: number }): Partial<Settled> {
  return { releasedRecords: records, releasedBytes: bytes };
}

async function readyOrFailed(thread: LaneThread): Promise<void> {
  const end = await Promise.race([thread.ready, thread.ended]);
  if (end !== undefined) throw end.error;
}

/** The record a thread that is dead worked on; from now on it is nobody's. */
function takeSuspect(counters: LaneCounters): Suspect | null {
  const assignment = counters.get(laneSlots.suspectAssignment);
  const sequence = counters.get(laneSlots.suspectSequence);
  counters.set(laneSlots.suspectAssignment, 0);
  return assignment === 0 ? null : { assignment, sequence };
}
