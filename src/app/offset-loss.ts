import { UserError } from '../domain/errors.ts';
import type { TopicPartitionOffset } from '../domain/record.ts';

const WATERMARKS_TIMEOUT_MS = 5_000;

/** Where a partition begins and ends on the broker now. */
export interface Watermarks {
  readonly low: number;
  /** Of the next record that will be written. */
  readonly high: number;
}

export interface OffsetLossParts {
  readonly consumer: {
    watermarks(topic: string, partition: number, timeoutMs: number): Promise<Watermarks>;
  };
  readonly groupId: string;
  /** What to do about it: `kafka.lostRecords`. */
  readonly policy: 'stop' | 'skip';
  /** Told of each partition that goes on elsewhere than where the group was. */
  onSkipped(problem: string): void;
}

/**
 * Whether what the group has not read yet is still there. Retention may have deleted
 * it, or the topic may have been made anew; librdkafka would go on with the oldest
 * record that there is, and nobody would hear of those between.
 *
 * @param committed offsets of the group, −1 where it has none, which is the beginning of a group and no loss.
 * @throws UserError when records are lost and the policy is `stop`.
 * @throws Error when the broker does not answer.
 */
export async function checkOffsetLoss(
  { consumer, groupId, policy, ...told }: OffsetLossParts,
  committed: readonly TopicPartitionOffset[],
): Promise<void> {
  const known = committed.filter(({ offset }) => offset >= 0);
  const problems = await Promise.all(
    known.map(async (place) => {
      const { topic, partition } = place;
      return lossOf(place, groupId, await consumer.watermarks(topic, partition, WATERMARKS_TIMEOUT_MS));
    }),
  );
  const losses = problems.filter((problem) => problem !== null);
  if (losses.length === 0) return;
  if (policy === 'skip') for (const loss of losses) told.onSkipped(loss);
  else {
    const remedy =
      'set kafka.lostRecords to skip to go on with the oldest records there are, or set the group’s offsets yourself';
    throw new UserError(losses.map((problem) => `${problem}; ${remedy}`));
  }
}

function lossOf(
  { topic, partition, offset }: TopicPartitionOffset,
  groupId: string,
  { low, high }: Watermarks,
): string | null {
  const where = `group ${groupId} stands at offset ${offset} of ${topic}[${partition}]`;
  if (offset < low) return `${where}, which begins at ${low} now: records were deleted before they were read`;
  if (offset > high) return `${where}, which ends at ${high}: the topic was made anew, or lost records`;
  return null;
}
