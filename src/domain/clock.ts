/**
 * The two kinds of time, kept apart. Monotonic time is for waiting, limits and
 * deadlines; wall-clock time is only for what is written down, signed or shown.
 * This file is the only place that reads either, so pure cores take a `Clock`.
 */
export interface Clock {
  /** Milliseconds since an arbitrary start; never goes back. The same in every thread of the process. */
  readonly monotonicMs: () => number;
  /** Milliseconds since the Unix epoch; may jump. */
  readonly wallMs: () => number;
}

/** What this thread's `performance.now` lacks to the machine's own monotonic clock, which all threads share. */
const THREAD_START_MS = Number(process.hrtime.bigint()) / 1e6 - performance.now();

export const systemClock: Clock = {
  monotonicMs: () => THREAD_START_MS + performance.now(),
  wallMs: () => Date.now(),
};
