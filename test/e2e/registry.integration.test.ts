/**
 * Faults S1 and S2: schemas come from a Schema Registry, which demands credentials, goes silent for 10 s, refuses, fails
 * and hangs. Known ids go on, a partition in need of an unknown one waits, and nothing is taken for a bad record.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { readSchemaFolder, type FolderSchema } from '../../src/decode/schema-folder.ts';
import { deliveryId } from '../../src/domain/ids.ts';
import type { Sample } from '../../src/samples/generator.ts';
import type { DispatcherProcess } from '../support/dispatcher.ts';
import { startRegistryStub, type RegistryStub } from '../support/registry-stub.ts';
import { repositoryRoot } from '../support/repository.ts';
import { startRegistry, type RealRegistry } from '../support/schema-registry.ts';
import { waitFor } from '../support/wait.ts';
import { describeWithKafka, describeWithRegistry } from '../support/with-real-parts.ts';
import { sampleRecords } from './sample-records.ts';
import { Scenario } from './scenario.ts';
import { Sender } from './sender.ts';
import { headerValues, readTopic } from './topic-records.ts';

const CREDENTIALS = { username: 'dispatch', password: 's3cret' };
const OUTAGE_MS = 10_000;
const TIMEOUT_MS = 30_000;
/** The partition that gets the schema nobody has asked for yet. */
const IN_NEED = 2;
const catalogue = readSchemaFolder(`${repositoryRoot}/schemas`);

describeWithKafka('schemas of a registry', (kafka) => {
  let sender: Sender;
  let seed = 0;
  beforeAll(async () => {
    sender = await Sender.open(kafka.brokers);
  });
  afterAll(() => sender.close());

  describeWithRegistry('that is real and demands credentials', () => {
    let registry: RealRegistry;
    let scenario: Scenario;
    let right: DispatcherProcess;
    /** Registered ids by those of the catalogue's folder. */
    const ids = new Map<number, number>();

    beforeAll(async () => {
      registry = await startRegistry({ basicAuth: CREDENTIALS });
      for (const schema of versionsOf('contact.ContactCreated')) ids.set(schema.id, await register(schema));
      scenario = await openScenario({ url: registry.url, ...CREDENTIALS, timeout: '1s' });
    });
    afterAll(async () => {
      await scenario.close();
      await registry.stop();
    });

    it('waits with wrong credentials, says so, and calls no record bad', async () => {
      const wrong = await scenario.startDispatcher({
        schemas: { registry: { url: registry.url, username: CREDENTIALS.username, password: 'wrong' } },
      });
      await send(scenario, 0, contacts(20));
      const pattern =
        /schemas\/ids\/\d+: 401, check schemas\.registry username and password.*schema_lookup_failed/;
      await wrong.child.waitForLine(pattern, TIMEOUT_MS);
      await waitFor(
        async () => (await wrong.metric('eventdispatch_schema_lookups_total', { result: 'failed' })) >= 3,
        {
          timeoutMs: TIMEOUT_MS,
          what: 'three lookups',
        },
      );
      expect(await scenario.receiver.count('crm')).toBe(0);
      expect(await wrong.stop(), wrong.child.output()).toEqual({ code: 0, signal: null });
      expect(await kafka.committedOffsets(scenario.group, scenario.topic)).toEqual([-1, -1, -1]);
      await expectNothingBad(scenario);
    });

    it('resolves both versions of a subject with the right ones, and delivers what waited', async () => {
      right = await scenario.startDispatcher();
      await scenario.settled();
      const bodies = (await scenario.receiver.requests('crm')).map(
        ({ body }) => JSON.parse(body!) as CloudEvent,
      );
      expect(bodies).toHaveLength(20);
      const dataOf = (version: string) =>
        bodies.filter((body) => body.eventversion === version).map(({ data }) => data);
      expect(dataOf('1').length * dataOf('2').length).toBeGreaterThan(0);
      for (const data of dataOf('1')) expect(data).toHaveProperty('phone');
      for (const data of dataOf('2')) expect(data).toMatchObject({ lifecycleStage: expect.any(String) });
      expect(await right.metric('eventdispatch_schema_lookups_total', { result: 'found' })).toBe(2);
    });

    it('takes a record for invalid whose id the registry does not have', async () => {
      const [contact] = contacts(1);
      contact!.value.writeUInt32BE(999_999, 1);
      await sender.send(scenario.topic, [{ partition: 1, key: contact!.key, value: contact!.value }]);
      await scenario.settled();
      const [event, ...others] = await readTopic(kafka, scenario.badEventTopic);
      expect(others).toEqual([]);
      expect(headerValues(event!, 'eventdispatch-reason')).toEqual(['unknown_schema']);
      expect(event!.value).toEqual(contact!.value);
    });

    it(`goes on with known ids while the registry is silent for ${OUTAGE_MS / 1000} s, and with the rest afterwards`, async () => {
      const known = new Set<string>();
      for (const schema of versionsOf('email.EmailSent')) ids.set(schema.id, await register(schema));
      registry.pause();
      const sinceMs = performance.now();
      const inNeed = rewritten(
        sampleRecords({ count: 40, tenants: 3, types: ['email.sent'], seed: ++seed }),
        ids,
      );
      const waiting = [
        ...(await send(scenario, IN_NEED, inNeed)),
        ...(await send(scenario, IN_NEED, contacts(20))),
      ];
      while (performance.now() - sinceMs < OUTAGE_MS) {
        const batch = [
          ...(await send(scenario, 0, contacts(10))),
          ...(await send(scenario, 1, contacts(10))),
        ];
        await arrived(scenario, batch);
        for (const id of batch) known.add(id);
      }
      const before = await receivedIds(scenario);
      expect(waiting.filter((id) => before.has(id))).toEqual([]);
      expect(await right.metric('eventdispatch_schema_lookups_total', { result: 'failed' })).toBeGreaterThan(
        2,
      );
      registry.resume();
      await scenario.settled();
      const after = await receivedIds(scenario);
      expect([...waiting, ...known].filter((id) => !after.has(id))).toEqual([]);
      expect(await badEventCount(scenario)).toBe(1);
      console.info(`${known.size} deliveries of known ids during the outage, ${waiting.length} waited`);
    });

    it('delivered everything once', async () => {
      const requests = await scenario.receiver.requests('crm');
      expect(new Set(requests.map(({ webhookId }) => webhookId)).size).toBe(requests.length);
      expect(await right.stop(), right.child.output()).toEqual({ code: 0, signal: null });
    });

    function contacts(count: number): Sample[] {
      return rewritten(sampleRecords({ count, tenants: 3, types: ['contact.created'], seed: ++seed }), ids);
    }

    function register({ subject, text }: FolderSchema): Promise<number> {
      return registry.register(`${subject}-value`, JSON.parse(text) as object);
    }
  });

  describe('of a stub that fails in ways a real one is not made to', () => {
    const KNOWN_ID = 1;
    const FAULTS: readonly [what: string, cause: string, bring: () => unknown, mend: () => unknown][] = [
      ['answers 500', ': 500"', () => stub.setMode('server-error'), () => stub.setMode('ok')],
      ['answers 401', ': 401, check', () => stub.setMode('unauthorized'), () => stub.setMode('ok')],
      ['never answers', ': no answer within 300 ms"', () => stub.setMode('hang'), () => stub.setMode('ok')],
      ['refuses connections', 'ECONNREFUSED', () => stub.goDown(), () => stub.comeUp()],
    ];
    let stub: RegistryStub;
    let scenario: Scenario;
    let dispatcher: DispatcherProcess;

    beforeAll(async () => {
      stub = await startRegistryStub();
      setSchema(KNOWN_ID);
      scenario = await openScenario({ url: stub.url, timeout: '300ms' });
      dispatcher = await scenario.startDispatcher();
      await send(scenario, 0, contacts(10, KNOWN_ID));
      await scenario.settled();
    });
    afterAll(async () => {
      await scenario.close();
      await stub.stop();
    });

    for (const [index, [what, cause, bring, mend]] of FAULTS.entries()) {
      it(`waits while it ${what}, and delivers once it is well`, async () => {
        const newId = 100 + index;
        setSchema(newId);
        await bring();
        const failures = await lookups('failed');
        const waiting = await send(scenario, IN_NEED, contacts(10, newId));
        const known = await send(scenario, 1, contacts(10, KNOWN_ID));
        await waitFor(async () => (await lookups('failed')) >= failures + 2, {
          timeoutMs: TIMEOUT_MS,
          what: 'two failed lookups',
        });
        await arrived(scenario, known);
        const before = await receivedIds(scenario);
        expect(waiting.filter((id) => before.has(id))).toEqual([]);
        const lines = dispatcher.child.output().split('\n');
        expect(lines.filter((line) => line.includes('schema_lookup_failed')).at(-1)).toContain(cause);
        await mend();
        await arrived(scenario, waiting);
        await scenario.settled();
        await expectNothingBad(scenario);
      });
    }

    it('asks once for each id it gets an answer to', async () => {
      expect(await lookups('found')).toBe(1 + FAULTS.length);
    });

    it('takes records for invalid whose schema is none', async () => {
      stub.setSchema(200, { type: 'record', name: 'NoFields' });
      await send(scenario, 1, contacts(1, 200));
      await scenario.settled();
      const [event] = await readTopic(kafka, scenario.badEventTopic);
      expect(headerValues(event!, 'eventdispatch-reason')).toEqual(['unusable_schema']);
    });

    function setSchema(id: number): void {
      stub.setSchema(id, JSON.parse(versionsOf('contact.ContactCreated')[0]!.text) as object);
    }

    function contacts(count: number, schemaId: number): Sample[] {
      const [v1] = versionsOf('contact.ContactCreated');
      const samples = sampleRecords({
        count: count * 4,
        tenants: 3,
        types: ['contact.created'],
        seed: ++seed,
      });
      const ofV1 = samples.filter(({ value }) => value.readUInt32BE(1) === v1!.id).slice(0, count);
      return rewritten(ofV1, new Map([[v1!.id, schemaId]]));
    }

    function lookups(result: string): Promise<number> {
      return dispatcher.metric('eventdispatch_schema_lookups_total', { result });
    }
  });

  function openScenario(registry: object): Promise<Scenario> {
    return Scenario.open({
      kafka,
      partitions: 3,
      destinations: { crm: { recording: { body: 'text' } } },
      config: { schemas: { folder: null, registry } },
    });
  }

  /** @returns the `webhook-id`s that must arrive. */
  async function send(scenario: Scenario, partition: number, samples: readonly Sample[]): Promise<string[]> {
    await sender.send(
      scenario.topic,
      samples.map(({ key, value }) => ({ partition, key, value })),
    );
    return samples.map(({ tenant, eventId }) => deliveryId(tenant, eventId, 'crm'));
  }

  async function badEventCount(scenario: Scenario): Promise<number> {
    return (await kafka.endOffsets(scenario.badEventTopic)).reduce((sum, end) => sum + end, 0);
  }

  async function expectNothingBad(scenario: Scenario): Promise<void> {
    expect(await badEventCount(scenario)).toBe(0);
    const rows = await scenario.ledger.query(`SELECT reason FROM attempts WHERE outcome = 'invalid'`);
    expect(rows).toEqual([]);
  }
});

interface CloudEvent {
  readonly eventversion: string;
  readonly data: Readonly<Record<string, unknown>>;
}

function versionsOf(name: string): FolderSchema[] {
  return [...catalogue.values()].filter(({ subject }) => subject === `eventdispatch.${name}`);
}

/** The samples under other schema ids, in their own bytes. */
function rewritten(samples: Sample[], ids: ReadonlyMap<number, number>): Sample[] {
  for (const { value } of samples) value.writeUInt32BE(ids.get(value.readUInt32BE(1))!, 1);
  return samples;
}

async function receivedIds(scenario: Scenario): Promise<Set<string>> {
  return new Set((await scenario.receiver.requests('crm')).map((request) => request.webhookId));
}

async function arrived(scenario: Scenario, ids: readonly string[]): Promise<void> {
  await waitFor(
    async () => {
      const received = await receivedIds(scenario);
      return ids.every((id) => received.has(id));
    },
    { timeoutMs: TIMEOUT_MS, intervalMs: 50, what: `${ids.length} deliveries` },
  );
}
