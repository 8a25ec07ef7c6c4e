import { randomBytes } from 'node:crypto';
import type { LedgerConfig } from '../config/config.ts';
import type { Clock } from '../domain/clock.ts';
import {
  BatchSender,
  type LedgerOverflow,
  type LedgerPart,
  type LedgerSink,
  type LedgerState,
  type LedgerTimers,
} from './batch-sender.ts';
import { cutRows } from './cut-rows.ts';
import { LEDGER_TABLES, type LedgerTable } from './columns.ts';
import type { LedgerError } from './errors.ts';

/**
 * A token is drawn when a batch is frozen and kept with its bytes. A hash of them
 * would tell as much, and cost the main thread more than all else it does per row.
 */
const TOKEN_BYTES = 16;
/** Copying this much costs less than passing it on by itself. */
const SMALL_PIECE_BYTES = 4 * 1024;
/** An insert that was sent gets so long, however old its rows are by then. */
const FLIGHT_MIN_MS = 1_000;

/** What a lane finished, already encoded. Never split, so a record's rows and its end stay together. */
export interface LedgerChunk {
  readonly attempts: Uint8Array | null;
  readonly attemptRows: number;
  readonly events: Uint8Array | null;
  readonly eventRows: number;
  /** Pairs (assignment, sequence) that are done once this chunk, and all before it, is durable. */
  readonly records: Uint32Array;
}

export interface LedgerHealth {
  readonly state: LedgerState;
  /** Batches go to the overflow. */
  readonly isDiverting: boolean;
  readonly lastError: string | null;
  readonly pendingRows: number;
  /** Monotonic time since when the oldest unacknowledged row waits. */
  readonly pendingSinceMs: number | null;
  readonly lastAckMs: number | null;
}

export interface LedgerStats {
  /** Acknowledged. */
  readonly inserts: number;
  readonly rows: number;
  readonly bytes: number;
  readonly insertFailures: number;
  /** Time spent in inserts, failed ones included; two tables at once count twice. */
  readonly insertSeconds: number;
  readonly pendingRows: number;
  readonly pendingBytes: number;
}

/** Where batches go when too much waits for the ledger, and what is too much. */
export interface OverflowBounds {
  readonly to: LedgerOverflow;
  /** Rows and bytes that may wait. */
  readonly afterRows: number;
  readonly afterBytes: number;
  /** How long the oldest row may wait. */
  readonly afterAgeMs: number;
  /** Of a part, unless one row alone has more. */
  readonly maxPartBytes: number;
}

export interface LedgerBatcherOptions {
  readonly sink: LedgerSink;
  readonly bounds: Pick<LedgerConfig, 'batchMaxRows' | 'batchMaxBytes' | 'batchMaxAgeMs'>;
  readonly clock: Clock;
  /** Called in the order of `add`, once per chunk that has records. */
  readonly onDurable: (records: Uint32Array) => void;
  /** Called at each failed insert, and without an error at the return to `ok`. */
  readonly onState?: (state: LedgerState, error: LedgerError | null) => void;
  /** Null, or left out: what waits for the ledger waits here. */
  readonly overflow?: OverflowBounds | null;
  /** Batches go to the overflow from now on, or no more. */
  readonly onDiverting?: (isDiverting: boolean) => void;
  readonly onOverflowFailed?: (error: unknown) => void;
  readonly timers?: LedgerTimers;
  /** In [0, 1). */
  readonly random?: () => number;
}

const SYSTEM_TIMERS: LedgerTimers = {
  set: (callback, delayMs) => setTimeout(callback, delayMs),
  clear: (timer) => {
    clearTimeout(timer as NodeJS.Timeout);
  },
};

/** Chunks that wait. */
interface Batch {
  readonly chunks: LedgerChunk[];
  readonly openedAtMs: number;
  rows: number;
  bytes: number;
}

interface Waiter {
  /** Resolved when this many chunks are durable. */
  readonly chunks: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/**
 * Gathers chunks to batches and inserts them, one batch at a time and both tables
 * of it at once, so that acks come in order.
 *
 *   add ─► open batch ─(rows, bytes: at once; age, flush: when nothing flies)─► frozen ─► flying ─► durable
 *
 * While a batch flies the open one grows to its bounds, so a slow ledger gets
 * larger inserts, not more of them. A frozen batch never changes: its bytes are
 * sent again as they are, under the same token, however often that takes.
 *
 * When more waits than the overflow's bounds allow, or for longer, batches leave by the
 * overflow, the oldest first, until the ledger is back (`BatchSender`).
 */
export class LedgerBatcher {
  readonly #options: LedgerBatcherOptions;
  readonly #overflow: OverflowBounds | null;
  readonly #timers: LedgerTimers;
  readonly #sender: BatchSender;
  #open: Batch | null = null;
  readonly #frozen: Batch[] = [];
  #flying: Batch | null = null;
  #ageTimer: unknown = null;
  #overflowTimer: unknown = null;
  #stopped = false;

  #addedChunks = 0;
  #durableChunks = 0;
  #waiters: Waiter[] = [];

  #lastAckMs: number | null = null;
  #pendingRows = 0;
  #pendingBytes = 0;

  constructor(options: LedgerBatcherOptions) {
    this.#options = options;
    this.#timers = options.timers ?? SYSTEM_TIMERS;
    this.#overflow = options.overflow ?? null;
    this.#sender = new BatchSender({
      sink: options.sink,
      overflow: this.#overflow?.to ?? null,
      clock: options.clock,
      timers: this.#timers,
      random: options.random ?? Math.random,
      onState: options.onState ?? (() => undefined),
      onDiverting: options.onDiverting ?? (() => undefined),
      onOverflowFailed: options.onOverflowFailed ?? (() => undefined),
    });
  }

  /** Rows of both tables that are not durable. */
  get pendingRows(): number {
    return this.#pendingRows;
  }

  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  get stats(): LedgerStats {
    const { insertMs, ...counts } = this.#sender.stats;
    return {
      ...counts,
      insertSeconds: insertMs / 1000,
      pendingRows: this.#pendingRows,
      pendingBytes: this.#pendingBytes,
    };
  }

  health(): LedgerHealth {
    const oldest = this.#flying ?? this.#frozen[0] ?? this.#open;
    return {
      state: this.#sender.state,
      isDiverting: this.#sender.isDiverting,
      lastError: this.#sender.lastError?.message ?? null,
      pendingRows: this.#pendingRows,
      pendingSinceMs: oldest === null ? null : oldest.openedAtMs,
      lastAckMs: this.#lastAckMs,
    };
  }

  /** Takes the chunk's buffers over; they must not be changed after. */
  add(chunk: LedgerChunk): void {
    if (this.#stopped) throw new Error('the ledger batcher is stopped');
    const rows = chunk.attemptRows + chunk.eventRows;
    if (rows === 0 && chunk.records.length === 0) return;
    const bytes = sizeOf(chunk.attempts) + sizeOf(chunk.events);
    const batch = (this.#open ??= {
      chunks: [],
      openedAtMs: this.#options.clock.monotonicMs(),
      rows: 0,
      bytes: 0,
    });
    batch.chunks.push(chunk);
    batch.rows += rows;
    batch.bytes += bytes;
    this.#pendingRows += rows;
    this.#pendingBytes += bytes;
    this.#addedChunks++;
    const { batchMaxRows, batchMaxBytes } = this.#options.bounds;
    if (batch.rows >= batchMaxRows || batch.bytes >= batchMaxBytes) this.#freeze(batch);
    this.#fly();
    this.#checkOverflow();
  }

  /** Resolves once all that was added so far is durable; rejects when the batcher is stopped before. */
  flush(): Promise<void> {
    if (this.#durableChunks === this.#addedChunks) return Promise.resolve();
    if (this.#stopped) return Promise.reject(stoppedError());
    return new Promise((resolve, reject) => {
      this.#waiters.push({ chunks: this.#addedChunks, resolve, reject });
      this.#fly();
    });
  }

  /** Gives up what is not durable yet: it is read from Kafka again. Acks that still come are ignored. */
  stop(): void {
    this.#stopped = true;
    this.#clearAgeTimer();
    this.#clearOverflowTimer();
    this.#sender.stop();
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const { reject } of waiters) reject(stoppedError());
  }

  #freeze(batch: Batch): void {
    this.#open = null;
    this.#frozen.push(batch);
    this.#clearAgeTimer();
  }

  /** Starts the next batch unless one flies; batches without rows are done at once. */
  #fly(): void {
    while (this.#flying === null && !this.#stopped) {
      if (this.#open !== null && this.#frozen.length === 0 && this.#isDue(this.#open))
        this.#freeze(this.#open);
      const batch = this.#frozen.shift();
      if (batch === undefined) {
        this.#armAgeTimer();
        return;
      }
      this.#flying = batch;
      if (batch.rows === 0) this.#land(batch);
      else void this.#send(batch);
    }
  }

  /** Asked only when all before the open batch is durable, so whoever waits for a flush waits for this one. */
  #isDue(batch: Batch): boolean {
    return this.#waiters.length > 0 || batch.rows === 0 || this.#ageLeftMs(batch) <= 0;
  }

  #ageLeftMs(batch: Batch): number {
    return batch.openedAtMs + this.#options.bounds.batchMaxAgeMs - this.#options.clock.monotonicMs();
  }

  /** Runs only while nothing flies: the end of a flight looks at the open batch by itself. */
  #armAgeTimer(): void {
    if (this.#open === null || this.#ageTimer !== null) return;
    const onAge = (): void => {
      this.#ageTimer = null;
      this.#fly();
    };
    // A timer may fire up to a millisecond early; it is then set once more.
    this.#ageTimer = this.#timers.set(onAge, Math.max(1, Math.ceil(this.#ageLeftMs(this.#open))));
  }

  #clearAgeTimer(): void {
    if (this.#ageTimer === null) return;
    this.#timers.clear(this.#ageTimer);
    this.#ageTimer = null;
  }

  /** More waits than the ledger may be waited for. */
  #checkOverflow(): void {
    if (this.#overflow === null || this.#flying === null) return;
    const { afterRows, afterBytes } = this.#overflow;
    if (this.#pendingRows >= afterRows || this.#pendingBytes >= afterBytes) this.#sender.divert();
  }

  #armOverflowTimer({ openedAtMs }: Batch): void {
    if (this.#overflow === null) return;
    const leftMs = openedAtMs + this.#overflow.afterAgeMs - this.#options.clock.monotonicMs();
    this.#overflowTimer = this.#timers.set(
      () => {
        this.#overflowTimer = null;
        this.#sender.divert();
      },
      Math.max(FLIGHT_MIN_MS, Math.ceil(leftMs)),
    );
  }

  #clearOverflowTimer(): void {
    if (this.#overflowTimer === null) return;
    this.#timers.clear(this.#overflowTimer);
    this.#overflowTimer = null;
  }

  async #send(batch: Batch): Promise<void> {
    const maxBytes = this.#overflow?.maxPartBytes ?? Infinity;
    const parts = LEDGER_TABLES.flatMap((table) => partsOf(table, batch.chunks, maxBytes));
    this.#armOverflowTimer(batch);
    const isDurable = await this.#sender.send(parts);
    if (!isDurable || this.#stopped) return;
    this.#clearOverflowTimer();
    this.#land(batch);
    this.#fly();
    this.#checkOverflow();
  }

  /** Nothing else flies before all of the batch is told, so that callbacks that add chunks find the order kept. */
  #land(batch: Batch): void {
    this.#pendingRows -= batch.rows;
    this.#pendingBytes -= batch.bytes;
    this.#durableChunks += batch.chunks.length;
    if (batch.rows > 0) this.#lastAckMs = this.#options.clock.monotonicMs();
    for (const { records } of batch.chunks) if (records.length > 0) this.#options.onDurable(records);
    this.#flying = null;
    this.#resolveWaiters();
  }

  #resolveWaiters(): void {
    if (this.#waiters.length === 0) return;
    const isReached = ({ chunks }: Waiter): boolean => chunks <= this.#durableChunks;
    for (const waiter of this.#waiters) if (isReached(waiter)) waiter.resolve();
    this.#waiters = this.#waiters.filter((waiter) => !isReached(waiter));
  }
}

function sizeOf(bytes: Uint8Array | null): number {
  return bytes === null ? 0 : bytes.length;
}

function stoppedError(): Error {
  return new Error('the ledger batcher was stopped before all rows were durable');
}

/** What of a batch goes to one table: the chunks' own bytes, which nobody writes to any more. */
function partsOf(table: LedgerTable, chunks: readonly LedgerChunk[], maxBytes: number): LedgerPart[] {
  let rows = 0;
  let bytes = 0;
  const pieces: Uint8Array[] = [];
  for (const chunk of chunks) {
    const piece = chunk[table];
    if (piece === null) continue;
    pieces.push(piece);
    bytes += piece.length;
    rows += table === 'attempts' ? chunk.attemptRows : chunk.eventRows;
  }
  if (rows === 0) return [];
  if (bytes <= maxBytes) return [{ table, pieces: joined(pieces), bytes, rows, token: newToken() }];
  return cutRows(pieces, maxBytes).map((cut) => ({ table, ...cut, token: newToken() }));
}

function newToken(): string {
  return randomBytes(TOKEN_BYTES).toString('hex');
}

/** Runs of small pieces as one each: the row of a hand-over comes alone, and each piece is a write of its own. */
function joined(pieces: readonly Uint8Array[]): Uint8Array[] {
  const result: Uint8Array[] = [];
  for (let start = 0, end = 0; start < pieces.length; start = end) {
    while (end < pieces.length && (pieces[end] as Uint8Array).length < SMALL_PIECE_BYTES) end++;
    if (end - start > 1) result.push(Buffer.concat(pieces.slice(start, end)));
    else result.push(pieces[start] as Uint8Array);
    end = Math.max(end, start + 1);
  }
  return result;
}
