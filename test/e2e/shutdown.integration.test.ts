/**
 * Faults P1 and P2: SIGTERM under load drains and exits 0; a second one, or the deadline, exits otherwise at once; what
 * was left open is delivered after the next start. What can't start says why in one line, and leaves nothing behind.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { DispatcherProcess } from '../support/dispatcher.ts';
import type { KafkaTools } from '../support/kafka-tools.ts';
import { freePort } from '../support/ports.ts';
import type { ExitStatus } from '../support/process.ts';
import { produceSamples, type ProducedEvent } from '../support/samples.ts';
import { waitFor } from '../support/wait.ts';
import { describeWithKafka } from '../support/with-real-parts.ts';
import { Scenario, type DestinationOptions } from './scenario.ts';
import { failToStart, type StartFailure } from './start-failure.ts';

const OK: ExitStatus = { code: 0, signal: null };
const TIMEOUT_MS = 60_000;
/** A start takes a second or two. */
const LEDGER_WAIT_MS = 6_000;
const PARTITIONS = 6;

describeWithKafka('the dispatcher as a process', (kafka) => {
  let startScenario: Scenario;
  let noBroker: Promise<StartFailure>;

  beforeAll(async () => {
    startScenario = await open(kafka, {});
    // Brokers are given half a minute to answer, in which the other tests run.
    const brokers = `127.0.0.1:${await freePort()}`;
    noBroker = failToStart(
      startScenario.configuration({ http: { port: 0 }, kafka: { brokers } }),
      TIMEOUT_MS,
    );
  });
  afterAll(() => startScenario.close());

  describe('SIGTERM under load', () => {
    const EVENTS = 20_000;
    const DEADLINE_MS = 20_000;
    let scenario: Scenario;
    let events: ProducedEvent[];
    let status: ExitStatus;
    let tookMs: number;
    /** When the first dispatcher had ended. */
    let received: string[];
    let inLedger: string[];
    let committed: number;

    beforeAll(async () => {
      scenario = await open(kafka, { behaviour: { delayMs: 20 }, settings: { maxInFlight: 64 } });
      const first = await scenario.startDispatcher();
      const producing = produce(scenario, { count: EVENTS, ratePerSecond: 4_000 });
      await scenario.arrived('crm', 3_000, TIMEOUT_MS);
      const sinceMs = performance.now();
      status = await first.stop();
      tookMs = performance.now() - sinceMs;
      received = await scenario.receivedIds('crm');
      inLedger = [...(await scenario.ledgerDeliveries('crm')).keys()];
      committed = (await kafka.committedOffsets(scenario.group, scenario.topic)).reduce(
        (sum, at) => sum + Math.max(0, at),
        0,
      );
      events = await producing;
      const second = await scenario.startDispatcher();
      await scenario.settled();
      expect(await second.stop(), second.child.output()).toEqual(OK);
    });
    afterAll(() => scenario.close());

    it('drains and exits 0 within the deadline, in the middle of the work', () => {
      expect(status).toEqual(OK);
      expect(tookMs).toBeLessThan(DEADLINE_MS);
      expect(received.length).toBeLessThan(EVENTS);
      console.info(`drained in ${Math.round(tookMs)} ms with ${received.length} of ${EVENTS} delivered`);
    });

    it('leaves a ledger that says just what the receiver saw', () => {
      expect(inLedger.toSorted()).toEqual(received.toSorted());
    });

    it('commits just what was delivered', () => {
      expect(committed).toBe(received.length);
    });

    it('delivers the rest after a restart, and nothing twice', async () => {
      expect((await scenario.receivedIds('crm')).toSorted()).toEqual(
        [...scenario.expectedIds(events, 'crm')].toSorted(),
      );
    });
  });

  describe('a shutdown that is cut short', () => {
    const EVENTS = 500;
    const IN_FLIGHT = 16;

    for (const [what, behaviour, deadline, cutShort, code] of [
      [
        'by a second SIGTERM',
        { delayMs: 3_000 },
        '20s',
        async ({ child }: DispatcherProcess) => {
          await child.waitForLine(/"event":"draining"/, TIMEOUT_MS);
          child.signal('SIGTERM');
        },
        130,
      ],
      ['by its deadline', { hang: true }, '2s', async () => undefined, 1],
    ] as const) {
      describe(what, () => {
        let scenario: Scenario;
        let events: ProducedEvent[];
        let dispatcher: DispatcherProcess;
        let unacknowledged: number;

        beforeAll(async () => {
          const settings = { maxInFlight: IN_FLIGHT, timeout: '30s' };
          scenario = await open(kafka, { behaviour, settings }, { shutdown: { deadline } });
          dispatcher = await scenario.startDispatcher();
          events = await produce(scenario, { count: EVENTS });
          await scenario.arrived('crm', IN_FLIGHT, TIMEOUT_MS);
        });
        afterAll(() => scenario.close());

        it(`exits with ${code}, soon`, async () => {
          const sinceMs = performance.now();
          const stopping = dispatcher.stop();
          await cutShort(dispatcher);
          expect(await stopping, dispatcher.child.output()).toEqual({ code, signal: null });
          const tookMs = performance.now() - sinceMs;
          console.info(`${what}: exit ${code} after ${Math.round(tookMs)} ms`);
          expect(tookMs).toBeLessThan(code === 130 ? 1_500 : 8_000);
          const delivered = [...(await scenario.ledgerDeliveries('crm')).values()].filter(
            (one) => one.delivered > 0,
          );
          unacknowledged = (await scenario.receiver.count('crm')) - delivered.length;
          expect(unacknowledged).toBeGreaterThan(0);
        });

        it('loses nothing: a restart delivers the rest, and again at most what was in flight', async () => {
          await scenario.receiver.setBehaviour('crm', {});
          const next = await scenario.startDispatcher();
          await scenario.settled();
          const received = await scenario.receivedIds('crm');
          const unique = new Set(received);
          expect([...scenario.expectedIds(events, 'crm')].filter((id) => !unique.has(id))).toEqual([]);
          expect(received.length - unique.size).toBeLessThanOrEqual(unacknowledged);
          console.info(
            `${what}: ${received.length - unique.size} repeated, ${unacknowledged} were in flight`,
          );
          expect(await next.stop(), next.child.output()).toEqual(OK);
        });
      });
    }
  });

  describe('a start that fails', () => {
    let owner: DispatcherProcess;
    const allPartitions = () => PARTITIONS * (1 + startScenario.delayTopics.length);

    beforeAll(async () => {
      owner = await startScenario.startDispatcher();
      await waitFor(
        async () => (await owner.metric('eventdispatch_partitions_assigned')) === allPartitions(),
        {
          timeoutMs: TIMEOUT_MS,
          what: 'all partitions',
        },
      );
    });
    it('names the port that is in use, and never joins the group', async () => {
      const rebalances = await owner.metric('eventdispatch_rebalances_total');
      const failure = await failToStart(
        startScenario.configuration({ http: { port: owner.httpPort } }),
        TIMEOUT_MS,
      );
      expectOneLine(failure, `error: http.port: ${owner.httpPort} is in use on 127.0.0.1`);
      expect(failure.output).not.toContain('partitions_assigned');
      const events = await produce(startScenario, { count: 500 });
      await startScenario.settled();
      expect((await startScenario.receivedIds('crm')).toSorted()).toEqual(
        [...startScenario.expectedIds(events, 'crm')].toSorted(),
      );
      expect(await owner.metric('eventdispatch_rebalances_total')).toBe(rebalances);
      expect(await owner.metric('eventdispatch_partitions_assigned')).toBe(allPartitions());
    });

    it('waits for the ClickHouse that is not there, says so, and joins nothing meanwhile', async () => {
      const url = `http://127.0.0.1:${await freePort()}`;
      const waiting = await failToStart(
        startScenario.configuration({ http: { port: 0 }, clickhouse: { url } }),
        LEDGER_WAIT_MS,
      );
      expect(waiting.output).toMatch(/"error":"[^"]*ECONNREFUSED[^"]*","event":"ledger_awaited"/);
      expect(waiting.output).not.toContain('partitions_assigned');
      expect([waiting.code, waiting.signal]).toEqual([null, 'SIGKILL']);
    });

    it('names the broker that is not there', async () => {
      expectOneLine(await noBroker, 'error: kafka.brokers: 127.0.0.1:');
    });

    it('does not disturb the one that runs', async () => {
      expect(await owner.stop(), owner.child.output()).toEqual(OK);
    });
  });
});

function expectOneLine(failure: StartFailure, beginning: string): void {
  expect(failure.told, failure.output).toEqual([expect.stringContaining(beginning)]);
  expect(failure.told[0]!.startsWith(beginning)).toBe(true);
  expect([failure.code, failure.signal]).toEqual([2, null]);
}

function open(
  kafka: KafkaTools,
  crm: DestinationOptions,
  config: Readonly<Record<string, unknown>> = {},
): Promise<Scenario> {
  return Scenario.open({ kafka, partitions: PARTITIONS, destinations: { crm }, config });
}

function produce(
  scenario: Scenario,
  { count, ratePerSecond }: { readonly count: number; readonly ratePerSecond?: number },
): Promise<ProducedEvent[]> {
  const { brokers } = scenario.configuration()['kafka'] as { brokers: string };
  return produceSamples({
    brokers,
    topic: scenario.topic,
    count,
    tenants: 20,
    ...(ratePerSecond === undefined ? {} : { ratePerSecond }),
  });
}
