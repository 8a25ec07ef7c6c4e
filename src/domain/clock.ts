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
const THREAD_START_MS = threadStartMs();

/** A thread that is put aside between two looks would have a clock of its own: the closest of some pairs counts. */
function threadStartMs(): number {
  let closestMs = Infinity;
  let startMs = 0;
  for (let tries = 0; tries < 5; tries++) {
    const beforeMs = Number(process.hrtime.bigint()) / 1e6;
    const ownMs = performance.now();
    const apartMs = Number(process.hrtime.bigint()) / 1e6 - beforeMs;
    if (apartMs >= closestMs) continue;
    closestMs = apartMs;
    startMs = beforeMs + apartMs / 2 - ownMs;
  }
  return startMs;
}

export const systemClock: Clock = {
  monotonicMs: () => THREAD_START_MS + performance.now(),
  wallMs: () => Date.now(),
};
