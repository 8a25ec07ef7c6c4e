import { createReadStream, existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { messageOf, UserError } from '../../domain/errors.ts';
import { HISTORY_FILES } from '../../verify/history.ts';
import type { History, RunFacts } from '../../verify/history.ts';

type FileName = keyof typeof HISTORY_FILES;

/** Numbers, texts and flags that each line must have; what may be null is left out, and more may be there. */
const SHAPES: Readonly<
  Record<FileName, Readonly<Record<string, 'number' | 'string' | 'boolean' | 'object'>>>
> = {
  produced: {
    ...{ atMs: 'number', tenant: 'string', eventId: 'string', type: 'string', key: 'string' },
    ...{ topic: 'string', partition: 'number', offset: 'number', isFresh: 'boolean' },
  },
  requests: {
    ...{ atMs: 'number', destination: 'string', deliveryId: 'string', status: 'number' },
    ...{ process: 'string', tenant: 'string', eventId: 'string' },
  },
  ownership: {
    ...{ atMs: 'number', process: 'string', what: 'string' },
    ...{ topic: 'string', partition: 'number', offset: 'number' },
  },
  ledger: {
    ...{ deliveryId: 'string', destination: 'string', tenant: 'string', eventId: 'string', topic: 'string' },
    ...{ partition: 'number', offset: 'number', attempt: 'number', outcome: 'string', isFinal: 'boolean' },
    ...{
      status: 'number',
      class: 'string',
      handOver: 'string',
      attemptedAtMs: 'number',
      durationMs: 'number',
    },
  },
  snapshots: { atMs: 'number', committed: 'object', rows: 'object' },
  faults: { what: 'string', process: 'string', fromMs: 'number', toMs: 'number' },
  breakers: {
    ...{ atMs: 'number', process: 'string', tenant: 'string', destination: 'string', isOpen: 'boolean' },
  },
  usage: {
    ...{ atMs: 'number', process: 'string' },
    ...{ rssBytes: 'number', descriptors: 'number', openRecords: 'number' },
  },
};

/**
 * Reads the history in a folder: `run.json`, and JSON lines for the rest.
 * @throws UserError naming the file, and the line, that can't be used.
 */
export async function readHistory(folder: string): Promise<History> {
  const missing = ['run.json', ...Object.values(HISTORY_FILES)].filter(
    (file) => !existsSync(path.join(folder, file)),
  );
  if (missing.length > 0) throw new UserError([`--histories ${folder}: has no ${missing.join(', ')}`]);
  const run = await readRun(path.join(folder, 'run.json'));
  const names = Object.keys(HISTORY_FILES) as FileName[];
  const parts = await Promise.all(
    names.map(async (name) => [name, await readLines(path.join(folder, HISTORY_FILES[name]), name)] as const),
  );
  return { run, ...(Object.fromEntries(parts) as unknown as Omit<History, 'run'>) };
}

async function readRun(file: string): Promise<RunFacts> {
  let run: unknown;
  try {
    run = JSON.parse(await readFile(file, 'utf8'));
  } catch (error) {
    throw new UserError([`${file}: ${messageOf(error)}`]);
  }
  const facts = {
    destinations: 'object',
    bounds: 'object',
    required: 'object',
    healedAtMs: 'number',
  } as const;
  const problem = problemOf(run, facts);
  if (problem !== null) throw new UserError([`${file}: ${problem}`]);
  return run as RunFacts;
}

async function readLines(file: string, name: FileName): Promise<unknown[]> {
  const items: unknown[] = [];
  const lines = createInterface({ input: createReadStream(file), crlfDelay: Infinity });
  let number = 0;
  for await (const line of lines) {
    number++;
    if (line === '') continue;
    let item: unknown;
    try {
      item = JSON.parse(line);
    } catch (error) {
      throw new UserError([`${file}:${number}: ${messageOf(error)}`]);
    }
    const problem = problemOf(item, SHAPES[name]);
    if (problem !== null) throw new UserError([`${file}:${number}: ${problem}`]);
    items.push(item);
  }
  return items;
}

function problemOf(item: unknown, shape: Readonly<Record<string, string>>): string | null {
  if (typeof item !== 'object' || item === null) return 'is no JSON object';
  const values = item as Readonly<Record<string, unknown>>;
  for (const [key, type] of Object.entries(shape)) {
    const value = values[key];
    if (typeof value !== type || value === null)
      return `${key} must be a${type === 'object' ? 'n' : ''} ${type}`;
  }
  return null;
}
