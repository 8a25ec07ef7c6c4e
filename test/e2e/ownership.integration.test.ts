/**
 * Limits over all processes: while one process joins and another leaves under load, no receiver gets more than
 * rate · t + burst in any window, for any tenant and any of its destinations, whoever sends.
 *
 * Judged as in rate-limit.integration.test.ts: by when the receiver wrote an arrival down, late by up to what a probe
 * shows for this run on this machine.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';

import type { DispatcherProcess } from '../support/dispatcher.ts';
import { waitFor } from '../support/wait.ts';
import { describeWithKafka } from '../support/with-real-parts.ts';
import { busiestWindow } from './arrival-windows.ts';
import { LatenessProbe, worstLatenessMs } from './lateness-probe.ts';
import { sampleRecords } from './sample-records.ts';
import { Scenario } from './scenario.ts';
import { Sender } from './sender.ts';

interface Limit {
  readonly ratePerSecond: number;
  readonly burst: number;
}

const TENANTS = 20;
const EVENTS_PER_TENANT = 600;
const TYPE = 'contact.created';
/** Each gets every event. Together they would take more than the tenant may have. */
const DESTINATIONS: Readonly<Record<string, Limit>> = {
  narrow: { ratePerSecond: 15, burst: 4 },
  wide: { ratePerSecond: 30, burst: 10 },
};
const TENANT: Limit = { ratePerSecond: 40, burst: 12 };
/** Gets no deliveries, and answers at once; in the same process as the others. */
const PROBED = 'probed';
const WINDOWS_SECONDS = [1, 10];
/** A share of the limit that processes which merely hand over to each other would not reach. */
const USED_SHARE = 0.6;
/** Of each process: what it must have delivered before the next one joins or leaves. */
const BETWEEN = 2_500;

interface Arrival {
  readonly tenant: string;
  readonly destination: string;
  readonly atUs: number;
  readonly process: string;
  readonly id: string;
}

describeWithKafka(`${TENANTS} tenants with limits; one process joins, one leaves`, (kafka) => {
  let scenario: Scenario;
  let arrivals: Arrival[];
  let latenessMs = 0;
  /** What the ledger did not know of when partitions moved, at most: requests in flight then. */
  let movedInFlight = 0;

  beforeAll(async () => {
    scenario = await Scenario.open({
      kafka,
      partitions: 10,
      destinations: {
        ...Object.fromEntries(
          Object.keys(DESTINATIONS).map((id) => [
            id,
            {
              behaviour: { delayMs: 20 },
              recording: { body: 'text' as const, headers: ['x-process'] },
            },
          ]),
        ),
        [PROBED]: {},
      },
      config: {
        kafka: { revokeDeadline: '1s' },
        lanes: { count: 2, maxRecords: 100_000 },
        limits: { tenants: { default: written(TENANT) } },
        shutdown: { deadline: '1s' },
      },
    });
    const sender = await Sender.open(kafka.brokers);
    const first = await start('first');
    const probe = await LatenessProbe.start(scenario.receiver.url(PROBED));
    // Code warms up and connections open first.
    await send(sender, 3, 1);
    await scenario.settled();
    await send(sender, EVENTS_PER_TENANT, 2);
    await delivered(first, BETWEEN);
    const second = await start('second');
    await delivered(second, BETWEEN);
    await first.stop();
    movedInFlight = 2 * TENANTS * (TENANT.burst + TENANT.ratePerSecond);
    await scenario.settled();
    await sender.close();
    await probe.stop();
    await second.stop();
    latenessMs = worstLatenessMs(await scenario.receiver.requests(PROBED));
    arrivals = (await Promise.all(Object.keys(DESTINATIONS).map(arrivalsAt))).flat();
    console.info(
      `${arrivals.length} arrivals, written down at most ${latenessMs.toFixed(1)} ms late; ` +
        `${arrivals.filter(({ process }) => process === 'second').length} by the second process`,
    );
  });
  afterAll(() => scenario.close());

  for (const [id, limit] of Object.entries(DESTINATIONS)) {
    it(`gives ${id} of each tenant no more than ${limit.ratePerSecond}/s and ${limit.burst} at once`, () => {
      for (const [tenant, times] of timesByTenant((arrival) => arrival.destination === id))
        expectWithin(limit, times, `${id} of ${tenant}`);
    });
  }

  it(`gives all destinations of a tenant together no more than ${TENANT.ratePerSecond}/s and ${TENANT.burst} at once`, () => {
    for (const [tenant, times] of timesByTenant(() => true)) expectWithin(TENANT, times, tenant);
  });

  it('uses what the limits leave, by both processes', () => {
    const tenants = timesByTenant(() => true);
    expect(tenants.size).toBe(TENANTS);
    const most = [...tenants.values()].map((times) => busiestWindow(times, 10_000_000));
    expect(Math.min(...most)).toBeGreaterThanOrEqual(TENANT.ratePerSecond * 10 * USED_SHARE);
    for (const process of ['first', 'second'])
      expect(arrivals.filter((arrival) => arrival.process === process).length).toBeGreaterThan(BETWEEN / 2);
  });

  it('loses nothing, and repeats at most what was in flight when partitions moved', () => {
    const ids = new Set(arrivals.map(({ id }) => id));
    expect(ids.size).toBe(TENANTS * (EVENTS_PER_TENANT + 3) * Object.keys(DESTINATIONS).length);
    console.info(`repeated ${arrivals.length - ids.size}`);
    expect(arrivals.length - ids.size).toBeLessThanOrEqual(movedInFlight);
  });

  function expectWithin({ ratePerSecond, burst }: Limit, timesUs: readonly number[], what: string): void {
    for (const seconds of WINDOWS_SECONDS) {
      const allowed = Math.floor(ratePerSecond * (seconds + latenessMs / 1000) + burst);
      expect(busiestWindow(timesUs, seconds * 1_000_000), `${what} in ${seconds} s`).toBeLessThanOrEqual(
        allowed,
      );
    }
  }

  function timesByTenant(wanted: (arrival: Arrival) => boolean): Map<string, number[]> {
    const byTenant = new Map<string, number[]>();
    for (const arrival of arrivals.filter(wanted)) {
      const times = byTenant.get(arrival.tenant) ?? [];
      byTenant.set(arrival.tenant, times);
      times.push(arrival.atUs);
    }
    for (const times of byTenant.values()) times.sort((a, b) => a - b);
    return byTenant;
  }

  function start(name: string): Promise<DispatcherProcess> {
    const destinations = Object.entries(DESTINATIONS).map(([id, limit]) => ({
      id,
      tenant: '*',
      url: scenario.receiver.url(id),
      headers: { 'x-process': name },
      rateLimit: written(limit),
    }));
    return scenario.startDispatcher({ destinations });
  }

  async function send(sender: Sender, perTenant: number, seed: number): Promise<void> {
    const samples = sampleRecords({ count: perTenant * TENANTS, tenants: TENANTS, types: [TYPE], seed });
    await sender.send(
      scenario.topic,
      samples.map(({ key, value }) => ({ partition: null, key, value })),
    );
  }

  async function arrivalsAt(destination: string): Promise<Arrival[]> {
    const requests = await scenario.receiver.requests(destination);
    return requests.map(({ body, monotonicUs, headers, webhookId }) => ({
      destination,
      tenant: (JSON.parse(body!) as { tenantid: string }).tenantid,
      atUs: monotonicUs,
      process: headers?.['x-process'] ?? '',
      id: webhookId,
    }));
  }
});

function written({ ratePerSecond, burst }: Limit): object {
  return { rate: `${ratePerSecond}/s`, burst };
}

async function delivered(dispatcher: DispatcherProcess, count: number): Promise<void> {
  await waitFor(
    async () =>
      (await dispatcher.metric('eventdispatch_deliveries_total', { outcome: 'delivered' })) >= count,
    { timeoutMs: 90_000, intervalMs: 100, what: () => `${count} deliveries\n${dispatcher.child.output()}` },
  );
}
