/**
 * Fault K7: kill -9 of the only dispatcher under load, then a restart. Nothing is lost, and what is repeated is at
 * most what was in flight or not yet acknowledged by the ledger when it died.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';

import { produceSamples, type ProducedEvent } from '../support/samples.ts';
import { waitFor } from '../support/wait.ts';
import { describeWithKafka } from '../support/with-real-parts.ts';
import { Scenario } from './scenario.ts';

const EVENTS = 30_000;
const KILLS = 3;

describeWithKafka('kill -9 under load, and a restart', (kafka) => {
  let scenario: Scenario;
  let events: ProducedEvent[];
  /** After each kill: all requests the receiver had so far, minus those whose rows the ledger had. */
  const unacknowledged: number[] = [];

  beforeAll(async () => {
    scenario = await Scenario.open({
      kafka,
      partitions: 6,
      destinations: { crm: { behaviour: { delayMs: 5 }, settings: { maxInFlight: 32 } } },
    });
    let dispatcher = await scenario.startDispatcher();
    const producing = produceSamples({
      brokers: kafka.brokers,
      topic: scenario.topic,
      count: EVENTS,
      tenants: 20,
      ratePerSecond: 2_000,
    });
    for (let kill = 1; kill <= KILLS; kill++) {
      const before = await scenario.receiver.count('crm');
      await waitFor(async () => (await scenario.receiver.count('crm')) >= before + 3_000, {
        timeoutMs: 60_000,
        what: () => `3,000 more requests\n${dispatcher.child.output()}`,
      });
      await dispatcher.kill();
      unacknowledged.push(await countUnacknowledged());
      dispatcher = await scenario.startDispatcher();
    }
    events = await producing;
    await scenario.settled();
    await dispatcher.stop();
  });
  afterAll(() => scenario.close());

  it('loses nothing', async () => {
    const received = new Set((await scenario.receiver.requests('crm')).map((request) => request.webhookId));
    expect([...scenario.expectedIds(events, 'crm')].filter((id) => !received.has(id))).toEqual([]);
    const deliveries = await scenario.ledgerDeliveries('crm');
    expect([...scenario.expectedIds(events, 'crm')].filter((id) => !deliveries.get(id)?.delivered)).toEqual(
      [],
    );
  });

  it('repeats at most what was in flight or unflushed when it died', async () => {
    const requests = await scenario.receiver.requests('crm');
    const repeated = requests.length - new Set(requests.map((request) => request.webhookId)).size;
    expect(repeated).toBeLessThanOrEqual(unacknowledged.at(-1) ?? 0);
    const deliveries = await scenario.ledgerDeliveries('crm');
    expect(
      [...deliveries.values()].filter(({ delivered }) => delivered > 1),
      'what the ledger held was not sent again',
    ).toEqual([]);
    console.info(
      `repeated ${repeated} of ${EVENTS}; not in the ledger after each kill, in all: ${unacknowledged.join(', ')}`,
    );
  });

  it('really died with work in flight', () => {
    expect(unacknowledged.filter((count) => count > 0).length).toBeGreaterThan(0);
  });

  async function countUnacknowledged(): Promise<number> {
    const received = await scenario.receivedAtRest('crm');
    const [row] = await scenario.ledger.query<{ delivered: number }>(
      `SELECT countIf(outcome = 'delivered') AS delivered FROM attempts WHERE destination_id = 'crm'`,
    );
    return received - (row?.delivered ?? 0);
  }
});
