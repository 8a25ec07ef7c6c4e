/**
 * Fault H8: one endpoint of many is dead. It gets the attempts that open its breaker and then probes only (invariant
 * I9), and all others get every event at the first attempt, the same as before the fault, while it is dead. A dead
 * endpoint that answers again gets everything; one that does not leaves dead letters.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';

import { deliveryId } from '../../src/domain/ids.ts';
import type { DispatcherProcess } from '../support/dispatcher.ts';
import type { Behaviour, ReceivedRequest } from '../support/receiver.ts';
import { produceSamples, type ProducedEvent } from '../support/samples.ts';
import { waitFor } from '../support/wait.ts';
import { describeWithKafka } from '../support/with-real-parts.ts';
import { FaultRun, rowsOf, type AttemptRow } from './fault-run.ts';
import type { Sections } from './scenario.ts';

const TENANTS = 20;
const DESTINATIONS = 50;
/** Of the first tenant, which has two others. */
const DEAD = 'destination-0';
const DEAD_TENANT = 'tenant-1';
const EVENTS = 2_000;
const CONSECUTIVE_FAILURES = 5;
const MAX_IN_FLIGHT = 4;
const OPEN_MS = 1_000;
const WAIT = { timeoutMs: 90_000, intervalMs: 100 };

interface Dead {
  readonly behaviour: Behaviour;
  readonly timeout: string;
}

const DEAD_WAYS: Readonly<Record<string, Dead>> = {
  hangs: { behaviour: { hang: true }, timeout: '300ms' },
  'is unavailable': { behaviour: { status: 503 }, timeout: '5s' },
};

for (const [way, dead] of Object.entries(DEAD_WAYS)) {
  describeWithKafka(`H8: one endpoint of ${DESTINATIONS} ${way}`, (kafka) => {
    let run: FaultRun;
    let dispatcher: DispatcherProcess;
    const events: ProducedEvent[] = [];
    /** Requests by path when the fault began. */
    let before: Record<string, number>;
    /** At the dead one, when all others had everything, and at the end. */
    let whileDead: ReceivedRequest[];
    let atEnd: ReceivedRequest[];
    let rows: AttemptRow[];

    beforeAll(async () => {
      run = await openRun();
      dispatcher = await run.start(configuration(dead));
      await produce(1);
      await othersHaveAll();
      await run.quiet();
      before = await run.scenario.receiver.pathCounts('all');
      await run.scenario.receiver.setBehaviour('all', dead.behaviour, `/${DEAD}`);
      await produce(2);
      await othersHaveAll();
      await refusedByBreaker();
      whileDead = (await toDead()).slice(before[`/${DEAD}`]);
      await run.scenario.receiver.setBehaviour('all', {}, `/${DEAD}`);
      await run.quiet();
      atEnd = (await toDead()).slice(before[`/${DEAD}`]);
      rows = await allRows();
    });
    afterAll(() => run.close());

    it('delivers everything to all others meanwhile, at the first attempt and once', async () => {
      const requests = await run.scenario.receiver.requests('all');
      const times = new Map<string, number>();
      for (const { path, webhookId } of requests)
        if (path !== `/${DEAD}`) times.set(webhookId, (times.get(webhookId) ?? 0) + 1);
      const expected = othersOf(events);
      expect(new Set(times.keys())).toEqual(expected);
      expect([...times.values()].filter((time) => time !== 1)).toEqual([]);
      const others = rows.filter((row) => row.destination_id !== DEAD);
      expect(others).toHaveLength(expected.size);
      expect(others.filter((row) => row.outcome !== 'delivered' || row.attempt !== 1)).toEqual([]);
    });

    it('sends it the attempts that open its breaker, and then probes only', () => {
      // Those in flight when the last one failed had been let through before.
      const opening = CONSECUTIVE_FAILURES + MAX_IN_FLIGHT - 1;
      expect(whileDead.length).toBeGreaterThanOrEqual(CONSECUTIVE_FAILURES);
      const probes = whileDead.slice(opening - 1);
      for (const [index, probe] of probes.slice(1).entries())
        expect((probe.monotonicUs - probes[index]!.monotonicUs) / 1000).toBeGreaterThanOrEqual(OPEN_MS);
    });

    it('hands over what its breaker refuses, without charging an attempt', () => {
      const refused = rows.filter(({ outcome }) => outcome === 'breaker_open');
      expect(refused.length).toBeGreaterThan(0);
      expect(new Set(refused.map((row) => row.destination_id))).toEqual(new Set([DEAD]));
      for (const row of refused)
        expect(row).toMatchObject({ class: '', status: 0, is_final: false, hand_over: 'retry' });
      const charged = rows.filter((row) => row.destination_id === DEAD && row.class !== '');
      for (const id of new Set(charged.map((row) => row.delivery_id))) {
        const attempts = rowsOf(charged, id).map(({ attempt }) => attempt);
        expect(attempts, id).toEqual(attempts.map((_, index) => index + 1));
      }
    });

    it('gets everything once it answers again', () => {
      const expected = new Set(events.filter(isDeads).map((event) => idOf(event, DEAD)));
      const delivered = rows.filter((row) => row.destination_id === DEAD && row.outcome === 'delivered');
      expect(new Set(delivered.map((row) => row.delivery_id))).toEqual(expected);
      expect(delivered).toHaveLength(expected.size);
      const afterFault = events.slice(EVENTS).filter(isDeads);
      const received = atEnd.filter(({ status }) => status === 200).map(({ webhookId }) => webhookId);
      expect(received.sort()).toEqual(afterFault.map((event) => idOf(event, DEAD)).sort());
    });

    it('tells the operator when its breaker opens and closes, and drains', async () => {
      const log = dispatcher.child.output().split('\n');
      const told = log.filter((line) => /"event":"breaker_(opened|closed)"/.test(line));
      expect(told.length).toBeGreaterThanOrEqual(2);
      for (const line of told) expect(line).toContain(`"destination":"${DEAD}"`);
      expect(told.at(-1)).toContain('"event":"breaker_closed"');
      expect(await dispatcher.stop(), dispatcher.child.output()).toEqual({ code: 0, signal: null });
    });

    function openRun(): Promise<FaultRun> {
      return FaultRun.open({
        kafka,
        partitions: 6,
        destinations: { all: { recording: { body: 'none' } } },
        config: { lanes: { count: 2 }, log: { level: 'info' } },
      });
    }

    /** Destination i is of tenant i mod 20, and all are paths of one receiver. */
    function configuration({ timeout }: Dead): Sections {
      const url = run.scenario.receiver.url('all');
      return {
        destinations: Array.from({ length: DESTINATIONS }, (_, index) => ({
          id: `destination-${index}`,
          tenant: `tenant-${(index % TENANTS) + 1}`,
          url: `${url}/destination-${index}`,
          // An attempt at one that does answer must not fail because the machine is busy.
          timeout: index === 0 ? timeout : '30s',
          ...(index === 0 && { maxInFlight: MAX_IN_FLIGHT }),
          retry: { maxAttempts: 100, initialDelay: '200ms', maxDelay: '1s' },
          breaker: { consecutiveFailures: CONSECUTIVE_FAILURES, open: `${OPEN_MS}ms`, maxOpen: '2s' },
        })),
      };
    }

    async function produce(seed: number): Promise<void> {
      const { topic } = run.scenario;
      events.push(
        ...(await produceSamples({ brokers: kafka.brokers, topic, count: EVENTS, tenants: TENANTS, seed })),
      );
    }

    function toDead(): Promise<ReceivedRequest[]> {
      return run.scenario.receiver
        .requests('all')
        .then((requests) => requests.filter(({ path }) => path === `/${DEAD}`));
    }

    async function othersHaveAll(): Promise<void> {
      const expected = othersOf(events).size;
      let received = 0;
      await waitFor(
        async () => {
          const counts = await run.scenario.receiver.pathCounts('all');
          received = Object.entries(counts).reduce(
            (sum, [path, count]) => (path === `/${DEAD}` ? sum : sum + count),
            0,
          );
          return received >= expected;
        },
        { ...WAIT, what: () => `${expected} requests, ${received} came\n${dispatcher.child.output()}` },
      );
    }

    /** Some probes have gone out, too. */
    async function refusedByBreaker(): Promise<void> {
      const first = before[`/${DEAD}`] ?? 0;
      await waitFor(async () => (await toDead()).length - first >= CONSECUTIVE_FAILURES + MAX_IN_FLIGHT + 2, {
        ...WAIT,
        what: () => `probes\n${dispatcher.child.output()}`,
      });
    }

    async function allRows(): Promise<AttemptRow[]> {
      const ids = Array.from({ length: DESTINATIONS }, (_, index) => `destination-${index}`);
      return (await Promise.all(ids.map((id) => run.rows(id)))).flat();
    }
  });
}

function othersOf(events: readonly ProducedEvent[]): Set<string> {
  const ids = new Set<string>();
  for (const event of events) {
    const first = Number(event.tenant.slice('tenant-'.length)) - 1;
    for (let index = first; index < DESTINATIONS; index += TENANTS)
      if (index !== 0) ids.add(idOf(event, `destination-${index}`));
  }
  return ids;
}

function isDeads({ tenant }: ProducedEvent): boolean {
  return tenant === DEAD_TENANT;
}

function idOf({ tenant, eventId }: ProducedEvent, destination: string): string {
  return deliveryId(tenant, eventId, destination);
}
