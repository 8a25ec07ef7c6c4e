/**
 * A topic that is not keyed by tenant, read through one that is: a tenant is then in one partition, so its limits are
 * exact over two processes; its events keep the mapping, key and place of the topic they came from, retried ones too;
 * and a process that dies in the midst repeats what it had moved and not committed, and loses nothing.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';

import { deliveryId } from '../../src/domain/ids.ts';
import type { SourceRecord } from '../../src/domain/record.ts';
import { partitionOfKey } from '../../src/rekey/murmur2.ts';
import type { Sample } from '../../src/samples/generator.ts';
import type { DispatcherProcess } from '../support/dispatcher.ts';
import type { KafkaTools } from '../support/kafka-tools.ts';
import { produceSamples, type ProducedEvent } from '../support/samples.ts';
import type { ReceivedRequest } from '../support/receiver.ts';
import { waitFor } from '../support/wait.ts';
import { describeWithKafka } from '../support/with-real-parts.ts';
import { busiestWindow } from './arrival-windows.ts';
import { LatenessProbe, worstLatenessMs } from './lateness-probe.ts';
import { sampleRecords } from './sample-records.ts';
import { Scenario } from './scenario.ts';
import { Sender, type SentRecord } from './sender.ts';
import { headerValues, readTopic } from './topic-records.ts';

const PARTITIONS = 6;
const SETTLE_TIMEOUT_MS = 60_000;

/** Waits until everything is moved, and everything that was moved is delivered. */
async function settled(kafka: KafkaTools, scenario: Scenario): Promise<void> {
  const open = async (group: string, topic: string): Promise<number> => {
    const [ends, committed] = await Promise.all([
      kafka.endOffsets(topic),
      kafka.committedOffsets(group, topic),
    ]);
    return ends.reduce((sum, end, partition) => sum + end - Math.max(0, committed[partition] ?? 0), 0);
  };
  let left = '';
  await waitFor(
    async () => {
      const toMove = await open(`${scenario.group}.rekey`, scenario.topic);
      const topics = [rekeyedTopic(scenario), ...scenario.delayTopics];
      const toDeliver = await Promise.all(topics.map((topic) => open(scenario.group, topic)));
      left = `${toMove} to move, ${toDeliver.join(', ')} to deliver`;
      return toMove === 0 && toDeliver.every((count) => count === 0);
    },
    { timeoutMs: SETTLE_TIMEOUT_MS, intervalMs: 200, what: () => left },
  );
}

function rekeyedTopic({ topic }: Scenario): string {
  return `${topic}.rekeyed`;
}

function rekeyed(scenario: Scenario): object {
  return { topics: [], rekey: { topics: [scenario.topic], topic: rekeyedTopic(scenario) } };
}

function originOf(record: SourceRecord): string {
  return ['topic', 'partition', 'offset']
    .map((name) => headerValues(record, `eventdispatch-origin-${name}`).join())
    .join('/');
}

describeWithKafka('a topic without keys, two processes', (kafka) => {
  const TENANTS = 20;
  const PER_TENANT = 100;
  const LIMIT = { ratePerSecond: 20, burst: 5 };
  const PROBED = 'probed';
  const NOT_AVRO = Buffer.from('not avro');

  let scenario: Scenario;
  let sent: { readonly sample: Sample; readonly record: SentRecord }[];
  let moved: SourceRecord[];
  let bad: SourceRecord[];
  let limited: ReceivedRequest[];
  let latenessMs: number;
  let movedBy: readonly number[];
  let exits: readonly (number | null)[];
  let output: string;

  /** Not the one in the record: an event read with another topic's mapping would show. */
  const tenantOf = ({ tenant }: Sample): string => `via-header-${tenant}`;

  beforeAll(async () => {
    scenario = await Scenario.open({
      kafka,
      partitions: PARTITIONS,
      destinations: {
        limited: { recording: { body: 'text', headers: ['x-process'] } },
        // The first attempt of each fails, so that the delivery comes by a delay topic.
        flaky: { behaviour: { statuses: [503, 200] } },
        [PROBED]: {},
      },
    });
    const dispatchers = [await start('first'), await start('second')];
    for (const dispatcher of dispatchers) await ownsSome(dispatcher);
    const probe = await LatenessProbe.start(scenario.receiver.url(PROBED));
    await send();
    await settled(kafka, scenario);
    await probe.stop();
    movedBy = await Promise.all(
      dispatchers.map((each) => each.metric('eventdispatch_rekeyed_records_total', { result: 'ok' })),
    );
    exits = (await Promise.all(dispatchers.map((each) => each.stop()))).map(({ code }) => code);
    output = dispatchers.map(({ child }) => child.output()).join('\n');
    moved = await readTopic(kafka, rekeyedTopic(scenario));
    bad = await readTopic(kafka, scenario.badEventTopic);
    limited = await scenario.receiver.requests('limited');
    latenessMs = worstLatenessMs(await scenario.receiver.requests(PROBED));
  });
  afterAll(() => scenario.close());

  it('delivers every event once, with the mapping of its own topic, retried ones too', async () => {
    for (const destination of ['limited', 'flaky']) {
      const wanted = sent
        .filter(({ sample }) => destination === 'limited' || isFlaky(sample))
        .map(({ sample }) => deliveryId(tenantOf(sample), sample.eventId, destination));
      const deliveries = await scenario.ledgerDeliveries(destination);
      expect(new Set(deliveries.keys())).toEqual(new Set(wanted));
      expect(
        [...deliveries.values()].filter(({ finals, delivered }) => finals !== 1 || delivered !== 1),
      ).toEqual([]);
    }
    const ids = limited.map(({ webhookId }) => webhookId);
    expect(ids).toHaveLength(sent.length);
    expect(new Set(ids).size).toBe(ids.length);
    expect(await scenario.receiver.count('flaky')).toBe(
      2 * sent.filter(({ sample }) => isFlaky(sample)).length,
    );
  });

  it('takes an event’s key from the key that its record had', () => {
    const subjects = new Map(
      limited.map(({ body }) => {
        const { id, subject } = JSON.parse(body ?? '') as { id: string; subject: string };
        return [id, subject];
      }),
    );
    for (const { sample } of sent) expect(subjects.get(sample.eventId)).toBe(`order of ${sample.eventId}`);
  });

  it('moves each record once, as it was, to the one partition of its tenant', () => {
    const byPlace = new Map(moved.map((record) => [originOf(record), record]));
    expect(byPlace.size).toBe(moved.length);
    expect(moved).toHaveLength(sent.length + 1);
    for (const { sample, record } of sent) {
      const found = byPlace.get(`${record.topic}/${record.partition}/${record.offset}`);
      const tenant = Buffer.from(tenantOf(sample));
      expect(found?.partition).toBe(partitionOfKey(tenant, 0, tenant.length, PARTITIONS));
      expect(found?.value).toEqual(record.value);
      expect(found?.key).toEqual(record.key);
    }
    expect(output).not.toContain('tenant_on_several_partitions');
  });

  it('keeps a tenant’s limit over both processes', () => {
    const times = new Map<string, number[]>();
    for (const { body, monotonicUs } of limited) {
      const { tenantid } = JSON.parse(body ?? '') as { tenantid: string };
      times.set(tenantid, [...(times.get(tenantid) ?? []), monotonicUs]);
    }
    expect(times.size).toBe(TENANTS);
    for (const [tenant, arrivals] of times) {
      const allowed = Math.floor(LIMIT.ratePerSecond * (1 + latenessMs / 1_000) + LIMIT.burst);
      expect(
        busiestWindow(
          arrivals.sort((a, b) => a - b),
          1_000_000,
        ),
        tenant,
      ).toBeLessThanOrEqual(allowed);
    }
    const processes = new Set(limited.map(({ headers }) => headers?.['x-process']));
    expect(processes).toEqual(new Set(['first', 'second']));
    expect(Math.min(...movedBy), 'both moved records').toBeGreaterThan(0);
  });

  it('passes on what is no event, which ends invalid as it was, with its place', async () => {
    expect(bad).toHaveLength(1);
    expect(bad[0]?.value).toEqual(NOT_AVRO);
    expect(originOf(bad[0] as SourceRecord)).toMatch(new RegExp(`^${scenario.topic}/0/`));
    const rows = await scenario.ledger.query<{ topic: string; reason: string }>(
      `SELECT topic, reason FROM attempts WHERE outcome = 'invalid'`,
    );
    expect(rows).toEqual([{ topic: rekeyedTopic(scenario), reason: 'not_avro' }]);
  });

  it('moves nothing twice when its processes stop in order', async () => {
    expect(exits, output.slice(-4_000)).toEqual([0, 0]);
    const committed = await kafka.committedOffsets(`${scenario.group}.rekey`, scenario.topic);
    expect(committed).toEqual(await kafka.endOffsets(scenario.topic));
    expect(movedBy.reduce((sum, count) => sum + count, 0)).toBe(moved.length);
  });

  function isFlaky({ tenant }: Sample): boolean {
    return tenant === sent[0]?.sample.tenant;
  }

  function start(name: string): Promise<DispatcherProcess> {
    const url = (id: string): string => scenario.receiver.url(id);
    const flakyTenant = tenantOf(samples()[0] as Sample);
    return scenario.startDispatcher({
      kafka: rekeyed(scenario),
      fields: { topics: { [scenario.topic]: { tenant: 'header:x-tenant', key: 'key' } } },
      destinations: [
        {
          id: 'limited',
          tenant: '*',
          url: url('limited'),
          headers: { 'x-process': name },
          rateLimit: { rate: `${LIMIT.ratePerSecond}/s`, burst: LIMIT.burst },
        },
        {
          id: 'flaky',
          tenant: flakyTenant,
          url: url('flaky'),
          retry: { initialDelay: '500ms' },
          breaker: 'off',
        },
      ],
    });
  }

  function samples(): Sample[] {
    return sampleRecords({
      count: TENANTS * PER_TENANT,
      tenants: TENANTS,
      types: ['contact.created'],
      seed: 11,
    });
  }

  /** Round-robin over the partitions, whoever the tenant is. */
  async function send(): Promise<void> {
    const events = samples();
    const sender = await Sender.open(kafka.brokers);
    const records = await sender.send(
      scenario.topic,
      events.map((sample, index) => ({
        partition: index % PARTITIONS,
        key: Buffer.from(`order of ${sample.eventId}`),
        value: sample.value,
        headers: [['x-tenant', Buffer.from(tenantOf(sample))]],
      })),
    );
    await sender.send(scenario.topic, [{ partition: 0, key: null, value: NOT_AVRO }]);
    await sender.close();
    sent = events.map((sample, index) => ({ sample, record: records[index] as SentRecord }));
  }
});

describeWithKafka('kill -9 of a process that rekeys', (kafka) => {
  const EVENTS = 9_000;
  /** Read by the pipeline itself, before the topic was rekeyed. */
  const EARLIER = 500;
  let scenario: Scenario;
  let events: ProducedEvent[];
  let moved: SourceRecord[];
  let requests: ReceivedRequest[];
  /** When it had died: what it had moved, of that what it had not committed, and what was delivered and not in the ledger. */
  let movedThen: number;
  let uncommitted: number;
  let unacknowledged: number;

  beforeAll(async () => {
    scenario = await Scenario.open({ kafka, partitions: PARTITIONS, destinations: { crm: {} } });
    const before = await scenario.startDispatcher();
    await produceSamples({
      brokers: kafka.brokers,
      topic: scenario.topic,
      count: EARLIER,
      tenants: 20,
      seed: 2,
    });
    await scenario.sourceSettled();
    await before.stop();
    const first = await scenario.startDispatcher({ kafka: rekeyed(scenario) });
    const producing = produceSamples({
      brokers: kafka.brokers,
      topic: scenario.topic,
      count: EVENTS,
      tenants: 20,
      ratePerSecond: 2_500,
    });
    await waitFor(async () => (await movedCount()) >= EVENTS / 3, {
      timeoutMs: 60_000,
      what: () => `${EVENTS / 3} records moved\n${first.child.output()}`,
    });
    await first.kill();
    await noteWhatWasOpen();
    const second = await scenario.startDispatcher({ kafka: rekeyed(scenario) });
    events = await producing;
    await settled(kafka, scenario);
    await second.stop();
    moved = await readTopic(kafka, rekeyedTopic(scenario));
    requests = await scenario.receiver.requests('crm');
  });
  afterAll(() => scenario.close());

  it('loses nothing', () => {
    const received = new Set(requests.map(({ webhookId }) => webhookId));
    expect([...scenario.expectedIds(events, 'crm')].filter((id) => !received.has(id))).toEqual([]);
    expect(received.size).toBe(EARLIER + EVENTS);
  });

  it('goes on where the pipeline stood when it read the topic itself', () => {
    expect(new Set(moved.map(originOf)).size).toBe(EVENTS);
  });

  it('moves twice only what it had moved and not committed, and delivers twice no more than that and its crash window', () => {
    const twice = moved.length - EVENTS;
    const repeated = requests.length - EARLIER - EVENTS;
    console.info(
      `moved twice ${twice} of ${uncommitted}; delivered twice ${repeated}, ${unacknowledged} not in the ledger`,
    );
    expect(movedThen, 'it died in the midst').toBeLessThan(EVENTS);
    expect(twice).toBeLessThanOrEqual(uncommitted);
    expect(repeated).toBeLessThanOrEqual(twice + unacknowledged);
  });

  async function movedCount(): Promise<number> {
    return sumOf(await kafka.endOffsets(rekeyedTopic(scenario)));
  }

  /** What was sent before a kill is in the sockets of broker and receiver for a moment yet. */
  async function noteWhatWasOpen(): Promise<void> {
    const look = async (): Promise<[moved: number, received: number]> => [
      await movedCount(),
      await scenario.receiver.count('crm'),
    ];
    let before: readonly number[] = [];
    let now = await look();
    await waitFor(
      async () => {
        [before, now] = [now, await look()];
        return before.join() === now.join();
      },
      { timeoutMs: 10_000, intervalMs: 300, what: 'the last requests' },
    );
    const committed = await kafka.committedOffsets(`${scenario.group}.rekey`, scenario.topic);
    movedThen = now[0];
    uncommitted = EARLIER + movedThen - sumOf(committed.map((offset) => Math.max(0, offset)));
    const [row] = await scenario.ledger.query<{ delivered: number }>(
      `SELECT countIf(outcome = 'delivered') AS delivered FROM attempts`,
    );
    unacknowledged = now[1] - (row?.delivered ?? 0);
  }
});

async function ownsSome(dispatcher: DispatcherProcess): Promise<void> {
  await waitFor(
    async () =>
      (await dispatcher.metric('eventdispatch_partitions_assigned')) > 0 &&
      /"partitions":\["[^\]]+\],"client":"rekey"/.test(dispatcher.child.output()),
    { timeoutMs: 30_000, intervalMs: 100, what: () => `partitions\n${dispatcher.child.output()}` },
  );
}

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0);
}
