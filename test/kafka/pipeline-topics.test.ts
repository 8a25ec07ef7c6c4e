/**
 * Proves that a pipeline starts only on delay topics that fit its sources: partition i
 * of all of them must belong to one process, and no setting of a cluster may end a
 * retry before its time.
 */
import { describe, expect, test } from 'vitest';
import { UserError } from '../../src/domain/errors.ts';
import {
  ensurePipelineTopics,
  type PipelineTopics,
  type TopicAdmin,
  type WantedRekey,
} from '../../src/kafka/pipeline-topics.ts';

class Cluster implements TopicAdmin {
  readonly topics: Map<string, number>;
  readonly settings = new Map<string, Readonly<Record<string, string>>>();
  readonly calls: string[] = [];
  waitedMs = 0;
  knowsCreate = true;
  refusal: string | null = null;
  /** Called at each pause. */
  onPause: () => void = () => undefined;
  /** Topics made are listed only from this time on. */
  visibleAfterMs = 0;
  readonly #made = new Map<string, number>();

  constructor(topics: Readonly<Record<string, number>>) {
    this.topics = new Map(Object.entries(topics));
  }

  list(): Promise<ReadonlyMap<string, number>> {
    return Promise.resolve(
      new Map([...this.topics, ...(this.waitedMs >= this.visibleAfterMs ? this.#made : [])]),
    );
  }

  create(topic: string, partitions: number, settings: Readonly<Record<string, string>>): Promise<boolean> {
    this.calls.push(`create ${topic} ${partitions}`);
    if (this.refusal !== null) return Promise.reject(new Error(this.refusal));
    if (!this.knowsCreate) return Promise.resolve(false);
    this.#made.set(topic, partitions);
    this.settings.set(topic, settings);
    return Promise.resolve(true);
  }

  ask(topic: string): Promise<void> {
    this.calls.push(`ask ${topic}`);
    this.#made.set(topic, 4);
    return Promise.resolve();
  }

  pause(delayMs: number): Promise<void> {
    this.waitedMs += delayMs;
    this.onPause();
    return Promise.resolve();
  }
}

const DELAYS = new Map([
  ['retry.1s', 1_000],
  ['retry.1d', 86_400_000],
]);

function ensure(cluster: Cluster, sources: readonly string[] = ['events']): Promise<PipelineTopics> {
  return ensurePipelineTopics(cluster, { sources, delays: DELAYS, others: ['dead', 'bad'] }, 1_234);
}

async function problems(promise: Promise<unknown>): Promise<readonly string[]> {
  const error: unknown = await promise.then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(UserError);
  return (error as UserError).problems;
}

describe('what is not there', () => {
  test('is made with as many partitions as the source has', async () => {
    const cluster = new Cluster({ events: 6 });
    expect(await ensure(cluster)).toEqual({
      partitions: 6,
      rekeyedPartitions: null,
      created: ['retry.1s', 'retry.1d', 'dead', 'bad'],
      unequal: [],
      missing: [],
    });
    expect(Object.fromEntries(await cluster.list())).toEqual({
      events: 6,
      'retry.1s': 6,
      'retry.1d': 6,
      dead: 6,
      bad: 6,
    });
  });

  test('as a delay topic keeps its records beyond their delay, whatever the cluster’s default is', async () => {
    const cluster = new Cluster({ events: 6 });
    await ensure(cluster);
    expect(cluster.settings.get('retry.1d')).toEqual({
      'cleanup.policy': 'delete',
      'retention.ms': String(15 * 86_400_000),
      'retention.bytes': '-1',
      'max.message.bytes': '1234',
    });
    expect(cluster.settings.get('dead')).toEqual({});
  });

  test('as the overflow of the ledger loses nothing either, and may have any number of partitions', async () => {
    const cluster = new Cluster({ events: 6, 'retry.1s': 6, 'retry.1d': 6, dead: 1, bad: 1 });
    const wanted = { sources: ['events'], delays: DELAYS, others: ['dead', 'bad'], kept: ['overflow'] };
    expect((await ensurePipelineTopics(cluster, wanted, 1_234)).created).toEqual(['overflow']);
    expect(cluster.settings.get('overflow')).toEqual({
      'cleanup.policy': 'delete',
      'retention.ms': String(14 * 86_400_000),
      'retention.bytes': '-1',
      'max.message.bytes': '1234',
    });
    cluster.topics.set('overflow', 1);
    expect((await ensurePipelineTopics(cluster, wanted, 1_234)).created).toEqual([]);
  });

  test('is waited for until it is seen', async () => {
    const cluster = new Cluster({ events: 2 });
    cluster.visibleAfterMs = 3_000;
    await ensure(cluster);
    expect(cluster.waitedMs).toBe(3_000);
  });

  test('and is refused, is told by name with what to do', async () => {
    const cluster = new Cluster({ events: 2 });
    cluster.refusal = 'Broker: Topic authorization failed';
    expect(await problems(ensure(cluster))).toEqual([
      'topic retry.1s is not there and could not be made: Broker: Topic authorization failed; create it with 2 partitions',
    ]);
  });

  test('is asked for by name where the cluster knows no CreateTopics, which is found out once', async () => {
    const cluster = new Cluster({ events: 4 });
    cluster.knowsCreate = false;
    await ensure(cluster);
    expect(cluster.calls).toEqual([
      'create retry.1s 4',
      'ask retry.1s',
      'ask retry.1d',
      'ask dead',
      'ask bad',
    ]);
  });

  test('and never comes, ends the start after a bounded time', async () => {
    const cluster = new Cluster({ events: 2, dead: 1, bad: 1, 'retry.1s': 2 });
    cluster.visibleAfterMs = Infinity;
    expect(await problems(ensure(cluster))).toEqual([
      'topic retry.1d could not be made; create it with 2 partitions',
    ]);
    expect(cluster.waitedMs).toBeLessThanOrEqual(60_000);
  });
});

test('nothing is made where everything is there; dead letters may have any number of partitions', async () => {
  const cluster = new Cluster({ events: 3, 'retry.1s': 3, 'retry.1d': 3, dead: 1, bad: 9 });
  expect((await ensure(cluster)).created).toEqual([]);
  expect(cluster.calls).toEqual([]);
});

test('a delay topic with another number of partitions is refused, each by name', async () => {
  const cluster = new Cluster({ events: 3, 'retry.1s': 2, 'retry.1d': 6, dead: 1, bad: 1 });
  expect(await problems(ensure(cluster))).toEqual([
    'delay topic retry.1s has 2 partitions and needs 3, as kafka.topics has; make them equal, or set another retry.topicPrefix',
    'delay topic retry.1d has 6 partitions and needs 3, as kafka.topics has; make them equal, or set another retry.topicPrefix',
  ]);
});

describe('source topics', () => {
  test('of unequal counts are told, and the largest counts', async () => {
    const cluster = new Cluster({ a: 3, b: 8 });
    expect(await ensure(cluster, ['a', 'b', 'c'])).toMatchObject({
      partitions: 8,
      unequal: [
        ['a', 3],
        ['b', 8],
      ],
      missing: ['c'],
    });
  });

  test('of a pattern are those that match at the start', async () => {
    const cluster = new Cluster({ 'events.a': 5, 'events.b': 5, other: 7 });
    expect(await ensure(cluster, ['^events[.]'])).toMatchObject({ partitions: 5, unequal: [], missing: [] });
  });

  test('that come a moment later are waited for', async () => {
    const cluster = new Cluster({});
    cluster.onPause = () => {
      if (cluster.waitedMs >= 2_000) cluster.topics.set('events', 2);
    };
    expect((await ensure(cluster)).partitions).toBe(2);
  });

  test('of which there is none end the start after a bounded time', async () => {
    const cluster = new Cluster({ other: 1 });
    expect(await problems(ensure(cluster))).toEqual([
      'kafka.topics: none of events is there; create it first, since the delay topics get as many partitions',
    ]);
    expect(cluster.waitedMs).toBeLessThanOrEqual(30_000);
  });
});

test('a cluster that does not answer is told in one line', async () => {
  const cluster = new Cluster({});
  cluster.list = () => Promise.reject(new Error('Local: Broker transport failure'));
  expect(await problems(ensure(cluster))).toEqual([
    'kafka.brokers: the topics could not be listed: Local: Broker transport failure',
  ]);
});

describe('the topic keyed by tenant', () => {
  const rekey = { topics: ['orders'], topic: 'rekeyed', partitions: null };
  const ensureRekeyed = (
    cluster: Cluster,
    sources: readonly string[],
    change: Partial<WantedRekey> = {},
  ): Promise<PipelineTopics> =>
    ensurePipelineTopics(
      cluster,
      { sources, rekey: { ...rekey, ...change }, delays: DELAYS, others: [] },
      1_234,
    );

  test('is made with as many partitions as the pipeline’s other topics have, and keeps what is in it', async () => {
    const cluster = new Cluster({ events: 6, orders: 3 });
    expect(await ensureRekeyed(cluster, ['events'])).toEqual({
      partitions: 6,
      rekeyedPartitions: 6,
      created: ['retry.1s', 'retry.1d', 'rekeyed'],
      unequal: [],
      missing: [],
    });
    expect((await cluster.list()).get('rekeyed')).toBe(6);
    expect(cluster.settings.get('rekeyed')).toEqual({
      'cleanup.policy': 'delete',
      'retention.ms': String(14 * 86_400_000),
      'retention.bytes': '-1',
      'max.message.bytes': '1234',
    });
  });

  test.each([
    ['where there is no other topic, as the topics it is made of', { orders: 3 }, {}, 3],
    ['or as it has itself', { orders: 3, rekeyed: 9 }, {}, 9],
    ['or as is said', { orders: 3 }, { partitions: 5 }, 5],
  ] as const)('%s', async (_, topics, change, partitions) => {
    const cluster = new Cluster(topics);
    expect(await ensureRekeyed(cluster, [], change)).toMatchObject({
      partitions,
      rekeyedPartitions: partitions,
    });
    expect((await cluster.list()).get('retry.1s')).toBe(partitions);
  });

  test('with another number of partitions is refused by name', async () => {
    const cluster = new Cluster({ events: 6, orders: 3, rekeyed: 4 });
    expect(await problems(ensureRekeyed(cluster, ['events']))).toEqual([
      'kafka.rekey: topic rekeyed has 4 partitions and needs 6; make them equal, or set kafka.rekey.partitions or another kafka.rekey.topic',
    ]);
  });

  test('of other partitions than the sources by choice is told, and delay topics have the most', async () => {
    const cluster = new Cluster({ events: 6, orders: 3 });
    expect(await ensureRekeyed(cluster, ['events'], { partitions: 8 })).toMatchObject({
      partitions: 8,
      unequal: [
        ['events', 6],
        ['rekeyed', 8],
      ],
    });
  });

  test('is not counted twice, nor a topic of another number that goes through it', async () => {
    const cluster = new Cluster({ events: 6, orders: 3, rekeyed: 6 });
    expect(await ensureRekeyed(cluster, ['events'])).toMatchObject({ partitions: 6, unequal: [] });
  });

  test('without a topic to make it of is told', async () => {
    expect(await ensureRekeyed(new Cluster({ events: 6 }), ['events'])).toMatchObject({
      missing: ['orders'],
    });
    expect(await problems(ensureRekeyed(new Cluster({}), []))).toEqual([
      'kafka.rekey.topics: none of orders is there; create it first, since the delay topics get as many partitions',
    ]);
  });
});
