import type { DelayTopicsConfig } from '../config/config.ts';
import { delayTopicName } from '../domain/delay-topic.ts';

/** Each delay topic's delay in milliseconds, shortest first. */
export type DelayTopics = ReadonlyMap<string, number>;

export function delayTopicsOf({ topicPrefix, delaysMs }: DelayTopicsConfig): DelayTopics {
  return new Map(delaysMs.map((delayMs) => [delayTopicName(topicPrefix, delayMs), delayMs]));
}
