/**
 * Faults C1 to C4: a ClickHouse that is away, slow, loses its answers or refuses, for longer than the bounds of what
 * waits for it. Deliveries go on, ledger rows go by the overflow topic, and each is in the tables once afterwards;
 * also when the dispatcher is killed while they are there.
 *
 * A disk that is full (C5) is in faults-ledger-disk.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { ClickHouseFault, ClickHouseOwner } from '../support/clickhouse-owner.ts';
import type { DispatcherProcess } from '../support/dispatcher.ts';
import { sampleMost } from '../support/sample-most.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';
import { waitFor } from '../support/wait.ts';
import { describeWithKafka } from '../support/with-real-parts.ts';
import { deliveryId } from '../../src/domain/ids.ts';
import type { Sample } from '../../src/samples/generator.ts';
import { sampleRecords } from './sample-records.ts';
import { Scenario } from './scenario.ts';
import { Sender } from './sender.ts';

const TIMEOUT_MS = 60_000;
const TENANTS = 20;
const TYPES = ['contact.created'];
const LOAD_MS = 100;
const PARTITIONS = 3;
const AFTER_ROWS = 2_000;
const AFTER_AGE_MS = 1_000;
const BATCH_MAX_ROWS = 500;
const OVERFLOW = { afterRows: AFTER_ROWS, afterAge: `${AFTER_AGE_MS}ms` };
const LEDGER = { batchMaxRows: BATCH_MAX_ROWS, batchMaxAge: '200ms' };

describeWithKafka('a ClickHouse that does not take rows', (kafka) => {
  let sender: Sender;
  beforeAll(async () => {
    sender = await Sender.open(kafka.brokers);
  });
  afterAll(() => sender.close());

  describe('C1: down, and the dispatcher killed while rows are in the overflow', () => {
    const BEFORE = 1_000;
    const DURING = 3_000;
    let scenario: Scenario;
    let ids: string[];
    let drained = 0;
    let output = '';
    /** Requests after the outage has begun, the ledger being down for all of them. */
    let deliveredMeanwhile = 0;
    let mostPendingRows = 0;

    beforeAll(async () => {
      scenario = await Scenario.open({ kafka, partitions: PARTITIONS, destinations: { crm: {} } });
      const config = { clickhouse: { url: scenario.owner.url, overflow: OVERFLOW }, ledger: LEDGER };
      // Nothing is committed by the first one, so that all of it is read again by the second.
      const first = await scenario.startDispatcher({ ...config, kafka: { commitInterval: '60s' } });
      ids = await send(scenario, BEFORE, 1);
      await inTheLedger(scenario, BEFORE);
      await scenario.owner.kill();
      const sampling = sampleMost(first, 'eventdispatch_ledger_pending_rows', 50);
      ids = [...ids, ...(await send(scenario, DURING, 2))];
      await waitFor(async () => (await scenario.receiver.count('crm')) >= ids.length, {
        timeoutMs: TIMEOUT_MS,
        what: () => `all requests\n${first.child.output()}`,
      });
      deliveredMeanwhile = (await scenario.receiver.count('crm')) - BEFORE;
      await waitFor(async () => (await first.metric('eventdispatch_ledger_pending_rows')) === 0, {
        timeoutMs: TIMEOUT_MS,
        what: () => `all rows to be in the overflow\n${first.child.output()}`,
      });
      mostPendingRows = await sampling.stop();
      await first.kill();

      const starting = scenario.startDispatcher(config);
      await sleep(2_000);
      await scenario.owner.startAgain();
      const second = await starting;
      await scenario.settled();
      await drainedBy(second);
      drained = await second.metric('eventdispatch_overflow_rows_total', { direction: 'drained' });
      await second.stop();
      output = second.child.output();
    });
    afterAll(() => scenario.close());

    it('deliveries go on, with bounded rows in memory', () => {
      expect(deliveredMeanwhile).toBe(DURING);
      // What waits may pass the bound by a batch that is gathered, and what one lane reports at once.
      expect(mostPendingRows).toBeLessThanOrEqual(AFTER_ROWS + 2 * BATCH_MAX_ROWS);
    });

    it('nothing is delivered twice: what the overflow holds is known before anything is sent', async () => {
      const requests = (await scenario.receiver.requests('crm')).map(({ webhookId }) => webhookId);
      expect(requests.length).toBe(ids.length);
      expect(new Set(requests)).toEqual(new Set(ids));
      expect(output).toContain('"event":"ledger_overflow_read"');
    });

    it('the start waits for the ledger, and says so', () => {
      expect(output).toContain('"event":"ledger_awaited"');
      expect(output).toContain('"event":"ledger_answers"');
    });

    it('each row is in the ledger once, those of the overflow too', async () => {
      await expectEachOnce(scenario, ids, { isReadAgain: true });
      expect(drained).toBeGreaterThanOrEqual(DURING);
    });
  });

  describe('one fault after the other, under load', () => {
    const RATE = 400;
    const FAULT_MS = 2_500;
    interface Phase {
      readonly name: string;
      readonly begin: (owner: ClickHouseOwner, proxy: TcpProxy) => Promise<void> | void;
    }
    const faulty =
      (fault: ClickHouseFault) =>
      (owner: ClickHouseOwner): Promise<void> =>
        owner.fault(fault);
    const PHASES: readonly Phase[] = [
      { name: 'C1: reset mid-insert', begin: (_, proxy) => proxy.setFaults({ resetAfterBytes: 2_000 }) },
      {
        name: 'C1: a black hole, in which inserts wait and arrive later',
        begin: (_, proxy) => proxy.setFaults({ isBlackHole: true }),
      },
      {
        name: 'C2: slow, 10 s',
        begin: faulty({ on: 'insert', when: 'before', act: 'delay', delayMs: 10_000 }),
      },
      { name: 'C3: acked, and the reply lost', begin: faulty({ on: 'insert', when: 'after', act: 'reset' }) },
      {
        name: 'C4: too many parts (252), then memory (241)',
        begin: async (owner) => {
          const error = { on: 'insert', when: 'before', act: 'error' } as const;
          await owner.fault({ ...error, code: 252, type: 'TOO_MANY_PARTS', times: 4 });
          await owner.fault({ ...error, code: 241, type: 'MEMORY_LIMIT_EXCEEDED' });
        },
      },
    ];
    let scenario: Scenario;
    let proxy: TcpProxy;
    let ids: string[];
    const sentIn: number[] = [];
    const deliveredIn: number[] = [];
    const overflowedIn: number[] = [];
    let mostPendingRows = 0;
    let rssBefore = 0;
    let mostRss = 0;

    beforeAll(async () => {
      scenario = await Scenario.open({ kafka, partitions: PARTITIONS, destinations: { crm: {} } });
      proxy = await startTcpProxy();
      proxy.setTarget(scenario.owner.url.replace('http://', ''));
      const dispatcher = await scenario.startDispatcher({
        clickhouse: {
          url: `http://127.0.0.1:${proxy.port}`,
          requestTimeout: '3s',
          overflow: { ...OVERFLOW, drainShare: 1 },
        },
        ledger: LEDGER,
      });
      await send(scenario, 1_000, 3);
      await inTheLedger(scenario, 1_000);
      rssBefore = await dispatcher.metric('process_resident_memory_bytes');
      const rows = sampleMost(dispatcher, 'eventdispatch_ledger_pending_rows', 50);
      const rss = sampleMost(dispatcher, 'process_resident_memory_bytes', 50);
      const load = startLoad(scenario, RATE);
      for (const { begin } of PHASES) {
        const sent = load.sent();
        const delivered = await scenario.receiver.count('crm');
        const overflowed = await overflowRows(dispatcher);
        await begin(scenario.owner, proxy);
        await sleep(FAULT_MS);
        sentIn.push(load.sent() - sent);
        deliveredIn.push((await scenario.receiver.count('crm')) - delivered);
        overflowedIn.push((await overflowRows(dispatcher)) - overflowed);
        proxy.setFaults({});
        await scenario.owner.clearFaults();
        await backToDirect(dispatcher, overflowedIn.length);
      }
      ids = await load.stop();
      mostPendingRows = await rows.stop();
      mostRss = await rss.stop();
      await scenario.settled();
      await drainedBy(dispatcher);
      await dispatcher.stop();
    });
    afterAll(async () => {
      await scenario.close();
      await proxy.stop();
    });

    it.each(PHASES.map(({ name }, phase) => ({ name, phase })))('$name: deliveries go on', ({ phase }) => {
      expect(deliveredIn[phase]).toBeGreaterThan((sentIn[phase] ?? Infinity) / 2);
      expect(overflowedIn[phase]).toBeGreaterThan(0);
    });

    it('memory is bounded', () => {
      console.info(
        `most rows in memory ${mostPendingRows}; RSS ${Math.round(rssBefore / 1e6)} MB before, ${Math.round(mostRss / 1e6)} MB at most; by phase: sent ${sentIn.join(', ')}, delivered ${deliveredIn.join(', ')}, to the overflow ${overflowedIn.join(', ')} rows`,
      );
      expect(mostPendingRows).toBeLessThanOrEqual(AFTER_ROWS + 2 * BATCH_MAX_ROWS);
      expect(mostRss - rssBefore).toBeLessThan(200e6);
    });

    it('each row is in the ledger once afterwards', async () => {
      await expectEachOnce(scenario, ids);
    });
  });

  /** @returns the ids of the deliveries that the events make. */
  function send(scenario: Scenario, count: number, seed: number): Promise<string[]> {
    return sendSamples(scenario, sampleRecords({ count, tenants: TENANTS, types: TYPES, seed }));
  }

  async function sendSamples(scenario: Scenario, samples: readonly Sample[]): Promise<string[]> {
    await sender.send(
      scenario.topic,
      samples.map(({ key, value }) => ({ partition: null, key, value })),
    );
    return samples.map(({ tenant, eventId }) => deliveryId(tenant, eventId, 'crm'));
  }

  /** Events at a rate, as many as there are, until it is stopped. */
  function startLoad(scenario: Scenario, ratePerSecond: number): Load {
    const samples = sampleRecords({ count: 60 * ratePerSecond, tenants: TENANTS, types: TYPES, seed: 100 });
    let isStopped = false;
    const ids: string[] = [];
    const run = async (): Promise<void> => {
      while (!isStopped) {
        const next = samples.splice(0, (ratePerSecond * LOAD_MS) / 1_000);
        const [some] = await Promise.all([sendSamples(scenario, next), sleep(LOAD_MS)]);
        ids.push(...some);
      }
    };
    const running = run();
    return {
      sent: () => ids.length,
      stop: async () => {
        isStopped = true;
        await running;
        return ids;
      },
    };
  }
});

interface Load {
  sent(): number;
  /** @returns the ids of the deliveries that its events make. */
  stop(): Promise<string[]>;
}

function overflowRows(dispatcher: DispatcherProcess): Promise<number> {
  return dispatcher.metric('eventdispatch_overflow_rows_total', { direction: 'written' });
}

async function inTheLedger(scenario: Scenario, attempts: number): Promise<void> {
  await waitFor(
    async () => {
      const [row] = await scenario.ledger
        .query<{ rows: number }>('SELECT count() AS rows FROM attempts')
        .catch(() => []);
      return (row?.rows ?? 0) >= attempts;
    },
    { timeoutMs: TIMEOUT_MS, intervalMs: 100, what: `${attempts} attempts in the ledger` },
  );
}

/** A batch was inserted again, so the next fault begins with a ledger that is well. */
async function backToDirect({ child }: DispatcherProcess, times: number): Promise<void> {
  await waitFor(() => child.output().split('"event":"ledger_overflow_ended"').length > times, {
    timeoutMs: TIMEOUT_MS,
    what: () => `the ledger to be used again, ${times} times\n${child.output()}`,
  });
}

async function drainedBy(dispatcher: DispatcherProcess): Promise<void> {
  await waitFor(
    async () =>
      dispatcher.child.output().includes('"event":"ledger_drained"') &&
      (await dispatcher.metric('eventdispatch_overflow_waiting_batches')) === 0,
    { timeoutMs: TIMEOUT_MS, intervalMs: 100, what: () => `an empty overflow\n${dispatcher.child.output()}` },
  );
}

/** One attempt per delivery, one row per event, and none too few. A record that is read again has its event's row again. */
async function expectEachOnce(
  scenario: Scenario,
  ids: readonly string[],
  { isReadAgain = false } = {},
): Promise<void> {
  const deliveries = await scenario.ledgerDeliveries('crm');
  expect(ids.filter((id) => !deliveries.has(id))).toEqual([]);
  expect(
    [...deliveries.values()].filter(({ attempts, delivered }) => attempts !== 1 || delivered !== 1),
  ).toEqual([]);
  const [rows] = await scenario.ledger.query<{ rows: number; records: number }>(
    `SELECT count() AS rows, uniqExact(topic, partition, offset) AS records FROM events`,
  );
  expect(rows?.records).toBe(deliveries.size);
  if (!isReadAgain) expect(rows?.rows).toBe(deliveries.size);
}
