import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../domain/clock.ts';

const LOOK_MS = 50;

/** Looks until the condition holds, the time is over, or it is stopped. @returns whether the condition holds. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  timeoutMs: number,
  stop: AbortSignal | null = null,
): Promise<boolean> {
  const endMs = systemClock.monotonicMs() + timeoutMs;
  while (!(await condition())) {
    if (stop?.aborted === true || systemClock.monotonicMs() >= endMs) return false;
    await sleep(LOOK_MS);
  }
  return true;
}

/** Waits for work, at most so long. @returns whether it ended in time. */
export async function endsWithin(work: Promise<unknown>, timeoutMs: number): Promise<boolean> {
  const over = new AbortController();
  const timeout = sleep(timeoutMs, false, { signal: over.signal }).catch(() => false);
  try {
    return await Promise.race([work.then(() => true), timeout]);
  } finally {
    over.abort();
  }
}

/** Resolves when the signal aborts. */
export function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    signal.addEventListener(
      'abort',
      () => {
        resolve();
      },
      { once: true },
    );
  });
}
