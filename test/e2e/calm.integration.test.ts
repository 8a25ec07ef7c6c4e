/**
 * On a real broker, in a calm run, every event reaches each destination that wants it exactly once, the ledger says
 * just what the receivers saw, and the offsets end where the partitions end.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';

import { produceSamples, type ProducedEvent } from '../support/samples.ts';
import { describeWithKafka } from '../support/with-real-parts.ts';
import { Scenario } from './scenario.ts';

const EVENTS = 100_000;
const TENANTS = 50;
const PARTITIONS = 12;
const DESTINATIONS = ['crm', 'warehouse', 'audit'];

describeWithKafka(
  `${EVENTS} events, ${TENANTS} tenants, ${PARTITIONS} partitions, 3 destinations`,
  (kafka) => {
    let scenario: Scenario;
    let events: ProducedEvent[];

    beforeAll(async () => {
      scenario = await Scenario.open({
        kafka,
        partitions: PARTITIONS,
        destinations: Object.fromEntries(DESTINATIONS.map((id) => [id, { settings: { maxInFlight: 64 } }])),
      });
      events = await produceSamples({
        brokers: kafka.brokers,
        topic: scenario.topic,
        count: EVENTS,
        tenants: TENANTS,
      });
      const dispatcher = await scenario.startDispatcher();
      await scenario.settled();
      const status = await dispatcher.stop();
      expect(status, dispatcher.child.output()).toEqual({ code: 0, signal: null });
    });
    afterAll(() => scenario.close());

    it('delivers every event to each destination, once', async () => {
      expect(events).toHaveLength(EVENTS);
      for (const destination of DESTINATIONS) {
        const ids = (await scenario.receiver.requests(destination)).map((request) => request.webhookId);
        expect(ids).toHaveLength(EVENTS);
        expect(differences(scenario.expectedIds(events, destination), new Set(ids))).toEqual({
          missing: [],
          extra: [],
        });
      }
    });

    it('writes one final row per delivery, and the payload once per event', async () => {
      for (const destination of DESTINATIONS) {
        const deliveries = await scenario.ledgerDeliveries(destination);
        expect(differences(scenario.expectedIds(events, destination), new Set(deliveries.keys()))).toEqual({
          missing: [],
          extra: [],
        });
        const odd = [...deliveries.values()].filter(
          (d) => d.attempts !== 1 || d.finals !== 1 || d.delivered !== 1,
        );
        expect(odd).toEqual([]);
      }
      const [counts] = await scenario.ledger.query<{ rows: number; ids: number }>(
        'SELECT count() AS rows, uniqExact(event_id) AS ids FROM events',
      );
      expect(counts).toEqual({ rows: EVENTS, ids: EVENTS });
    });

    it('commits the end of every partition', async () => {
      expect(await kafka.committedOffsets(scenario.group, scenario.topic)).toEqual(
        await kafka.endOffsets(scenario.topic),
      );
    });
  },
);

function differences(
  expected: ReadonlySet<string>,
  actual: ReadonlySet<string>,
): { missing: string[]; extra: string[] } {
  return {
    missing: [...expected].filter((id) => !actual.has(id)).slice(0, 5),
    extra: [...actual].filter((id) => !expected.has(id)).slice(0, 5),
  };
}
