import type { DelayTopicsConfig } from '../config/config.ts';
import { topicOf } from './delay-choice.ts';

/** Each delay topic's delay in milliseconds, shortest first. */
export type DelayTopics = ReadonlyMap<string, number>;

export function delayTopicsOf({ topicPrefix, delaysMs }: DelayTopicsConfig): DelayTopics {
  return new Map(delaysMs.map((delayMs) => [topicOf(topicPrefix, delayMs), delayMs]));
}
