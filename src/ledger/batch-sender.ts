import type { Clock } from '../domain/clock.ts';
import type { LedgerTable } from './columns.ts';
import { toLedgerError, type LedgerError, type LedgerErrorKind } from './errors.ts';
import { retryDelayMs } from './retry-delay.ts';

/** So long the overflow is waited for alone; then the ledger is tried beside it. */
const PUT_PATIENCE_MS = 5_000;

/** Where batches go; a `Ledger` is one. */
export interface LedgerSink {
  /** Resolves once the rows are durable; the same pieces under the same token are stored once. */
  insert(table: LedgerTable, pieces: readonly Uint8Array[], token: string): Promise<void>;
}

/** Where parts go while the ledger does not take them; whoever drains it inserts them under their token. */
export interface LedgerOverflow {
  /** Resolves once the part is durable there; may be offered again after it rejects. */
  put(part: LedgerPart): Promise<void>;
}

/** One table's rows of a batch, as they are sent, and sent again. */
export interface LedgerPart {
  readonly table: LedgerTable;
  /** Whole rows, one after the other. */
  readonly pieces: readonly Uint8Array[];
  readonly bytes: number;
  readonly rows: number;
  readonly token: string;
}

/**
 * How inserting goes.
 * - `ok`: the latest insert was acknowledged, or none was tried yet.
 * - `retrying`: entered when an insert fails by something that passes (network,
 *   load, a server that restarts); it is sent again with growing delays.
 * - `alarm`: entered when an insert is refused (schema, rights, format): a human
 *   must act. It is sent again at the longest delay.
 *
 * Both end when ClickHouse has acknowledged a whole batch, which leads back to `ok`;
 * from `alarm` a failure of the passing kind leads to `retrying`. Nothing is dropped
 * in any of them.
 */
export type LedgerState = 'ok' | 'retrying' | 'alarm';

export interface LedgerTimers {
  set(callback: () => void, delayMs: number): unknown;
  clear(timer: unknown): void;
}

export interface InsertStats {
  /** Acknowledged by ClickHouse. */
  inserts: number;
  rows: number;
  bytes: number;
  insertFailures: number;
  /** Time spent in inserts, failed ones included; two tables at once count twice. */
  insertMs: number;
}

export interface BatchSenderOptions {
  readonly sink: LedgerSink;
  readonly overflow: LedgerOverflow | null;
  readonly clock: Clock;
  readonly timers: LedgerTimers;
  /** In [0, 1). */
  readonly random: () => number;
  /** Called at each failed insert, and without an error at the return to `ok`. */
  readonly onState: (state: LedgerState, error: LedgerError | null) => void;
  /** Batches go to the overflow from now on, or no more. */
  readonly onDiverting: (isDiverting: boolean) => void;
  /** The overflow refused a part; it is offered again, and so is the ledger. */
  readonly onOverflowFailed: (error: unknown) => void;
}

/** A batch on its way. */
interface Flight {
  /** It goes to the overflow, however its insert ends. */
  isDiverted: boolean;
  readonly diverted: Promise<void>;
  readonly divert: () => void;
  /** Whether ClickHouse has acknowledged all that is durable of it so far. */
  isInserted: boolean;
}

/**
 * Makes one batch at a time durable: in the ledger, or, once it was told to
 * `divert`, in the overflow.
 *
 *   direct ──divert──► diverting ──a whole batch is inserted──► direct
 *
 * `direct`: a part is inserted again and again, as it is, until it is acknowledged.
 * `diverting`: entered when too much waits, or for too long. The batch that flies
 * gives way too, although its insert may still arrive: the token it keeps, and the
 * drainer's look at what is there, make one copy of the two. From then on a batch goes to
 * the overflow at once, except for one each time the retry delay has passed: that
 * one is inserted first, as the probe by which the ledger is found to be back.
 */
export class BatchSender {
  readonly stats: InsertStats = { inserts: 0, rows: 0, bytes: 0, insertFailures: 0, insertMs: 0 };
  readonly #options: BatchSenderOptions;
  readonly #pauses = new Set<unknown>();
  #stopped = false;
  #flight: Flight | null = null;
  #state: LedgerState = 'ok';
  #lastError: LedgerError | null = null;
  #diverting = false;
  #probeFailures = 0;
  #probeAtMs = 0;

  constructor(options: BatchSenderOptions) {
    this.#options = options;
  }

  get state(): LedgerState {
    return this.#state;
  }

  get lastError(): LedgerError | null {
    return this.#lastError;
  }

  get isDiverting(): boolean {
    return this.#diverting;
  }

  /** @returns whether the parts are durable; false when it was stopped before. */
  async send(parts: readonly LedgerPart[]): Promise<boolean> {
    const flight = newFlight();
    this.#flight = flight;
    if (this.#diverting && this.#options.clock.monotonicMs() < this.#probeAtMs) flight.divert();
    await Promise.all(parts.map((part) => this.#sendPart(part, flight)));
    if (this.#stopped) return false;
    this.#flight = null;
    if (flight.isInserted) this.#isBack();
    return true;
  }

  /** What flies now, and what comes next, gives way to the overflow; nothing without one. */
  divert(): void {
    if (this.#options.overflow === null || this.#stopped || this.#flight === null) return;
    if (!this.#diverting) {
      this.#diverting = true;
      this.#options.onDiverting(true);
    }
    if (!this.#flight.isDiverted) this.#probeLater(this.#lastError?.kind ?? 'retryable');
    this.#flight.divert();
  }

  /** Answers that still come are ignored. */
  stop(): void {
    this.#stopped = true;
    for (const timer of this.#pauses) this.#options.timers.clear(timer);
    this.#pauses.clear();
  }

  async #sendPart(part: LedgerPart, flight: Flight): Promise<void> {
    const pending = flight.isDiverted ? null : await this.#insertUntilDiverted(part, flight);
    if (this.#stopped || pending === 'acknowledged') return;
    await this.#putOrInsert(part, flight, pending);
  }

  /** @returns the insert that has no answer yet where it gave way, null where it had failed. */
  async #insertUntilDiverted(
    part: LedgerPart,
    flight: Flight,
  ): Promise<'acknowledged' | PendingInsert | null> {
    for (let failures = 1; ; failures++) {
      const pending = this.#insert(part);
      await Promise.race([pending.answered, flight.diverted]);
      if (this.#stopped || pending.answer === 'acknowledged') return 'acknowledged';
      if (pending.answer === null) return pending;
      const { kind } = pending.answer;
      if (this.#diverting) this.divert();
      else await this.#pause(retryDelayMs(kind, failures, this.#options.random()), flight.diverted);
      if (flight.isDiverted) return null;
    }
  }

  /** Offers the part to the overflow, and where that refuses it or does not answer, to both, until one has it. */
  async #putOrInsert(part: LedgerPart, flight: Flight, pending: PendingInsert | null): Promise<void> {
    let insert = pending;
    let put = this.#put(part);
    for (let failures = 1; !this.#stopped; failures++) {
      const isOver = insert === null ? put.answered : Promise.race([put.answered, insert.acknowledged]);
      await this.#pause(PUT_PATIENCE_MS, isOver);
      if (insert?.answer === 'acknowledged') return;
      if (put.answer === 'acknowledged') {
        flight.isInserted = false;
        return;
      }
      if (insert?.answer !== null) insert = this.#insert(part);
      if (put.answer === null) continue;
      this.#options.onOverflowFailed(put.answer);
      const delayMs = retryDelayMs('retryable', failures, this.#options.random());
      await this.#pause(delayMs, insert.acknowledged);
      if (insert.answer === 'acknowledged') return;
      put = this.#put(part);
    }
  }

  #put(part: LedgerPart): PendingPut {
    const { overflow } = this.#options;
    const put: PendingPut = {
      answer: null,
      answered: (overflow as LedgerOverflow).put(part).then(
        () => {
          put.answer = 'acknowledged';
        },
        (error: unknown) => {
          put.answer = error instanceof Error ? error : new Error(String(error));
        },
      ),
    };
    return put;
  }

  #insert(part: LedgerPart): PendingInsert {
    const { sink, clock } = this.#options;
    const startMs = clock.monotonicMs();
    let acknowledge: () => void = () => undefined;
    const pending: PendingInsert = {
      answer: null,
      acknowledged: new Promise((resolve) => {
        acknowledge = resolve;
      }),
      answered: sink.insert(part.table, part.pieces, part.token).then(
        () => {
          this.stats.insertMs += clock.monotonicMs() - startMs;
          pending.answer = 'acknowledged';
          if (!this.#stopped) this.#onInserted(part);
          acknowledge();
        },
        (error: unknown) => {
          this.stats.insertMs += clock.monotonicMs() - startMs;
          pending.answer = toLedgerError(error);
          if (!this.#stopped) this.#onFailed(pending.answer);
        },
      ),
    };
    return pending;
  }

  #onInserted(part: LedgerPart): void {
    this.stats.inserts++;
    this.stats.rows += part.rows;
    this.stats.bytes += part.bytes;
  }

  #onFailed(error: LedgerError): void {
    this.stats.insertFailures++;
    this.#setState(error.kind === 'fatal' ? 'alarm' : 'retrying', error);
  }

  #probeLater(kind: LedgerErrorKind): void {
    const { clock, random } = this.#options;
    this.#probeFailures++;
    this.#probeAtMs = clock.monotonicMs() + retryDelayMs(kind, this.#probeFailures, random());
  }

  /** A batch was inserted whole. */
  #isBack(): void {
    this.#probeFailures = 0;
    if (this.#diverting) {
      this.#diverting = false;
      this.#options.onDiverting(false);
    }
    if (this.#state !== 'ok') this.#setState('ok', null);
  }

  /** The one place that assigns the state. */
  #setState(state: LedgerState, error: LedgerError | null): void {
    this.#state = state;
    this.#lastError = error;
    this.#options.onState(state, error);
  }

  /** Ends early with what cuts it short; never when stopped meanwhile: what waits on it is garbage then. */
  #pause(delayMs: number, cutShort: Promise<void> | null): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        if (!this.#pauses.delete(timer)) return;
        this.#options.timers.clear(timer);
        resolve();
      };
      const timer = this.#options.timers.set(end, delayMs);
      this.#pauses.add(timer);
      void cutShort?.then(end);
    });
  }
}

/** An insert that was sent. */
interface PendingInsert {
  /** Null until there is one. */
  answer: 'acknowledged' | LedgerError | null;
  readonly answered: Promise<void>;
  /** Never settles when it fails. */
  readonly acknowledged: Promise<void>;
}

/** An offer to the overflow. */
interface PendingPut {
  /** Null until there is one. */
  answer: 'acknowledged' | Error | null;
  readonly answered: Promise<void>;
}

function newFlight(): Flight {
  let resolve: () => void = () => undefined;
  const diverted = new Promise<void>((settle) => {
    resolve = settle;
  });
  const flight: Flight = {
    isDiverted: false,
    diverted,
    divert: () => {
      flight.isDiverted = true;
      resolve();
    },
    isInserted: true,
  };
  return flight;
}
