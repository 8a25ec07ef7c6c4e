import type { TopicPartition, TopicPartitionOffset } from '../domain/record.ts';

/** What was committed for the pipeline's own group, by somebody who is no member of it. */
export interface PipelineOffsets {
  /** By partition; −1 where nothing was. */
  committed(topic: string, partitions: number): Promise<readonly number[]>;
  close(): Promise<void>;
}

/**
 * Where to begin with partitions that were never rekeyed: a topic that the pipeline
 * itself read until now goes on where its group stands, or everything that is still
 * there would be delivered again.
 *
 * @param group of rekeying.
 * @param openPipelineOffsets called only where its own group has committed nothing.
 * @returns of these partitions only, and only where the pipeline's group has an offset.
 * @throws Error when a broker does not answer.
 */
export async function startsOf(
  partitions: readonly TopicPartition[],
  group: {
    committed(partitions: readonly TopicPartition[]): Promise<readonly TopicPartitionOffset[]>;
  },
  openPipelineOffsets: () => Promise<PipelineOffsets>,
): Promise<TopicPartitionOffset[]> {
  if (partitions.length === 0) return [];
  const committed = await group.committed(partitions);
  const fresh = committed.filter(({ offset }) => offset < 0);
  if (fresh.length === 0) return [];
  const pipeline = await openPipelineOffsets();
  try {
    const starts: TopicPartitionOffset[] = [];
    for (const topic of new Set(fresh.map((place) => place.topic))) {
      const own = fresh.filter((place) => place.topic === topic);
      const most = Math.max(...own.map(({ partition }) => partition));
      const offsets = await pipeline.committed(topic, most + 1);
      for (const { partition } of own) {
        const offset = offsets[partition] ?? -1;
        if (offset >= 0) starts.push({ topic, partition, offset });
      }
    }
    return starts;
  } finally {
    await pipeline.close();
  }
}
