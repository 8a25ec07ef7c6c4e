/**
 * Invariant I8 of the faults list: at the receiver, in no window of 1 s or 10 s does a destination of a tenant get more
 * than rate · t + burst requests, while a backlog makes the limit the bottleneck, also behind a slow receiver.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';

import type { ReceivedRequest } from '../support/receiver.ts';
import { describeWithKafka } from '../support/with-real-parts.ts';
import { busiestWindow } from './arrival-windows.ts';
import { isProbe, LatenessProbe, worstLatenessMs } from './lateness-probe.ts';
import { sampleRecords } from './sample-records.ts';
import { Scenario } from './scenario.ts';
import { Sender } from './sender.ts';

interface Limited {
  readonly type: string;
  readonly ratePerSecond: number;
  readonly burst: number;
  readonly delayMs?: number;
}

const LIMITED: Readonly<Record<string, Limited>> = {
  slow: { type: 'contact.created', ratePerSecond: 20, burst: 5 },
  quick: { type: 'email.sent', ratePerSecond: 200, burst: 20 },
  'one-by-one': { type: 'user.created', ratePerSecond: 50, burst: 1 },
  far: { type: 'email.opened', ratePerSecond: 100, burst: 10, delayMs: 150 },
};
const PROBED = 'quick';
const TENANTS = 3;
const BACKLOG_SECONDS = 13;
const WINDOWS_SECONDS = [1, 10];
/**
 * A share of the limit that a dispatcher which merely stands still would not reach. A bucket of one token cannot make up
 * for a timer or a socket that was late: each token then costs as much more than 1/rate, and how much is the machine's to say.
 */
const usedShare = (burst: number): number => (burst > 1 ? 0.9 : 0.5);

describeWithKafka(`${Object.keys(LIMITED).length} limited destinations of ${TENANTS} tenants`, (kafka) => {
  let scenario: Scenario;
  /** Arrivals in microseconds, ascending, by destination and tenant. */
  const arrivals = new Map<string, Map<string, number[]>>();
  const sent = new Map<string, Map<string, number>>();
  /** How much later than it came an arrival may have been written down, in this run on this machine. */
  let latenessMs = 0;

  beforeAll(async () => {
    scenario = await Scenario.open({
      kafka,
      partitions: 6,
      destinations: Object.fromEntries(
        Object.entries(LIMITED).map(([id, { type, ratePerSecond, burst, delayMs = 0 }]) => [
          id,
          {
            behaviour: { delayMs },
            recording: { body: 'text' as const },
            settings: { events: [type], rateLimit: { rate: `${ratePerSecond}/s`, burst }, maxInFlight: 64 },
          },
        ]),
      ),
      config: { lanes: { count: 2, maxRecords: 100_000 } },
    });
    const dispatcher = await scenario.startDispatcher();
    const sender = await Sender.open(kafka.brokers);
    const probe = await LatenessProbe.start(scenario.receiver.url(PROBED));
    // Connections open and code warms up before the backlog, whose first burst is then as exact as the rest.
    await send(sender, () => 3 * TENANTS, 1);
    await scenario.settled();
    await send(sender, ({ ratePerSecond, burst }) => (ratePerSecond * BACKLOG_SECONDS + burst) * TENANTS, 2);
    await scenario.settled();
    await sender.close();
    await probe.stop();
    await dispatcher.stop();
    latenessMs = worstLatenessMs(await scenario.receiver.requests(PROBED));
    for (const id of Object.keys(LIMITED)) arrivals.set(id, await arrivalsByTenant(id));
    console.info(`arrivals were written down at most ${latenessMs.toFixed(1)} ms late`);
  });
  afterAll(() => scenario.close());

  for (const [id, { ratePerSecond, burst }] of Object.entries(LIMITED)) {
    it(`gives ${id} no more than ${ratePerSecond}/s and ${burst} at once`, () => {
      for (const [tenant, times] of arrivals.get(id)!) {
        for (const seconds of WINDOWS_SECONDS) {
          const most = busiestWindow(times, seconds * 1_000_000);
          console.info(
            `${id} ${tenant}: ${most} in ${seconds} s, allowed ${ratePerSecond * seconds + burst}`,
          );
          const seen = Math.floor(ratePerSecond * (seconds + latenessMs / 1000) + burst);
          expect(most, `${tenant} in ${seconds} s, seen ${latenessMs} ms late`).toBeLessThanOrEqual(seen);
        }
      }
    });

    it(`uses the limit of ${id} for each tenant by itself`, () => {
      const tenants = arrivals.get(id)!;
      expect(tenants.size).toBe(TENANTS);
      for (const [tenant, times] of tenants) {
        const most = busiestWindow(times, 10_000_000);
        expect(most, tenant).toBeGreaterThanOrEqual(ratePerSecond * 10 * usedShare(burst));
      }
    });

    it(`delivers every event of ${id} once`, async () => {
      const counts = new Map([...arrivals.get(id)!].map(([tenant, times]) => [tenant, times.length]));
      expect(counts).toEqual(sent.get(id));
      const ids = (await deliveries(id)).map((request) => request.webhookId);
      expect(new Set(ids).size).toBe(ids.length);
    });
  }

  async function send(sender: Sender, countOf: (limited: Limited) => number, round: number): Promise<void> {
    for (const [index, [id, limited]] of Object.entries(LIMITED).entries()) {
      const samples = sampleRecords({
        count: countOf(limited),
        tenants: TENANTS,
        types: [limited.type],
        seed: round * 100 + index,
      });
      const counts = sent.get(id) ?? new Map<string, number>();
      sent.set(id, counts);
      for (const { tenant } of samples) counts.set(tenant, (counts.get(tenant) ?? 0) + 1);
      await sender.send(
        scenario.topic,
        samples.map(({ key, value }) => ({ partition: null, key, value })),
      );
    }
  }

  async function deliveries(id: string): Promise<ReceivedRequest[]> {
    return (await scenario.receiver.requests(id)).filter((request) => !isProbe(request));
  }

  async function arrivalsByTenant(id: string): Promise<Map<string, number[]>> {
    const byTenant = new Map<string, number[]>();
    for (const { body, monotonicUs } of await deliveries(id)) {
      const { tenantid: tenant } = JSON.parse(body!) as { tenantid: string };
      const times = byTenant.get(tenant) ?? [];
      byTenant.set(tenant, times);
      times.push(monotonicUs);
    }
    for (const times of byTenant.values()) times.sort((a, b) => a - b);
    return byTenant;
  }
});
