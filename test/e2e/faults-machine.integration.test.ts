/**
 * Faults P4 and P5: the machine is short of something. Descriptors or local ports that run out are no fault of an
 * endpoint: nothing is charged, and all goes on when there are some again. A heap that is full ends the process as
 * kill -9 does: nothing is lost.
 */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';

import { debianProgram } from '../support/debian-program.ts';
import { startDispatcherProcess, type DispatcherProcess } from '../support/dispatcher.ts';
import { startChild, type ExitStatus } from '../support/process.ts';
import { supportFile } from '../support/repository.ts';
import { produceSamples, type ProducedEvent } from '../support/samples.ts';
import { waitFor } from '../support/wait.ts';
import { describeWithKafka } from '../support/with-real-parts.ts';
import { FaultRun, MAX_ATTEMPTS, rowsOf, type AttemptRow } from './fault-run.ts';
import { Scenario } from './scenario.ts';

const TIMEOUT_MS = 60_000;
/** With so few as its limit a process keeps what it has open and gets no more, whatever it closes meanwhile. */
const STANDARD_STREAMS = 3;

/** Something that the machine has no more of. */
interface Shortage {
  readonly of: string;
  readonly reason: string;
  /** @returns what ends it. */
  cause(pid: number): Promise<() => Promise<void>>;
}

const SHORTAGES: Shortage[] = [
  {
    of: 'file descriptors',
    reason: 'no_descriptors',
    async cause(pid) {
      const limit = await softLimitOf(pid);
      await setSoftLimit(pid, STANDARD_STREAMS);
      return () => setSoftLimit(pid, limit);
    },
  },
];
// The ports are the whole machine's, and other tests need some: the kernel's answer is put in for one process.
if (debianProgram('strace', 'strace') !== null) {
  SHORTAGES.push({
    of: 'local ports',
    reason: 'no_local_port',
    cause: (pid) => injectInto(pid, 'connect', 'EADDRNOTAVAIL'),
  });
}

for (const shortage of SHORTAGES) {
  describeWithKafka(`P4: ${shortage.of} run out`, (kafka) => {
    const EVENTS = 30;
    let run: FaultRun;
    let rows: readonly AttemptRow[];
    let receivedInShortage = 0;
    let knownInShortage = 0;

    beforeAll(async () => {
      run = await FaultRun.open({ kafka, destinations: { known: {}, late: {} } });
      const { child } = await run.start();
      // Its connections, and those to the ledger, are there before the shortage.
      await run.send(EVENTS, ['known']);
      await run.scenario.arrived('known', EVENTS);
      const end = await shortage.cause(child.pid);
      await run.send(EVENTS);
      await waitFor(async () => mostAttempts(await run.rows('late')) > MAX_ATTEMPTS, {
        timeoutMs: TIMEOUT_MS,
        intervalMs: 200,
        what: () => `more attempts of a delivery than it has\n${child.output()}`,
      });
      receivedInShortage = await run.scenario.receiver.count('late');
      knownInShortage = await run.scenario.receiver.count('known');
      await end();
      await run.quiet();
      rows = await run.rows('late');
    });
    afterAll(() => run.close());

    it('is a shortage of ours: nothing reached the endpoint, and other endpoints got theirs over open connections', () => {
      expect(receivedInShortage).toBe(0);
      expect(knownInShortage).toBe(2 * EVENTS);
      const failed = rows.filter(({ outcome }) => outcome !== 'delivered');
      expect(new Set(failed.map((row) => `${row.class} ${row.reason} ${row.outcome}`))).toEqual(
        new Set([`local ${shortage.reason} retrying`]),
      );
      expect(failed.some(({ ambiguous, is_final }) => ambiguous || is_final)).toBe(false);
    });

    it('is not charged: each is delivered by its first attempt that counts, once there are some again', async () => {
      for (const { deliveryId } of run.events('late')) {
        const last = rowsOf(rows, deliveryId).at(-1);
        expect([last?.outcome, last?.attempt]).toEqual(['delivered', 1]);
      }
      expect(await run.scenario.receiver.count('late')).toBe(EVENTS);
      expect(await run.deadLetters()).toEqual([]);
    });
  });
}

describeWithKafka('P5: the heap of the main thread is full', (kafka) => {
  const EVENTS = 4_000;
  const HEAP_MB = 128;
  let scenario: Scenario;
  let events: ProducedEvent[];
  let ended: ExitStatus;
  let output: string;
  let inFlight = 0;

  beforeAll(async () => {
    scenario = await Scenario.open({
      kafka,
      partitions: 4,
      destinations: { crm: { behaviour: { delayMs: 20 }, settings: { maxInFlight: 16 } } },
    });
    events = await produceSamples({
      brokers: kafka.brokers,
      topic: scenario.topic,
      count: EVENTS,
      tenants: 10,
    });
    const hog = pathToFileURL(supportFile('heap-hog.mjs')).href;
    const capped = await startDispatcherProcess(scenario.configuration(), [
      `--max-old-space-size=${HEAP_MB}`,
      '--import',
      hog,
    ]);
    await scenario.arrived('crm', EVENTS / 4);
    ended = await fillHeapOf(capped);
    output = capped.child.output();
    const received = await scenario.receivedAtRest('crm');
    inFlight = received - (await deliveredRows(scenario));
    const dispatcher = await scenario.startDispatcher();
    await scenario.settled();
    await dispatcher.stop();
  });
  afterAll(() => scenario.close());

  it('ends the process, with work in flight', () => {
    expect(ended).toEqual({ code: null, signal: 'SIGABRT' });
    expect(output).toContain('heap out of memory');
    expect(inFlight).toBeGreaterThan(0);
  });

  it('loses nothing, and repeats at most what was in flight or not in the ledger yet', async () => {
    const deliveries = await scenario.ledgerDeliveries('crm');
    const ids = [...scenario.expectedIds(events, 'crm')];
    expect(ids.filter((id) => !deliveries.get(id)?.delivered)).toEqual([]);
    const received = await scenario.receivedIds('crm');
    expect(new Set(received)).toEqual(new Set(ids));
    expect(received.length - ids.length).toBeLessThanOrEqual(inFlight);
  });
});

async function softLimitOf(pid: number): Promise<number> {
  const limits = await readFile(`/proc/${pid}/limits`, 'utf8');
  return Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1]);
}

async function setSoftLimit(pid: number, descriptors: number): Promise<void> {
  await promisify(execFile)('prlimit', ['--pid', String(pid), `--nofile=${descriptors}:`]);
}

function mostAttempts(rows: readonly AttemptRow[]): number {
  const counts = new Map<string, number>();
  for (const { delivery_id } of rows) counts.set(delivery_id, (counts.get(delivery_id) ?? 0) + 1);
  return Math.max(0, ...counts.values());
}

function fillHeapOf({ child }: DispatcherProcess): Promise<ExitStatus> {
  child.signal('SIGUSR2');
  return child.exited;
}

async function deliveredRows({ ledger }: Scenario): Promise<number> {
  const [row] = await ledger.query<{ rows: number }>(
    `SELECT count() AS rows FROM attempts WHERE outcome = 'delivered'`,
  );
  return Number(row?.rows);
}

/** From now on a system call of a running process fails, whatever thread makes it. @returns what ends that. */
async function injectInto(pid: number, call: string, error: string): Promise<() => Promise<void>> {
  const strace = await startChild({
    name: 'strace',
    command: 'strace',
    args: [
      '-f',
      '-p',
      String(pid),
      '-o',
      '/dev/null',
      '-e',
      `trace=${call}`,
      '-e',
      `inject=${call}:error=${error}`,
    ],
    ready: /attached/,
  });
  return async () => {
    strace.child.signal('SIGINT');
    await strace.child.exited;
  };
}
