import type { Dispatcher } from 'undici';
import { BLOCKED_CODE, DEADLINE_CODE, type AttemptEnd } from './classify.ts';
import { OFF_WHEEL, type Deadlined } from './deadline-wheel.ts';

/** Who sent a request, and is told how it went. */
export interface ExchangeListener<Context> {
  /** Its bytes are going out now (or it failed before they could): a reserved token is spent. Called once. */
  onSpent(exchange: Exchange<Context>): void;
  /** The head of the answer is there. Called at most once, before `onEnd`. */
  onAnswer(exchange: Exchange<Context>): void;
  /** The result stands. Called once; the connection may still be busy. */
  onEnd(exchange: Exchange<Context>): void;
  /** The connection is free again. Called once, never before `onEnd`. */
  onRelease(exchange: Exchange<Context>): void;
}

/** How much of an answer is read, and how much of that is kept. */
export interface ReadBounds {
  readonly maxExcerptBytes: number;
  readonly maxResponseBytes: number;
}

class DeadlineError extends Error {
  readonly code = DEADLINE_CODE;
}

class EnoughReadError extends Error {
  readonly code = 'EVENTDISPATCH_ENOUGH_READ';
}

const RETRY_AFTER = 'retry-after';
/** Twice the longest that means anything, a date; a longer one is not kept. */
const RETRY_AFTER_MAX_BYTES = 64;

/**
 * One HTTP exchange: undici's handler, the deadline's entry and the result in one
 * object, so that an attempt costs no closure. It lives through
 *
 *   queued ──► connected ──► ended ──► released
 *      └── deadline ──► ended ──► (connected, aborted) ──► released
 *
 * and is never used again. Ending is `#end` alone, releasing `#release` alone.
 */
export class Exchange<Context> implements Dispatcher.DispatchHandler, Deadlined, AttemptEnd {
  /** What the sender knows this exchange by. */
  readonly context: Context;
  readonly deadlineMs: number;
  readonly startedMs: number;
  wheelSlot = OFF_WHEEL;
  wheelPrevious: Deadlined | null = null;
  wheelNext: Deadlined | null = null;

  /** Which of its origin's connections it holds. Written by the origin. */
  connection = -1;
  status = 0;
  hasRetryAfter = false;
  retryAfter = '';
  errorCode = '';
  requestSent = false;
  /** The first bytes of the answer, as text. */
  excerpt = '';
  responseBytes = 0;

  readonly #listener: ExchangeListener<Context>;
  readonly #bounds: ReadBounds;
  #abort: ((reason?: Error) => void) | null = null;
  #ended = false;

  constructor(
    listener: ExchangeListener<Context>,
    context: Context,
    startedMs: number,
    timeoutMs: number,
    bounds: ReadBounds,
  ) {
    this.context = context;
    this.#listener = listener;
    this.startedMs = startedMs;
    this.deadlineMs = startedMs + timeoutMs;
    this.#bounds = bounds;
  }

  /** undici has a connected socket and writes the request right after this returns. */
  onConnect(abort: (reason?: Error) => void): void {
    if (this.#ended) {
      abort(new DeadlineError('the deadline passed before a connection was there'));
      return;
    }
    this.#abort = abort;
    this.requestSent = true;
    this.#listener.onSpent(this);
  }

  onHeaders(status: number, headers: Buffer[]): boolean {
    // Informational answers precede the real one and may repeat (RFC 9110 §15.2); the deadline bounds them.
    if (status < 200) return true;
    this.status = status;
    this.#listener.onAnswer(this);
    if (status === 429 || status >= 500) this.#readRetryAfter(headers);
    return true;
  }

  onData(chunk: Buffer): boolean {
    const room = this.#bounds.maxExcerptBytes - this.responseBytes;
    if (room > 0) this.excerpt += chunk.toString('utf8', 0, Math.min(room, chunk.length));
    this.responseBytes += chunk.length;
    if (this.responseBytes > this.#bounds.maxResponseBytes)
      this.#abort?.(new EnoughReadError('enough was read'));
    return true;
  }

  onComplete(): void {
    this.#end('');
    this.#listener.onRelease(this);
  }

  onError(error: Error): void {
    this.#end(codeOf(error));
    this.#listener.onRelease(this);
  }

  onUpgrade(): void {
    throw new Error('the receiver switched protocols, which was not asked for');
  }

  onDeadline(): void {
    const error = new DeadlineError('the deadline of the attempt passed');
    if (this.#abort !== null) this.#abort(error);
    else this.#end(error.code);
  }

  #readRetryAfter(headers: readonly Buffer[]): void {
    const value = headerOf(headers, RETRY_AFTER);
    if (value === null) return;
    this.hasRetryAfter = true;
    if (value.length <= RETRY_AFTER_MAX_BYTES) this.retryAfter = value.toString('latin1');
  }

  #end(errorCode: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.errorCode = errorCode;
    if (!this.requestSent) this.#listener.onSpent(this);
    this.#listener.onEnd(this);
  }
}

/** The first value of a header; null when there is none. */
function headerOf(headers: readonly Buffer[], lowerCaseName: string): Buffer | null {
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = headers[i] as Buffer;
    if (name.length === lowerCaseName.length && name.toString('latin1').toLowerCase() === lowerCaseName)
      return headers[i + 1] as Buffer;
  }
  return null;
}

/** The most telling code of an error: an address guard's verdict, else the innermost cause that has one. */
function codeOf(error: Error): string {
  let code = '';
  let current: unknown = error;
  for (let depth = 0; depth < 4 && current instanceof Error; depth++) {
    const own = (current as { code?: unknown }).code;
    if (own === BLOCKED_CODE) return BLOCKED_CODE;
    if (typeof own === 'string') code = own;
    current = current.cause;
  }
  return code === '' ? error.name : code;
}
