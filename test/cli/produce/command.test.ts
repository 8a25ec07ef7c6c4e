/** Proves `eventdispatch produce` against an embedded broker: every event acknowledged, keyed by tenant, reproducible, drained by a signal. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startEmbeddedBroker } from '../../../src/kafka/embedded-broker.ts';
import type { EmbeddedBroker } from '../../../src/kafka/embedded-broker.ts';
import { spawnChild } from '../../support/process.ts';
import type { Child } from '../../support/process.ts';
import { repositoryRoot } from '../../support/repository.ts';
import { temporaryDirectory } from '../../support/temp.ts';
import type { TemporaryDirectory } from '../../support/temp.ts';

let broker: EmbeddedBroker;
let folder: TemporaryDirectory;

beforeAll(async () => {
  broker = await startEmbeddedBroker();
  folder = await temporaryDirectory('produce');
});
afterAll(async () => {
  await broker.close();
  await folder.remove();
});

function produce(...args: string[]): Promise<Child> {
  const program = path.join(repositoryRoot, 'bin', 'eventdispatch.cjs');
  const command = [program, 'produce', '--brokers', broker.brokers, ...args];
  return spawnChild({ name: 'produce', command: process.execPath, args: command });
}

interface Line {
  readonly eventId: string;
  readonly tenant: string;
  readonly type: string;
  readonly partition: number;
  readonly offset: number;
}

function readManifest(file: string): Line[] {
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
  return lines.map((line) => {
    const [eventId = '', tenant = '', type = '', partition, offset] = line.split('\t');
    return { eventId, tenant, type, partition: Number(partition), offset: Number(offset) };
  });
}

async function sent(topic: string, ...args: string[]): Promise<{ lines: Line[]; output: string }> {
  const file = path.join(folder.path, `${topic}.tsv`);
  const child = await produce('--topic', topic, '--manifest', file, ...args);
  expect(await child.exited, child.output()).toEqual({ code: 0, signal: null });
  return { lines: readManifest(file), output: child.output() };
}

describe('produce', () => {
  test('sends as many as asked, each acknowledged at a place of its own, a tenant on one partition', async () => {
    const { lines, output } = await sent('counted', '--count', '2000', '--rate', 'max', '--tenants', '7');
    expect(output).toMatch(/^counted: 2,000 sent, 2,000 acked, 0 failed, .*\/s in .* s$/m);
    expect(new Set(lines.map(({ eventId }) => eventId)).size).toBe(2_000);
    expect(new Set(lines.map(({ partition, offset }) => `${partition}/${offset}`)).size).toBe(2_000);
    const places = new Set(lines.map(({ tenant, partition }) => `${tenant} ${partition}`));
    expect(places.size).toBe(new Set(lines.map(({ tenant }) => tenant)).size);
  });

  test('sends the same events for the same seed, of the types asked for', async () => {
    const args = ['--count', '300', '--rate', 'max', '--seed', '7', '--types', 'contact.*,email.sent'];
    const [first, second] = [await sent('seed-1', ...args), await sent('seed-2', ...args)];
    const ids = (lines: readonly Line[]): string[] => lines.map(({ eventId }) => eventId).sort();
    expect(ids(second.lines)).toEqual(ids(first.lines));
    expect(
      [...new Set(first.lines.map(({ type }) => type))].every((type) =>
        /^contact\.|^email\.sent$/.test(type),
      ),
    ).toBe(true);
  });

  test('Ctrl-C ends it, and what was sent is still acknowledged', async () => {
    const child = await produce('--topic', 'stopped', '--rate', '200/s');
    await child.waitForLine(/^\d+ sent/, 15_000);
    child.signal('SIGINT');
    expect(await child.exited).toEqual({ code: 0, signal: null });
    const [, count, acked] = /^stopped: (\d+) sent, (\d+) acked, 0 failed/m.exec(child.output()) ?? [];
    expect(Number(count)).toBeGreaterThan(100);
    expect(acked).toBe(count);
  });
});
