import type { DispatcherProcess } from './dispatcher.ts';

/** Asks for a metric again and again, and keeps the most that it was. */
export function sampleMost(
  dispatcher: DispatcherProcess,
  name: string,
  everyMs: number,
): { stop(): Promise<number> } {
  let most = 0;
  let isStopped = false;
  const run = async (): Promise<void> => {
    while (!isStopped) {
      most = Math.max(most, await dispatcher.metric(name));
      await new Promise((resolve) => setTimeout(resolve, everyMs));
    }
  };
  const running = run();
  return {
    stop: async () => {
      isStopped = true;
      await running;
      return most;
    },
  };
}
