import { subscribe } from 'node:diagnostics_channel';
import type { Worker } from 'node:worker_threads';

/** What keeps a process alive, as `process.getActiveResourcesInfo()` names it, and should not outlive a test file. */
const WATCHED = new Set([
  'MessagePort',
  'ProcessWrap',
  'TCPServerWrap',
  'TCPSocketWrap',
  'TLSWrap',
  'Timeout',
  'UDPWrap',
]);

const liveThreads = new Set<Worker>();

/** Worker threads are no "active resource" and may be unref'd, so they are counted from birth to exit. */
export function watchThreads(): void {
  subscribe('worker_threads', (message) => {
    const { worker } = message as { worker: Worker };
    liveThreads.add(worker);
    worker.once('exit', () => liveThreads.delete(worker));
  });
}

/** What is open in this process now, each kind with its count, such as `2 TCPSocketWrap`; empty when nothing is. */
function openResources(): string[] {
  const counts = new Map<string, number>();
  for (const kind of process.getActiveResourcesInfo()) {
    if (WATCHED.has(kind)) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  if (liveThreads.size > 0) counts.set('Worker', liveThreads.size);
  return [...counts].map(([kind, count]) => `${count} ${kind}`);
}

/**
 * Waits until nothing is open, because sockets and threads take some turns of
 * the loop to close after their owner was told to.
 * @returns what is still open after `graceMs`.
 */
export async function openAfter(graceMs: number): Promise<string[]> {
  const deadlineMs = performance.now() + graceMs;
  let open = openResources();
  while (open.length > 0 && performance.now() < deadlineMs) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    open = openResources();
  }
  return open;
}
