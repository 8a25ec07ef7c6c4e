/**
 * Faults K1, K2, K10 and K11: a broker that is stopped, or behind a TCP proxy that slows it down or swallows everything.
 *
 * Elsewhere: K7 in crash.integration.test.ts; K3 and K4, which need a broker that does as it is
 * told, in faults-mock.integration.test.ts, since one real node can't lose a leader; K5 and K6 in
 * faults-members.integration.test.ts; K9 in bad-records.integration.test.ts; a dead-letter topic that refuses (K10) in
 * retries.integration.test.ts.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { DispatcherProcess } from '../support/dispatcher.ts';
import { startKafka, type RealKafka } from '../support/kafka.ts';
import { produceSamples, type ProducedEvent } from '../support/samples.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';
import { waitFor } from '../support/wait.ts';
import { describeWithKafka } from '../support/with-real-parts.ts';
import { Scenario, type ScenarioOptions } from './scenario.ts';

const TIMEOUT_MS = 60_000;
/**
 * Kafka's default. librdkafka waits no longer than this for the answer to a heartbeat, so with the half second of the
 * other tests' broker no heartbeat would survive a slower round trip.
 */
const HEARTBEAT_MS = 5_000;
/** Kafka's default, and less than the slow times last together. */
const SESSION_MS = 45_000;

let proxy: TcpProxy;
let broker: RealKafka;

/** A broker of its own, and the proxy in front of it, for the tests of the suite this is called in. */
function useBroker(config: Readonly<Record<string, string>> = {}): void {
  beforeAll(async () => {
    proxy = await startTcpProxy();
    broker = await startKafka({ proxyPort: proxy.port, config });
    proxy.setTarget(broker.proxyTarget);
  });
  afterAll(async () => {
    await broker.stop();
    await proxy.stop();
  });
}

describeWithKafka('a broker that is stopped, or swallows everything', () => {
  useBroker();

  describe('K1: no broker for some seconds', () => {
    const EVENTS = 3_000;
    const DOWN_MS = 8_000;
    let scenario: Scenario;
    let events: ProducedEvent[];
    let committedBefore: number[] = [];
    let committedAfter: number[] = [];
    let receivedAtStop = 0;
    let receivedWhileDown = 0;
    let readiness = '';
    let exit: unknown;

    beforeAll(async () => {
      scenario = await open({ crm: { behaviour: { delayMs: 200 }, settings: { maxInFlight: 16 } } });
      const dispatcher = await scenario.startDispatcher();
      events = await produce(scenario, EVENTS);
      await scenario.arrived('crm', 500, TIMEOUT_MS);
      committedBefore = await broker.tools.committedOffsets(scenario.group, scenario.topic);
      await broker.killProcess();
      receivedAtStop = await scenario.receiver.count('crm');
      readiness = await waitFor(
        async () => {
          const response = await fetch(`http://127.0.0.1:${dispatcher.httpPort}/health/ready`);
          return response.status === 503 ? await response.text() : null;
        },
        { timeoutMs: TIMEOUT_MS, what: 'a readiness that is red' },
      );
      await sleep(DOWN_MS);
      receivedWhileDown = (await scenario.receiver.count('crm')) - receivedAtStop;
      await broker.startAgain();
      await led([scenario.topic, ...scenario.delayTopics]);
      await scenario.settled();
      committedAfter = await broker.tools.committedOffsets(scenario.group, scenario.topic);
      exit = await dispatcher.stop();
    });
    afterAll(() => scenario.close());

    it('is a red readiness that says why', () => {
      expect(JSON.parse(readiness)).toMatchObject({ checks: { kafka: { ok: false } } });
    });

    it('lets the requests that are under way finish, and what is there go on', () => {
      expect(receivedWhileDown).toBeGreaterThan(0);
    });

    it('is survived: it resumes by itself, loses nothing, sets no offset back, and exits 0', async () => {
      expect(missing(scenario, events, await scenario.receivedIds('crm'))).toEqual([]);
      for (const [partition, offset] of committedBefore.entries())
        expect(committedAfter[partition]).toBeGreaterThanOrEqual(offset);
      expect(exit).toEqual({ code: 0, signal: null });
    });
  });

  describe('K10: retries that the broker does not take', () => {
    const EVENTS = 300;
    const DELIVERED_ELSEWHERE = EVENTS;
    const HOLE_MS = 15_000;
    let scenario: Scenario;
    let dispatcher: DispatcherProcess;
    let events: ProducedEvent[];
    let committedInHole: number[] = [];
    let requestsInHole = 0;
    let pendingInHole = 0;

    beforeAll(async () => {
      scenario = await open(
        {
          crm: {
            behaviour: { status: 503, delayMs: 3_000 },
            settings: {
              maxInFlight: EVENTS,
              breaker: 'off',
              retry: { maxAttempts: 10, initialDelay: '500ms', maxDelay: '1s' },
            },
          },
          other: {},
        },
        {},
        { connectionsPerOrigin: EVENTS },
      );
      dispatcher = await scenario.startDispatcher();
      await assigned(dispatcher, scenario);
      events = await produce(scenario, EVENTS);
      await scenario.arrived('crm', EVENTS, TIMEOUT_MS);
      proxy.setFaults({ isBlackHole: true });
      await sleep(HOLE_MS);
      committedInHole = await broker.tools.committedOffsets(scenario.group, scenario.topic);
      requestsInHole = await scenario.receiver.count('crm');
      pendingInHole = await dispatcher.metric('eventdispatch_handovers_pending', { to: 'retry' });
      await scenario.receiver.setBehaviour('crm', {});
      proxy.setFaults({});
      await scenario.settled();
      await dispatcher.stop();
    });
    afterAll(() => scenario.close());

    it('leave their source offsets open, and stay pending', () => {
      expect(pendingInHole).toBe(EVENTS);
      expect(committedInHole.filter((offset) => offset > 0)).toEqual([]);
    });

    it('are not tried again before the broker has them', () => {
      expect(requestsInHole).toBe(EVENTS);
    });

    it('are all delivered once it takes them, with attempts that go on counting', async () => {
      const delivered = (await scenario.receiver.requests('crm'))
        .filter(({ status }) => status === 200)
        .map(({ webhookId }) => webhookId);
      expect(missing(scenario, events, delivered)).toEqual([]);
      const [row] = await scenario.ledger.query<{ deliveries: number; second: number; late: number }>(
        `SELECT uniqExact(delivery_id) AS deliveries, countIf(outcome = 'delivered' AND attempt = 1) AS late,
           uniqExactIf(delivery_id, outcome = 'delivered' AND attempt >= 2) AS second
         FROM attempts WHERE destination_id = 'crm'`,
      );
      expect(row).toEqual({ deliveries: EVENTS, second: EVENTS, late: 0 });
    });

    it('had nothing repeated at the destination that answered', async () => {
      expect(await scenario.receiver.count('other')).toBe(DELIVERED_ELSEWHERE);
    });
  });

  describe('K11: a broker that is gone when the dispatcher leaves', () => {
    const EVENTS = 2_000;
    const DEADLINE_MS = 1_000;
    /** Beside the deadline: the commit may take 5 s, leaving the group 8 s, the producer's end 5 s. */
    const ENDING_MS = 18_000;
    const SPARE_MS = 5_000;
    let scenario: Scenario;
    let events: ProducedEvent[];
    let code: number | null = null;
    let signal: string | null = null;
    let tookMs = 0;
    let output = '';

    beforeAll(async () => {
      scenario = await open({ crm: { behaviour: { delayMs: 100 }, settings: { maxInFlight: 8 } } });
      const dispatcher = await scenario.startDispatcher({ shutdown: { deadline: `${DEADLINE_MS}ms` } });
      events = await produce(scenario, EVENTS);
      await scenario.arrived('crm', 300, TIMEOUT_MS);
      proxy.setFaults({ isBlackHole: true });
      await sleep(500);
      const startedMs = performance.now();
      ({ code, signal } = await dispatcher.stop(DEADLINE_MS + ENDING_MS + SPARE_MS));
      tookMs = performance.now() - startedMs;
      output = dispatcher.child.output();
      proxy.setFaults({});
      const next = await scenario.startDispatcher();
      await scenario.settled();
      await next.stop();
    });
    afterAll(() => scenario.close());

    it('ends by itself within its bounds, and says that something was left', () => {
      console.info(`ended after ${Math.round(tookMs)} ms`);
      expect({ code, signal }, output).toEqual({ code: 1, signal: null });
      expect(tookMs).toBeLessThan(DEADLINE_MS + ENDING_MS + SPARE_MS);
    });

    it('loses nothing, and repeats nothing that the ledger knew of', async () => {
      const ids = await scenario.receivedIds('crm');
      expect(missing(scenario, events, ids)).toEqual([]);
      const repeated = [...(await scenario.ledgerDeliveries('crm')).values()].filter(
        ({ delivered }) => delivered !== 1,
      );
      expect(repeated).toEqual([]);
    });
  });
});

describeWithKafka('a slow broker', () => {
  useBroker({
    'group.consumer.heartbeat.interval.ms': String(HEARTBEAT_MS),
    'group.consumer.session.timeout.ms': String(SESSION_MS),
  });

  describe('K2: half a second, then three seconds a round trip', () => {
    const EVENTS = 12_000;
    const RATE_PER_SECOND = 220;
    /** A scrape is answered by the main thread, which does nothing else meanwhile. */
    const LONGEST_STALL_MS = 1_000;
    const slow = [
      { latencyMs: 250, lastsMs: 6_000 },
      { latencyMs: 1_500, lastsMs: 42_000 },
    ];
    let scenario: Scenario;
    let dispatcher: DispatcherProcess;
    let events: ProducedEvent[];
    let rebalancesBefore = 0;
    let rebalancesAfter = 0;
    let longestScrapeMs = 0;
    const polls: number[] = [];
    const deliveredWhile: number[] = [];

    beforeAll(async () => {
      scenario = await open({ crm: { settings: { maxInFlight: 64 } } });
      dispatcher = await scenario.startDispatcher();
      const producing = produce(scenario, EVENTS, RATE_PER_SECOND);
      await scenario.arrived('crm', 300, TIMEOUT_MS);
      rebalancesBefore = await dispatcher.metric('eventdispatch_rebalances_total');
      for (const { latencyMs, lastsMs } of slow) {
        const before = await scenario.receiver.count('crm');
        proxy.setFaults({ latencyMs });
        await watch(lastsMs);
        deliveredWhile.push((await scenario.receiver.count('crm')) - before);
      }
      proxy.setFaults({});
      events = await producing;
      await scenario.settled();
      rebalancesAfter = await dispatcher.metric('eventdispatch_rebalances_total');
      await dispatcher.stop();
    });
    afterAll(() => scenario.close());

    it('keeps its partitions', () => {
      expect(rebalancesBefore).toBeGreaterThan(0);
      expect(rebalancesAfter, dispatcher.child.output()).toBe(rebalancesBefore);
    });

    it('goes on delivering, only slower', () => {
      console.info(
        `delivered while slow: ${deliveredWhile.join(', ')}; longest scrape ${longestScrapeMs} ms`,
      );
      for (const delivered of deliveredWhile) expect(delivered).toBeGreaterThan(0);
    });

    it('polls all the while, and stalls no event loop', () => {
      expect(longestScrapeMs).toBeLessThan(LONGEST_STALL_MS);
      expect(polls.every((count, index) => index === 0 || count > polls[index - 1]!)).toBe(true);
    });

    it('loses nothing and repeats nothing', async () => {
      const ids = await scenario.receivedIds('crm');
      expect(missing(scenario, events, ids)).toEqual([]);
      expect(ids.length - new Set(ids).size).toBe(0);
    });

    async function watch(lastsMs: number): Promise<void> {
      const endMs = performance.now() + lastsMs;
      while (performance.now() < endMs) {
        const startedMs = performance.now();
        polls.push(await dispatcher.metric('eventdispatch_polls_total'));
        longestScrapeMs = Math.max(longestScrapeMs, Math.round(performance.now() - startedMs));
        await sleep(200);
      }
    }
  });
});

/** Each partition has a leader again, some moments after the broker answers. */
async function led(topics: readonly string[]): Promise<void> {
  for (const topic of topics) {
    await waitFor(async () => broker.tools.endOffsets(topic).catch(() => null), {
      timeoutMs: TIMEOUT_MS,
      what: `leaders of ${topic}`,
    });
  }
}

function open(
  destinations: ScenarioOptions['destinations'],
  kafka: Readonly<Record<string, unknown>> = {},
  delivery: Readonly<Record<string, unknown>> = {},
): Promise<Scenario> {
  return Scenario.open({
    kafka: broker.tools,
    partitions: 4,
    destinations,
    config: { kafka: { brokers: `127.0.0.1:${proxy.port}`, ...kafka }, delivery },
  });
}

function produce(scenario: Scenario, count: number, ratePerSecond?: number): Promise<ProducedEvent[]> {
  return produceSamples({
    brokers: broker.brokers,
    topic: scenario.topic,
    count,
    tenants: 10,
    ...(ratePerSecond === undefined ? {} : { ratePerSecond }),
  });
}

function assigned(dispatcher: DispatcherProcess, scenario: Scenario): Promise<unknown> {
  const partitions = 4 * (1 + scenario.delayTopics.length);
  return waitFor(async () => (await dispatcher.metric('eventdispatch_partitions_assigned')) === partitions, {
    timeoutMs: TIMEOUT_MS,
    what: () => `${partitions} partitions\n${dispatcher.child.output()}`,
  });
}

function missing(scenario: Scenario, events: readonly ProducedEvent[], ids: readonly string[]): string[] {
  const received = new Set(ids);
  return [...scenario.expectedIds(events, 'crm')].filter((id) => !received.has(id)).slice(0, 5);
}
