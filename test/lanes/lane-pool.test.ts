/**
 * Fault W1, on real threads and sockets: a lane thread that throws, exits, runs out
 * of heap or spins is replaced; every record is reported once all the same and
 * delivered; one that keeps killing ends as a dead letter; other lanes notice nothing.
 */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { NOTHING_RECOVERED } from '../../src/domain/record.ts';
import type { Recovered } from '../../src/domain/record.ts';
import { deliveryId } from '../../src/domain/ids.ts';
import { FlowGate } from '../../src/ingest/flow-gate.ts';
import { LanePacker } from '../../src/ingest/lane-packer.ts';
import { LanePool, type LanePoolOptions, type LaneRestart } from '../../src/lanes/lane-pool.ts';
import type { Handover, Settled } from '../../src/lanes/protocol.ts';
import { createLaneCounters } from '../../src/observability/lane-counters.ts';
import { temporaryDirectory, type TemporaryDirectory } from '../support/temp.ts';
import { waitFor } from '../support/wait.ts';
import { doneIn } from './lane-bench.ts';
import { destinationOf } from './lane-parts.ts';

const TIMEOUT_MS = 60_000;
const ENTRY = fileURLToPath(new URL('./faulty-thread.mjs', import.meta.url));
const LANES = 2;
/** Assignments by lane; a partition's records could go to both, which these tests do not need. */
const ASSIGNMENTS = [11, 12];

interface TestRecord {
  readonly fault?: string;
  /** A file that is there once the fault has struck, so that it does not strike again. */
  readonly once?: string;
}

class Bench {
  readonly restarts: LaneRestart[] = [];
  readonly crashes: unknown[] = [];
  readonly settled: Settled[] = [];
  /** Requests by event. */
  readonly received = new Map<string, number>();
  readonly gate = new FlowGate(LANES, { maxRecords: 10_000, maxBytes: 1e8 });
  readonly packer = new LanePacker();
  pool!: LanePool;
  directory!: TemporaryDirectory;
  #server!: Server;
  #sent = 0;

  async open(options: Partial<LanePoolOptions> = {}): Promise<void> {
    this.directory = await temporaryDirectory('lane-pool');
    this.#server = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk: Buffer) => (body += String(chunk)));
      request.on('end', () => {
        const { id } = JSON.parse(body) as { id: string };
        this.received.set(id, (this.received.get(id) ?? 0) + 1);
        response.end();
      });
    });
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    const { port } = this.#server.address() as AddressInfo;
    const destinations = [destinationOf('d', { origin: `http://127.0.0.1:${port}` })];
    this.pool = await LanePool.open({
      setup: {
        destinations,
        delivery: {
          allowAddresses: ['127.0.0.0/8'],
          connectTimeoutMs: 5_000,
          connectionsPerOrigin: 4,
          keepAliveMs: 5_000,
          maxResponseBytes: 1_000,
          dns: { timeoutMs: 1_000, maxTtlMs: 1_000, servers: [] },
        },
        ledger: { batchMaxRows: 1, batchMaxBytes: 1, batchMaxAgeMs: 1, responseExcerptBytes: 0 },
        fields: { default: {}, byTopic: {} },
        limits: { channels: {}, tenants: { default: null, byTenant: {} } },
        spreadLimits: new Map(),
        retryDelaysMs: [1_000],
        duplicates: null,
        classes: {},
        weights: { first: 8, retry: 4, replay: 2, bulk: 1 },
        lanes: LANES,
        instance: 'test',
      } as unknown as LanePoolOptions['setup'],
      counters: Array.from({ length: LANES }, () => createLaneCounters(destinations.length)),
      onSettled: (lane, settled) => {
        this.settled.push(settled);
        this.gate.release(lane, settled.releasedRecords, settled.releasedBytes);
      },
      onCrash: (lane, error) => this.crashes.push([lane, error]),
      onRestart: (restart) => this.restarts.push(restart),
      entry: ENTRY,
      heapMb: 64,
      ...options,
    });
    for (const assignment of ASSIGNMENTS) this.begin(assignment);
  }

  async close(): Promise<void> {
    await this.pool.close();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
    await this.directory.remove();
  }

  begin(assignment: number): void {
    this.pool.broadcast({
      kind: 'assignment',
      assignment,
      topic: 'events',
      partition: assignment,
      isRetry: false,
      recovered: NOTHING_RECOVERED,
    });
  }

  /** @returns what settling calls these records. */
  send(lane: number, records: readonly TestRecord[]): string[] {
    const assignment = ASSIGNMENTS[lane]!;
    const names = records.map((record) => {
      const sequence = this.#sent++;
      const tenant = Buffer.from(`tenant-${lane}`);
      const before = this.packer.bytes;
      this.packer.add({
        assignment,
        sequence,
        offset: 1_000 + sequence,
        timestampMs: 5_000,
        schemaId: 1,
        invalid: 0,
        part: 0,
        parts: 1,
        tenant,
        tenantStart: 0,
        tenantEnd: tenant.length,
        key: Buffer.from(`key ${sequence}`),
        headers: null,
        value: Buffer.from(JSON.stringify({ id: `${assignment}/${sequence}`, type: 'a', ...record })),
      });
      this.gate.admit(lane, this.packer.bytes - before);
      return `${assignment}/${sequence}`;
    });
    const { buffer, count } = this.packer.take()!;
    this.pool.send(lane, buffer, count);
    return names;
  }

  get done(): string[] {
    return this.settled.flatMap(({ records }) => doneIn(records));
  }

  get handovers(): Handover[] {
    return this.settled.flatMap(({ handovers }) => handovers);
  }

  async allDone(names: readonly string[]): Promise<void> {
    await waitFor(() => names.every((name) => this.done.includes(name)), {
      timeoutMs: TIMEOUT_MS,
      what: () => `${names.length} records, of which ${this.done.length} are done`,
    });
    expect(this.done.toSorted()).toEqual([...new Set(this.done)].toSorted());
    expect([this.gate.totalRecords, this.gate.totalBytes]).toEqual([0, 0]);
    expect(this.pool.keptBytes).toBe(0);
  }
}

let bench: Bench;
beforeEach(() => {
  bench = new Bench();
});
afterEach(async () => {
  await bench.close();
});

const plain = (count: number): TestRecord[] => Array.from({ length: count }, () => ({}));

describe('a record that kills its thread', { timeout: 2 * TIMEOUT_MS }, () => {
  test.each([
    ['throws', 'throw', /planted throw/],
    ['exits', 'exit', /exited with code: 3/],
    ['runs out of heap', 'heap', /memory limit/],
    ['spins', 'spin', /stopped turning/],
  ])(
    '%s: a dead letter after two threads, and no harm to any other record',
    async (_what, fault, message) => {
      await bench.open(fault === 'spin' ? { stallTimeoutMs: 3_000 } : {});
      const others = bench.send(1, plain(50));
      const before = bench.send(0, plain(30));
      const [poison, ...after] = bench.send(0, [{ fault }, ...plain(30)]);
      const later = bench.send(0, plain(5));
      await waitFor(() => bench.restarts.length === 1, { timeoutMs: TIMEOUT_MS, what: 'the first restart' });
      const meanwhile = [...bench.send(0, plain(5)), ...bench.send(1, plain(50))];

      await bench.allDone([poison!, ...before, ...after, ...later, ...others, ...meanwhile]);
      expect(bench.restarts.map(({ lane, isPoison, suspect }) => ({ lane, isPoison, suspect }))).toEqual(
        [false, true].map((isPoison) => ({
          lane: 0,
          isPoison,
          suspect: { topic: 'events', partition: 11, offset: 1_000 + Number(poison!.slice(3)) },
        })),
      );
      for (const { error } of bench.restarts) expect(error.message).toMatch(message);
      expect([bench.pool.restarts, bench.pool.alive, bench.crashes]).toEqual([2, LANES, []]);
      const [letter, ...rest] = bench.handovers;
      expect(rest).toEqual([]);
      expect(letter).toMatchObject({ to: 'dead_letter', assignment: 11, sequence: Number(poison!.slice(3)) });
      expect(String(Buffer.from(letter!.key!))).toBe(`key ${poison!.slice(3)}`);
      expect(Buffer.from(letter!.row!).toString()).toContain('\tdead\t1\tworker_crash\t');
      expect(bench.received.has(poison!)).toBe(false);
      for (const name of [...before, ...after, ...later, ...meanwhile]) {
        expect(bench.received.get(name)).toBeGreaterThan(0);
      }
      for (const name of [...others, ...meanwhile.slice(5)]) expect(bench.received.get(name)).toBe(1);
    },
  );

  test('but once: it is delivered like any other', async () => {
    await bench.open();
    const once = path.join(bench.directory.path, 'struck');
    await bench.allDone(bench.send(0, [...plain(3), { fault: 'exit', once }, ...plain(3)]));
    expect([bench.pool.restarts, bench.handovers]).toEqual([1, []]);
    expect([...bench.received.keys()]).toHaveLength(7);
  });
});

describe('a thread that dies between records', { timeout: 2 * TIMEOUT_MS }, () => {
  test('is replaced without accusing anybody', async () => {
    await bench.open();
    const once = path.join(bench.directory.path, 'struck');
    await bench.allDone(bench.send(0, [...plain(20), { fault: 'later', once }, ...plain(20)]));
    expect(bench.restarts.map(({ suspect }) => suspect)).toEqual([null]);
    expect([bench.handovers, bench.received.size]).toEqual([[], 41]);
  });

  test('again and again is given up, with everything still open', async () => {
    await bench.open();
    const names = bench.send(0, [{ fault: 'later' }]);
    await waitFor(() => bench.crashes.length > 0, { timeoutMs: TIMEOUT_MS, what: 'the lane to be given up' });
    expect([bench.pool.restarts, bench.pool.alive]).toEqual([4, LANES - 1]);
    expect(bench.crashes).toMatchObject([[0, { message: 'planted throw between records' }]]);
    expect(bench.gate.totalRecords).toBe(names.length);
  });
});

describe('the thread that takes over', { timeout: 2 * TIMEOUT_MS }, () => {
  test('skips what the ledger has by then, asked again until it answers, and forgets what has ended meanwhile', async () => {
    let isEnded = false;
    const asked: number[][] = [];
    const recover: LanePoolOptions['recover'] = (assignments) => {
      asked.push(assignments.map(({ assignment }) => assignment));
      if (asked.length === 1) return Promise.reject(new Error('the ledger is away'));
      bench.pool.broadcast({ kind: 'abandon', assignments: [12] });
      isEnded = true;
      return Promise.resolve(assignments.map(() => recovered));
    };
    await bench.open({ recover });
    const once = path.join(bench.directory.path, 'struck');
    const known = '11/1';
    const recovered: Recovered = {
      deliveryIds: new Map([[1_001, new Set([deliveryId('tenant-0', known, 'd')])]]),
    };
    const names = bench.send(0, [{ fault: 'exit', once }, ...plain(3)]);
    await bench.allDone(names);
    expect([isEnded, asked]).toEqual([true, [ASSIGNMENTS, ASSIGNMENTS]]);
    expect([...bench.received.keys()].toSorted()).toEqual(['11/0', '11/2', '11/3']);
  });

  test('is not given records of an epoch that ended; admission gets their room back', async () => {
    let release: (() => void) | undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    await bench.open({ recover: (asked) => held.then(() => asked.map(() => NOTHING_RECOVERED)) });
    const once = path.join(bench.directory.path, 'struck');
    bench.send(0, [{ fault: 'exit', once }, ...plain(10)]);
    await waitFor(() => bench.restarts.length === 1, { timeoutMs: TIMEOUT_MS, what: 'the restart' });
    bench.send(0, plain(5));
    bench.pool.broadcast({ kind: 'abandon', assignments: [11] });
    release?.();
    await waitFor(() => bench.gate.totalRecords === 0, { timeoutMs: TIMEOUT_MS, what: 'the room' });
    await bench.allDone(bench.send(1, plain(5)));
    expect(bench.gate.totalBytes).toBe(0);
  });

  test('is not waited for when the lanes are closed', async () => {
    await bench.open({ recover: () => new Promise(() => undefined) });
    bench.send(0, [{ fault: 'exit' }]);
    await waitFor(() => bench.restarts.length === 1, { timeoutMs: TIMEOUT_MS, what: 'the restart' });
  });
});
