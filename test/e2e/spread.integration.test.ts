/**
 * A tenant whose destinations are spread over all lanes of a process: each event reaches each destination once, each
 * destination is in one lane, what is said of an event is said once, its limit holds for all lanes together, and
 * every offset is committed in the end.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';

import type { Sample } from '../../src/samples/generator.ts';
import type { ReceivedRequest } from '../support/receiver.ts';
import { describeWithKafka } from '../support/with-real-parts.ts';
import { busiestWindow } from './arrival-windows.ts';
import { isProbe, LatenessProbe, worstLatenessMs } from './lateness-probe.ts';
import { sampleRecords } from './sample-records.ts';
import { Scenario } from './scenario.ts';
import { Sender } from './sender.ts';

const LANES = 4;
const RATE_PER_SECOND = 150;
const BURST = 15;
const EVENTS = 150;
const UNWANTED = 10;
const WINDOWS_SECONDS = [1, 4];
/** A share of the limit that a dispatcher would not reach whose lanes have a part of it each, and some are idle. */
const USED_SHARE = 0.9;
/** Each request to it is made twice. */
const FLAKY = 'flaky';
const PROBED = 'one';
const DESTINATIONS = [PROBED, 'two', 'three', 'four', FLAKY];

describeWithKafka(`a tenant of ${DESTINATIONS.length} destinations in ${LANES} lanes`, (kafka) => {
  let scenario: Scenario;
  let tenant: string;
  const sent: Sample[] = [];
  const requests = new Map<string, ReceivedRequest[]>();

  beforeAll(async () => {
    [tenant] = samples(1, ['contact.created'], 0).map((sample) => sample.tenant) as [string];
    scenario = await Scenario.open({
      kafka,
      partitions: 2,
      destinations: Object.fromEntries(
        DESTINATIONS.map((id) => [
          id,
          {
            behaviour: id === FLAKY ? { statuses: [503, 200] } : {},
            settings: {
              tenant,
              events: ['contact.created'],
              breaker: 'off',
              retry: { initialDelay: '500ms' },
            },
          },
        ]),
      ),
      config: {
        lanes: { count: LANES, spread: { [tenant]: LANES } },
        limits: { tenants: { default: { rate: `${RATE_PER_SECOND}/s`, burst: BURST } } },
      },
    });
    const dispatcher = await scenario.startDispatcher();
    const sender = await Sender.open(kafka.brokers);
    const probe = await LatenessProbe.start(scenario.receiver.url(PROBED));
    // Connections open and code warms up before the backlog.
    await send(sender, 5, 'contact.created', 1);
    await scenario.settled();
    await send(sender, UNWANTED, 'email.sent', 2);
    await send(sender, EVENTS, 'contact.created', 3);
    await scenario.settled();
    await sender.close();
    await probe.stop();
    await dispatcher.stop();
    for (const id of DESTINATIONS) requests.set(id, await scenario.receiver.requests(id));
  });
  afterAll(() => scenario.close());

  it('delivers every event to every destination, once', () => {
    const wanted = sent.filter(({ type }) => type === 'contact.created');
    for (const id of DESTINATIONS) {
      const ids = deliveries(id).map(({ webhookId }) => webhookId);
      const distinct = new Set(ids);
      expect(distinct, id).toEqual(scenario.expectedIds(wanted, id));
      expect(ids, id).toHaveLength(distinct.size * (id === FLAKY ? 2 : 1));
    }
  });

  it('has each destination in one lane, and work in all of them', async () => {
    const lanes = await scenario.ledger.query<{ id: string; lanes: readonly number[] }>(
      `SELECT destination_id AS id, groupUniqArray(lane) AS lanes FROM attempts
       WHERE destination_id != '' GROUP BY id`,
    );
    expect(lanes.map(({ id }) => id).toSorted()).toEqual(DESTINATIONS.toSorted());
    for (const { id, lanes: ofOne } of lanes) expect(ofOne, id).toHaveLength(1);
    expect(new Set(lanes.flatMap(({ lanes: ofOne }) => ofOne)).size).toBe(LANES);
  });

  it('writes each event once, and one row of each that nobody wants', async () => {
    const events = await scenario.ledger.query<{ rows: number; events: number }>(
      'SELECT toUInt32(count()) AS rows, toUInt32(uniqExact(event_id)) AS events FROM events',
    );
    expect(events).toEqual([{ rows: sent.length, events: sent.length }]);
    const filtered = await scenario.ledger.query<{ rows: number; events: number }>(
      `SELECT toUInt32(count()) AS rows, toUInt32(uniqExact(event_id)) AS events FROM attempts WHERE destination_id = ''`,
    );
    expect(filtered).toEqual([{ rows: UNWANTED, events: UNWANTED }]);
  });

  it(`sends no more than ${RATE_PER_SECOND}/s and ${BURST} at once, all destinations together, and as much as that`, () => {
    const latenessMs = worstLatenessMs(requests.get(PROBED)!);
    const arrivals = DESTINATIONS.flatMap((id) => deliveries(id).map(({ monotonicUs }) => monotonicUs));
    arrivals.sort((a, b) => a - b);
    for (const seconds of WINDOWS_SECONDS) {
      const most = busiestWindow(arrivals, seconds * 1_000_000);
      console.info(
        `${most} in ${seconds} s, allowed ${RATE_PER_SECOND * seconds + BURST}, at most ${latenessMs} ms late`,
      );
      expect(most).toBeLessThanOrEqual(Math.floor(RATE_PER_SECOND * (seconds + latenessMs / 1000) + BURST));
      // What the machine stood still for is lost to anybody.
      const usedSeconds = seconds - latenessMs / 1000;
      expect(most).toBeGreaterThanOrEqual(RATE_PER_SECOND * usedSeconds * USED_SHARE);
    }
  });

  async function send(sender: Sender, count: number, type: string, seed: number): Promise<void> {
    const records = samples(count, [type], seed);
    sent.push(...records);
    await sender.send(
      scenario.topic,
      records.map(({ key, value }) => ({ partition: null, key, value })),
    );
  }

  function deliveries(id: string): ReceivedRequest[] {
    return requests.get(id)!.filter((request) => !isProbe(request));
  }
});

function samples(count: number, types: readonly string[], seed: number): ReturnType<typeof sampleRecords> {
  return sampleRecords({ count, tenants: 1, types, seed });
}
