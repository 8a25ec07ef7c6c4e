import { writeFile } from 'node:fs/promises';
import path from 'node:path';

import { startChild } from './process.ts';
import type { Child, ExitStatus } from './process.ts';
import { repositoryRoot } from './repository.ts';
import { temporaryDirectory } from './temp.ts';

/** A dispatcher in a process of its own, started as a user starts it: `eventdispatch start --config FILE`. */
export interface DispatcherProcess {
  readonly child: Child;
  /** Port of `/metrics` and `/health`. */
  readonly httpPort: number;
  /** The sum over all series of a metric that match the labels. */
  metric(name: string, labels?: Readonly<Record<string, string>>): Promise<number>;
  /** SIGTERM, then waits for the drain. */
  stop(deadlineMs?: number): Promise<ExitStatus>;
  /** SIGKILL. */
  kill(): Promise<ExitStatus>;
}

const START_TIMEOUT_MS = 60_000;
const STOP_DEADLINE_MS = 60_000;

/**
 * @param config as a user writes it; JSON is YAML. `http.port` is set to any free one.
 * @param nodeFlags e.g. `--cpu-prof`.
 */
export async function startDispatcherProcess(
  config: Readonly<Record<string, unknown>>,
  nodeFlags: readonly string[] = [],
  onLine?: (line: string) => void,
): Promise<DispatcherProcess> {
  const directory = await temporaryDirectory('dispatcher');
  const file = path.join(directory.path, 'eventdispatch.yaml');
  await writeFile(file, JSON.stringify({ ...config, http: { host: '127.0.0.1', port: 0 } }, null, 2));
  const { child, ready } = await startChild({
    name: 'eventdispatch start',
    command: process.execPath,
    args: [...nodeFlags, path.join(repositoryRoot, 'bin', 'eventdispatch.cjs'), 'start', '--config', file],
    ready: /"httpPort":(\d+).*"event":"started"/,
    readyTimeoutMs: START_TIMEOUT_MS,
    ...(onLine === undefined ? {} : { onLine }),
  });
  void child.exited.then(() => directory.remove());
  const httpPort = Number(ready[1]);
  return {
    child,
    httpPort,
    metric: (name, labels = {}) => readMetric(httpPort, name, labels),
    stop: (deadlineMs = STOP_DEADLINE_MS) => child.stop(deadlineMs),
    kill: () => child.kill(),
  };
}

async function readMetric(
  port: number,
  name: string,
  labels: Readonly<Record<string, string>>,
): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${port}/metrics`);
  return sumOfMetric(await response.text(), name, labels);
}

/** Adds up the samples of one name in the Prometheus text format whose labels include these. */
function sumOfMetric(text: string, name: string, labels: Readonly<Record<string, string>>): number {
  const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
  let sum = 0;
  for (const line of text.split('\n')) {
    if (!line.startsWith(`${name}{`) && !line.startsWith(`${name} `)) continue;
    if (wanted.every((pair) => line.includes(pair))) sum += Number(line.slice(line.lastIndexOf(' ') + 1));
  }
  return sum;
}
