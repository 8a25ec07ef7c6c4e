import { appendFileSync, closeSync, openSync, writeSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { LineSink } from '../observability/log.ts';

/** A temporary folder for everything a demo writes. */
export interface DemoFolder {
  readonly path: string;
  readonly configFile: string;
  /** Data of the embedded ClickHouse. */
  readonly ledgerPath: string;
  /** What the producer had acknowledged; see `cli/produce/manifest.ts`. */
  readonly manifestFile: string;
  /** What the receivers answered with 2xx: destination and `webhook-id`, tab-separated. */
  readonly receiptsFile: string;
  /** The dispatcher's log lines. */
  readonly logFile: string;
  /** What the child processes print. */
  readonly childrenLogFile: string;
  readonly log: LineSink;
  close(): void;
  remove(): Promise<void>;
}

export async function openDemoFolder(): Promise<DemoFolder> {
  const folder = await mkdtemp(path.join(tmpdir(), 'eventdispatch-demo-'));
  const inFolder = (name: string): string => path.join(folder, name);
  const logFile = inFolder('dispatcher.log');
  const logDescriptor = openSync(logFile, 'a');
  const [manifestFile, receiptsFile] = [inFolder('manifest.tsv'), inFolder('receipts.tsv')];
  // They are read by SQL even when a child ended before it wrote anything.
  for (const file of [manifestFile, receiptsFile]) appendFileSync(file, '');
  return {
    path: folder,
    configFile: inFolder('eventdispatch.yaml'),
    ledgerPath: inFolder('clickhouse'),
    manifestFile,
    receiptsFile,
    logFile,
    childrenLogFile: inFolder('children.log'),
    log: { write: (line) => void writeSync(logDescriptor, line) },
    close: () => {
      closeSync(logDescriptor);
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}
