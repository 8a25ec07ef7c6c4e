import { delayTopicName } from '../domain/delay-topic.ts';
import type { DelayTopicsConfig } from './config.ts';
import type { Report } from './problems.ts';
import type { Settings } from './schema.ts';

export function compileDelayTopics({ kafka, retry }: Settings, report: Report): DelayTopicsConfig {
  const { topicPrefix = `${kafka.groupId}.retry`, delays } = retry;
  const names = delays.map((delayMs) => delayTopicName(topicPrefix, delayMs));
  const at = ['retry', 'topicPrefix'];
  for (const source of kafka.topics) {
    const own = names.find((name) =>
      source.startsWith('^') ? new RegExp(source).test(name) : source === name,
    );
    // As a source it would be read without its wait.
    if (own !== undefined) report(at, `is not allowed: kafka.topics has ${source}, which would read ${own}`);
  }
  for (const key of ['deadLetterTopic', 'badEventTopic'] as const) {
    if (names.includes(kafka[key])) {
      report(at, `is not allowed: the delay topic ${kafka[key]} is kafka.${key}`);
    }
  }
  return { topicPrefix, delaysMs: delays };
}
