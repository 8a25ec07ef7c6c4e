/**
 * Fault W2: endpoints that hang fill the lanes. What waits is bounded, polling goes on, memory stays flat, and tenants
 * that hang nowhere get their events.
 *
 * Fault W1 is proven on real threads and sockets in test/lanes/lane-pool.test.ts: a thread that throws, exits, runs out
 * of heap or spins is replaced, and one record that keeps killing ends as `worker_crash`. No record is known that makes
 * a whole dispatcher's lane do any of these, so there is nothing to send one from here.
 */
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';

import { deliveryId } from '../../src/domain/ids.ts';
import { sampleTenants, type Sample } from '../../src/samples/generator.ts';
import type { DispatcherProcess } from '../support/dispatcher.ts';
import { waitFor } from '../support/wait.ts';
import { describeWithKafka } from '../support/with-real-parts.ts';
import { sampleRecords } from './sample-records.ts';
import { Scenario } from './scenario.ts';
import { Sender } from './sender.ts';

const LANES = 2;
const MAX_RECORDS = 1_000;
/** All tenants that hang may be of one lane: together they leave some of it to the others. */
const TENANT_SHARE = 0.1;
const HANGING = { type: 'email.sent', tenants: 8, count: 20_000 };
const HEALTHY = { type: 'contact.created', tenants: 8, count: 800 };
const PARTITIONS = 8;
/** Partitions of the tenants that hang; the others have the rest. */
const HANGING_PARTITIONS = 4;
const WATCHED_MS = 10_000;
const RSS_GROWTH_BYTES = 64 * 1024 * 1024;
const TIMEOUT_MS = 60_000;

describeWithKafka('W2: lanes saturated by endpoints that hang', (kafka) => {
  let scenario: Scenario;
  let dispatcher: DispatcherProcess;
  let healthy: readonly Sample[];
  let rssAtFirst = 0;
  let mostRss = 0;
  let mostOpen = 0;
  let pausedPartitions = 0;
  let hung = 0;
  const polls: number[] = [];
  let healthyTookMs = 0;

  beforeAll(async () => {
    scenario = await Scenario.open({
      kafka,
      partitions: PARTITIONS,
      destinations: {
        hangs: {
          behaviour: { hang: true },
          settings: { events: [HANGING.type], timeout: '5s', maxInFlight: 4, breaker: 'off' },
        },
        answers: { settings: { events: [HEALTHY.type] } },
      },
      config: { lanes: { count: LANES, maxRecords: MAX_RECORDS, tenantShare: TENANT_SHARE } },
    });
    dispatcher = await scenario.startDispatcher();
    const sender = await Sender.open(kafka.brokers);
    const flood = sampleRecords({
      count: HANGING.count,
      tenants: HANGING.tenants,
      types: [HANGING.type],
      seed: 1,
    });
    await sender.send(
      scenario.topic,
      flood.map(({ tenant, key, value }) => ({
        partition: placeOf(tenant) % HANGING_PARTITIONS,
        key,
        value,
      })),
    );
    await waitFor(async () => (await scenario.receiver.count('hangs')) >= 2 * HANGING.tenants, {
      timeoutMs: TIMEOUT_MS,
      what: () => `requests that hang\n${dispatcher.child.output()}`,
    });
    await sleep(3_000);
    rssAtFirst = await rssOf(dispatcher);
    // Tenants of their own, on partitions of their own.
    healthy = sampleRecords({
      count: HEALTHY.count,
      tenants: HANGING.tenants + HEALTHY.tenants,
      types: [HEALTHY.type],
      seed: 2,
    }).filter(({ tenant }) => placeOf(tenant) >= HANGING.tenants);
    const sentMs = performance.now();
    const watching = watch();
    await sender.send(
      scenario.topic,
      healthy.map(({ key, value, tenant }) => ({
        partition: HANGING_PARTITIONS + (placeOf(tenant) % (PARTITIONS - HANGING_PARTITIONS)),
        key,
        value,
      })),
    );
    await waitFor(async () => (await scenario.receiver.count('answers')) >= healthy.length, {
      timeoutMs: TIMEOUT_MS,
      what: () => `events of tenants that hang nowhere\n${dispatcher.child.output()}`,
    }).catch(() => undefined);
    healthyTookMs = performance.now() - sentMs;
    await watching;
    hung = await scenario.receiver.count('hangs');
    await sender.close();
  });
  afterAll(() => scenario.close());

  it('really filled them', () => {
    expect(hung).toBeGreaterThan(HANGING.tenants);
    expect(pausedPartitions).toBeGreaterThan(0);
  });

  it('holds no more than the lanes may hold', () => {
    expect(mostOpen).toBeLessThanOrEqual(LANES * MAX_RECORDS + HEALTHY.count);
  });

  it('keeps polling, so the group keeps it', () => {
    expect(polls.length).toBeGreaterThan(10);
    expect(polls.every((count, index) => index === 0 || count > polls[index - 1]!)).toBe(true);
    expect(dispatcher.child.output()).not.toContain('"event":"partitions_revoked"');
  });

  it('keeps its memory flat', () => {
    const grownMb = Math.round((mostRss - rssAtFirst) / 1024 / 1024);
    console.info(`${Math.round(rssAtFirst / 1024 / 1024)} MB, then at most ${grownMb} MB more`);
    expect(mostRss - rssAtFirst).toBeLessThan(RSS_GROWTH_BYTES);
  });

  it('delivers the events of tenants that hang nowhere, soon', async () => {
    const received = new Set((await scenario.receiver.requests('answers')).map(({ webhookId }) => webhookId));
    const lacking = healthy.filter(
      ({ tenant, eventId }) => !received.has(deliveryId(tenant, eventId, 'answers')),
    );
    console.info(`${healthy.length} events of other tenants took ${Math.round(healthyTookMs)} ms`);
    expect(lacking.length).toBe(0);
    expect(healthyTookMs).toBeLessThan(WATCHED_MS);
  });

  async function watch(): Promise<void> {
    const endMs = performance.now() + WATCHED_MS;
    while (performance.now() < endMs) {
      polls.push(await dispatcher.metric('eventdispatch_polls_total'));
      mostOpen = Math.max(mostOpen, await dispatcher.metric('eventdispatch_open_records'));
      pausedPartitions = Math.max(
        pausedPartitions,
        await dispatcher.metric('eventdispatch_partitions_paused'),
      );
      mostRss = Math.max(mostRss, await rssOf(dispatcher));
      await sleep(500);
    }
  }
});

const NAMES = sampleTenants(HANGING.tenants + HEALTHY.tenants);

/** Of the tenant among all tenants here; the first ones are those that hang. */
function placeOf(tenant: string): number {
  return NAMES.indexOf(tenant);
}

/** Resident bytes of the process. */
async function rssOf({ child }: DispatcherProcess): Promise<number> {
  const status = await readFile(`/proc/${child.pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
}
