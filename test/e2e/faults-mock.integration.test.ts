/**
 * Faults K3 and K4, on librdkafka's mock cluster of three brokers: a healthy Kafka refuses no commit of its owner, and
 * the one real node of the other tests can't lose a leader.
 *
 * Not caused: an illegal generation, which belongs to the classic protocol. Under the new one no broker answers it, and
 * librdkafka 2.12 then leaves the group for good (it sets the member epoch to that of a member that leaves).
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { DispatcherProcess } from '../support/dispatcher.ts';
import { KAFKA_ERRORS, OFFSET_COMMIT, startMockKafka, type MockKafka } from '../support/mock-kafka.ts';
import { waitFor } from '../support/wait.ts';
import { deliveryId } from '../../src/domain/ids.ts';
import { sampleRecords } from './sample-records.ts';
import { Scenario } from './scenario.ts';
import { Sender } from './sender.ts';

const PARTITIONS = 4;
const TIMEOUT_MS = 60_000;
const TYPE = 'contact.created';

describe('a cluster that does as it is told', () => {
  let mock: MockKafka;

  beforeAll(async () => {
    mock = await startMockKafka();
  });
  afterAll(() => mock.stop());

  describe('K3: leaders move, and one is missing for a while', () => {
    const ROUNDS = 6;
    const EVENTS_A_ROUND = 300;
    const MISSING_MS = 2_000;
    let scenario: Scenario;
    let dispatcher: DispatcherProcess;
    let expected: Set<string>;

    beforeAll(async () => {
      scenario = await open();
      // Half of the first attempts fail, so that hand-overs go on while leaders move.
      await scenario.receiver.setBehaviour('crm', { failPercent: 30 });
      dispatcher = await scenario.startDispatcher();
      await assigned(dispatcher, scenario);
      expected = new Set();
      for (let round = 0; round < ROUNDS; round++) {
        const sending = send(scenario, EVENTS_A_ROUND, round + 1);
        await move(round % 2 === 0 ? 3 : 1);
        for (const id of await sending) expected.add(id);
      }
      await sleep(MISSING_MS);
      await lead(1, 1);
      await scenario.settled();
    });
    afterAll(() => scenario.close());

    it('delivers everything, and no offset jumps', async () => {
      expect(await lacking(scenario, expected)).toEqual([]);
      const rows = await scenario.ledger.query<{ attempts: number[] }>(
        `SELECT arraySort(groupArray(attempt)) AS attempts FROM attempts GROUP BY delivery_id`,
      );
      expect(rows).toHaveLength(expected.size);
    });

    it('repeats nothing that was delivered', async () => {
      expect(await repeatedSuccesses(scenario)).toBe(0);
    });

    it('goes on without a rebalance or a restart, and drains', async () => {
      expect(dispatcher.child.output()).not.toContain('"event":"partitions_revoked"');
      expect(await dispatcher.stop(), dispatcher.child.output()).toEqual({ code: 0, signal: null });
    });

    /** Partition 0 of each topic goes to a broker that is down for a while, the others to one that is up. */
    async function move(to: 1 | 3): Promise<void> {
      await mock.setUp(2, false);
      await lead(to, 2);
      await sleep(MISSING_MS);
      await mock.setUp(2, true);
    }

    async function lead(others: number, first: number): Promise<void> {
      for (const topic of [scenario.topic, ...scenario.delayTopics]) {
        for (let partition = 0; partition < PARTITIONS; partition++)
          await mock.setLeader(topic, partition, partition === 0 ? first : others);
      }
    }
  });

  describe('K4: commits are refused', () => {
    const ROUNDS = 8;
    const EVENTS_A_ROUND = 200;
    const EACH = 3;
    let scenario: Scenario;
    let dispatcher: DispatcherProcess;
    let expected: Set<string>;
    const seen: number[][] = [];
    let refused = 0;

    beforeAll(async () => {
      scenario = await open();
      dispatcher = await scenario.startDispatcher();
      await assigned(dispatcher, scenario);
      expected = new Set();
      const errors = Object.values(KAFKA_ERRORS);
      for (let round = 0; round < ROUNDS; round++) {
        const error = errors[round % errors.length]!;
        await mock.failNext(OFFSET_COMMIT, Array<number>(EACH).fill(error));
        for (const id of await send(scenario, EVENTS_A_ROUND, round + 1)) expected.add(id);
        for (let look = 0; look < 10; look++) {
          seen.push(await mock.tools.committedOffsets(scenario.group, scenario.topic));
          await sleep(50);
        }
      }
      await scenario.settled();
      refused = await dispatcher.metric('eventdispatch_commits_total', { result: 'failed' });
    });
    afterAll(() => scenario.close());

    it('commits again what was refused, to the end, and never lower', async () => {
      console.info(`${refused} commits were refused to the program; librdkafka repeats some by itself`);
      expect(refused).toBeGreaterThan(0);
      for (const [index, offsets] of seen.entries())
        for (const [partition, offset] of offsets.entries())
          expect(offset).toBeGreaterThanOrEqual(seen[index - 1]?.[partition] ?? -1);
      expect(await mock.tools.committedOffsets(scenario.group, scenario.topic)).toEqual(
        await mock.tools.endOffsets(scenario.topic),
      );
    });

    it('delivers everything, once', async () => {
      expect(await lacking(scenario, expected)).toEqual([]);
      expect(await repeatedSuccesses(scenario)).toBe(0);
    });

    it('drains', async () => {
      expect(await dispatcher.stop(), dispatcher.child.output()).toEqual({ code: 0, signal: null });
    });
  });

  async function open(): Promise<Scenario> {
    const scenario = await Scenario.open({
      kafka: mock.tools,
      partitions: PARTITIONS,
      destinations: {
        crm: {
          settings: {
            breaker: 'off',
            retry: { maxAttempts: 30, initialDelay: '300ms', maxDelay: '1s' },
          },
        },
      },
    });
    // It knows no CreateTopics.
    await mock.tools.createTopics(scenario.delayTopics.map((name) => ({ name, partitions: PARTITIONS })));
    await mock.setCoordinator(scenario.group, 1);
    return scenario;
  }

  /** @returns ids of the deliveries that this makes. */
  async function send(scenario: Scenario, count: number, seed: number): Promise<string[]> {
    const samples = sampleRecords({ count, tenants: 10, types: [TYPE], seed });
    const sender = await Sender.open(mock.brokers);
    await sender.send(
      scenario.topic,
      samples.map(({ key, value }) => ({ partition: null, key, value })),
    );
    await sender.close();
    return samples.map(({ tenant, eventId }) => deliveryId(tenant, eventId, 'crm'));
  }
});

async function assigned(dispatcher: DispatcherProcess, scenario: Scenario): Promise<void> {
  const partitions = PARTITIONS * (1 + scenario.delayTopics.length);
  await waitFor(async () => (await dispatcher.metric('eventdispatch_partitions_assigned')) === partitions, {
    timeoutMs: TIMEOUT_MS,
    what: () => `${partitions} partitions\n${dispatcher.child.output()}`,
  });
}

async function successes(scenario: Scenario): Promise<string[]> {
  const requests = await scenario.receiver.requests('crm');
  return requests.filter(({ status }) => status === 200).map(({ webhookId }) => webhookId);
}

async function lacking(scenario: Scenario, expected: ReadonlySet<string>): Promise<string[]> {
  const delivered = new Set(await successes(scenario));
  return [...expected].filter((id) => !delivered.has(id)).slice(0, 5);
}

async function repeatedSuccesses(scenario: Scenario): Promise<number> {
  const ids = await successes(scenario);
  return ids.length - new Set(ids).size;
}
