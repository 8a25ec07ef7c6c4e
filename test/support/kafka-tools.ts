import { randomUUID } from 'node:crypto';

import {
  committedOffsets,
  createTopics,
  deleteRecords,
  deleteTopics,
  endOffsets,
  partitionLeaders,
  startOffsets,
} from './kafka-wire.ts';
import type { TopicToCreate } from './kafka-wire.ts';
import { waitFor } from './wait.ts';

/** What a test asks of a plain-text broker without librdkafka. Offsets come as arrays by partition number. */
export interface KafkaTools {
  /** `host:port` */
  readonly brokers: string;
  /** `prefix-` and random letters: a topic or group name that no other test has. */
  uniqueName(prefix: string): string;
  /** Creates topics and waits until each partition has its leader. */
  createTopics(topics: readonly TopicToCreate[]): Promise<void>;
  deleteTopics(names: readonly string[]): Promise<void>;
  /** Deletes the records below the offset given for each partition, as retention would. */
  deleteRecords(topic: string, beforeOffsets: ReadonlyMap<number, number>): Promise<void>;
  /** The offset the next record will get. */
  endOffsets(topic: string): Promise<number[]>;
  /** The first offset still there. */
  startOffsets(topic: string): Promise<number[]>;
  /** What the group has committed; -1 where nothing. */
  committedOffsets(group: string, topic: string): Promise<number[]>;
}

const LEADERS_TIMEOUT_MS = 10_000;

export function kafkaTools(brokers: string): KafkaTools {
  return {
    brokers,
    uniqueName: (prefix) => `${prefix}-${randomUUID().slice(0, 8)}`,
    createTopics: async (topics) => {
      await createTopics(brokers, topics);
      for (const topic of topics) {
        await waitFor(() => isServed(brokers, topic), {
          timeoutMs: LEADERS_TIMEOUT_MS,
          what: `the leaders of topic ${topic.name}`,
        });
      }
    },
    deleteTopics: (names) => deleteTopics(brokers, names),
    deleteRecords: (topic, beforeOffsets) => deleteRecords(brokers, topic, beforeOffsets),
    endOffsets: (topic) => endOffsets(brokers, topic),
    startOffsets: (topic) => startOffsets(brokers, topic),
    committedOffsets: (group, topic) => committedOffsets(brokers, group, topic),
  };
}

/**
 * Metadata names leaders a moment before the broker itself acts as one, which answering for its offsets shows.
 */
async function isServed(brokers: string, topic: TopicToCreate): Promise<boolean> {
  const leaders = await partitionLeaders(brokers, topic.name);
  if (leaders.length < topic.partitions || leaders.some((leader) => leader < 0)) return false;
  return endOffsets(brokers, topic.name).then(
    () => true,
    () => false,
  );
}
