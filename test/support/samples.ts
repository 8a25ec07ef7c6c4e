import { readFile } from 'node:fs/promises';
import path from 'node:path';

import { runToEnd } from './process.ts';
import { repositoryRoot } from './repository.ts';
import { temporaryDirectory } from './temp.ts';

/** One event as `eventdispatch produce --manifest` noted it when the broker had it. */
export interface ProducedEvent {
  readonly eventId: string;
  readonly tenant: string;
  readonly type: string;
  readonly partition: number;
  readonly offset: number;
}

export interface ProduceOptions {
  readonly brokers: string;
  readonly topic: string;
  readonly count: number;
  readonly tenants: number;
  /** Events per second; as fast as it goes when left out. */
  readonly ratePerSecond?: number;
  readonly seed?: number;
  readonly timeoutMs?: number;
}

/** Sends sample events with the program's own `produce` command, and returns what the broker acknowledged. */
export async function produceSamples(options: ProduceOptions): Promise<ProducedEvent[]> {
  const directory = await temporaryDirectory('produce');
  const manifest = path.join(directory.path, 'manifest.tsv');
  const rate = ['--rate', options.ratePerSecond === undefined ? 'max' : `${options.ratePerSecond}/s`];
  const seed = options.seed === undefined ? [] : ['--seed', String(options.seed)];
  try {
    await runToEnd({
      name: 'eventdispatch produce',
      command: process.execPath,
      args: [
        path.join(repositoryRoot, 'bin', 'eventdispatch.cjs'),
        'produce',
        ...['--brokers', options.brokers, '--topic', options.topic],
        ...['--count', String(options.count), '--tenants', String(options.tenants)],
        ...['--manifest', manifest, ...rate, ...seed],
      ],
      timeoutMs: options.timeoutMs ?? 120_000,
    });
    return parseManifest(await readFile(manifest, 'utf8'));
  } finally {
    await directory.remove();
  }
}

function parseManifest(text: string): ProducedEvent[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [eventId = '', tenant = '', type = '', partition = '', offset = ''] = line.split('\t');
      return { eventId, tenant, type, partition: Number(partition), offset: Number(offset) };
    });
}
