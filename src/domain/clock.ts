/**
 * The two kinds of time, kept apart. Monotonic time is for waiting, limits and
 * deadlines; wall-clock time is only for what is written down, signed or shown.
 * This file is the only place that reads either, so pure cores take a `Clock`.
 */
export interface Clock {
  /** Milliseconds since an arbitrary start; never goes back. */
  readonly monotonicMs: () => number;
  /** Milliseconds since the Unix epoch; may jump. */
  readonly wallMs: () => number;
}

export const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
};
