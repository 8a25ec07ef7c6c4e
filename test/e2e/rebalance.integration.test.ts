/** Faults K5 and P1: two dispatchers share the work; one joins and one leaves under load, and nothing is lost. */
import { afterAll, beforeAll, expect, it } from 'vitest';

import { produceSamples, type ProducedEvent } from '../support/samples.ts';
import { waitFor } from '../support/wait.ts';
import { describeWithKafka } from '../support/with-real-parts.ts';
import { Scenario } from './scenario.ts';

/** Of the load under which the one joins, and of that under which the other leaves. */
const EVENTS_EACH = 25_000;
const RATE_PER_SECOND = 2_500;

describeWithKafka('a second dispatcher joins, then the first one leaves, under load', (kafka) => {
  let scenario: Scenario;
  let events: ProducedEvent[];
  let firstExit: unknown;
  let deliveredBySecond = 0;

  beforeAll(async () => {
    scenario = await Scenario.open({
      kafka,
      partitions: 12,
      destinations: { crm: { behaviour: { delayMs: 20 }, settings: { maxInFlight: 64 } } },
    });
    const first = await scenario.startDispatcher();
    const joining = produce(1);
    await delivered(first, 3_000);
    const second = await scenario.startDispatcher();
    await waitFor(async () => (await second.metric('eventdispatch_partitions_assigned')) > 0, {
      timeoutMs: 60_000,
      what: () => `partitions of the second one\n${second.child.output()}`,
    });
    // However long the second one took to start: the first one leaves under load, too.
    const leaving = produce(2);
    await delivered(second, 3_000);
    firstExit = await first.stop();
    events = [...(await joining), ...(await leaving)];
    await scenario.settled();
    deliveredBySecond = await second.metric('eventdispatch_deliveries_total', { outcome: 'delivered' });
    await second.stop();
  });
  afterAll(() => scenario.close());

  function produce(seed: number): Promise<ProducedEvent[]> {
    return produceSamples({
      brokers: kafka.brokers,
      topic: scenario.topic,
      count: EVENTS_EACH,
      tenants: 40,
      ratePerSecond: RATE_PER_SECOND,
      seed,
    });
  }

  it('loses nothing', async () => {
    const received = new Set((await scenario.receiver.requests('crm')).map((request) => request.webhookId));
    const missing = [...scenario.expectedIds(events, 'crm')].filter((id) => !received.has(id));
    expect(missing).toEqual([]);
  });

  it('has every delivery in the ledger, delivered', async () => {
    const deliveries = await scenario.ledgerDeliveries('crm');
    const missing = [...scenario.expectedIds(events, 'crm')].filter(
      (id) => (deliveries.get(id)?.delivered ?? 0) === 0,
    );
    expect(missing).toEqual([]);
  });

  it('repeats nothing, since each partition was given up only after what was open had ended', async () => {
    const requests = await scenario.receiver.requests('crm');
    expect(requests.length - new Set(requests.map((request) => request.webhookId)).size).toBe(0);
  });

  it('really moved work to the second one, and the first one left cleanly', () => {
    expect(deliveredBySecond).toBeGreaterThan(events.length / 10);
    expect(deliveredBySecond).toBeLessThan(events.length);
    expect(firstExit).toEqual({ code: 0, signal: null });
  });
});

async function delivered(
  dispatcher: Awaited<ReturnType<Scenario['startDispatcher']>>,
  count: number,
): Promise<void> {
  let soFar = 0;
  await waitFor(
    async () => {
      soFar = await dispatcher.metric('eventdispatch_deliveries_total', { outcome: 'delivered' });
      return soFar >= count;
    },
    {
      timeoutMs: 60_000,
      intervalMs: 100,
      what: () => `${count} deliveries, ${soFar} came\n${dispatcher.child.output()}`,
    },
  );
}
