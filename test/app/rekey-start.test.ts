/**
 * Proves that a topic which the pipeline read itself until now goes on where it was, and
 * that whatever rekeying has settled since counts alone.
 */
import { expect, test } from 'vitest';
import { startsOf, type PipelineOffsets } from '../../src/app/rekey-start.ts';
import type { TopicPartition, TopicPartitionOffset } from '../../src/domain/record.ts';

type Offsets = Readonly<Record<string, readonly number[]>>;

class Cluster {
  opened = 0;
  closed = 0;
  readonly #rekeyed: Offsets;
  readonly #pipeline: Offsets;

  constructor(rekeyed: Offsets, pipeline: Offsets) {
    this.#rekeyed = rekeyed;
    this.#pipeline = pipeline;
  }

  starts(partitions: readonly TopicPartition[]): Promise<TopicPartitionOffset[]> {
    const committed = (asked: readonly TopicPartition[]): Promise<TopicPartitionOffset[]> =>
      Promise.resolve(
        asked.map((place) => ({ ...place, offset: this.#rekeyed[place.topic]?.[place.partition] ?? -1 })),
      );
    return startsOf(partitions, { committed }, () => this.#open());
  }

  #open(): Promise<PipelineOffsets> {
    this.opened++;
    return Promise.resolve({
      committed: (topic, partitions) => {
        const offsets = this.#pipeline[topic];
        if (offsets === undefined) return Promise.reject(new Error('no answer'));
        return Promise.resolve(Array.from({ length: partitions }, (_, i) => offsets[i] ?? -1));
      },
      close: () => {
        this.closed++;
        return Promise.resolve();
      },
    });
  }
}

const places = (topic: string, ...partitions: number[]): TopicPartition[] =>
  partitions.map((partition) => ({ topic, partition }));

test('partitions that were never rekeyed begin where the pipeline stands', async () => {
  const cluster = new Cluster({}, { orders: [10, -1, 30], invoices: [0] });
  expect(await cluster.starts([...places('orders', 0, 1, 2), ...places('invoices', 0)])).toEqual([
    { topic: 'orders', partition: 0, offset: 10 },
    { topic: 'orders', partition: 2, offset: 30 },
    { topic: 'invoices', partition: 0, offset: 0 },
  ]);
  expect(cluster).toMatchObject({ opened: 1, closed: 1 });
});

test('one that was rekeyed goes on where that stands', async () => {
  const cluster = new Cluster({ orders: [5, -1] }, { orders: [10, 20] });
  expect(await cluster.starts(places('orders', 0, 1))).toEqual([
    { topic: 'orders', partition: 1, offset: 20 },
  ]);
});

test('nobody is asked where all of them were, or none is given', async () => {
  const cluster = new Cluster({ orders: [5, 0] }, {});
  expect(await cluster.starts(places('orders', 0, 1))).toEqual([]);
  expect(await cluster.starts([])).toEqual([]);
  expect(cluster.opened).toBe(0);
});

test('an offset that nobody can tell is no reason to begin elsewhere', async () => {
  const cluster = new Cluster({}, {});
  await expect(cluster.starts(places('orders', 0))).rejects.toThrow('no answer');
  expect(cluster.closed).toBe(1);
});
