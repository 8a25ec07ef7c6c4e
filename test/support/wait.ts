import { setTimeout as sleep } from 'node:timers/promises';

export interface WaitOptions {
  readonly timeoutMs: number;
  /** What is waited for, for the error; a function is asked at the end, so it can tell the last state seen. */
  readonly what: string | (() => string);
  /** Time between two looks at the condition; 20 ms by default. */
  readonly intervalMs?: number;
}

type Truthy<T> = Exclude<T, false | null | undefined | 0 | ''>;

/**
 * Looks at the condition until it answers something truthy, and returns that.
 *
 * @throws Error "timed out after … waiting for …" when the time is over. An error thrown by the condition passes
 * through at once: a condition that may fail for a while has to catch that itself.
 */
export async function waitFor<T>(condition: () => T | Promise<T>, options: WaitOptions): Promise<Truthy<T>> {
  const deadline = performance.now() + options.timeoutMs;
  for (;;) {
    const answer = await condition();
    if (answer) return answer as Truthy<T>;
    if (performance.now() >= deadline) throw new Error(timeoutMessage(options));
    await sleep(options.intervalMs ?? 20);
  }
}

function timeoutMessage(options: WaitOptions): string {
  const what = typeof options.what === 'string' ? options.what : options.what();
  return `timed out after ${options.timeoutMs} ms waiting for ${what}`;
}
