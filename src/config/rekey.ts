import { delayTopicName } from '../domain/delay-topic.ts';
import type { RekeyConfig } from './config.ts';
import type { Report } from './problems.ts';
import type { Settings } from './schema.ts';

/** Kafka's own rule, for the name that a group's makes. */
const TOPIC_NAME = /^[A-Za-z0-9._-]{1,249}$/;

export function compileRekey(settings: Settings, report: Report): RekeyConfig | null {
  const { kafka } = settings;
  if (kafka.rekey === undefined) return null;
  const { topics = [], topic = `${kafka.groupId}.rekeyed`, partitions = null } = kafka.rekey;
  const own = ownTopics(settings);
  const reportTopics = (text: string): void => {
    report(['kafka', 'rekey', 'topics'], text);
  };
  const reportTopic = (text: string): void => {
    report(['kafka', 'rekey', 'topic'], text);
  };
  if (kafka.rekey.topics?.length === 0) reportTopics('is not allowed; allowed: at least one topic');
  for (const source of topics) {
    const reader = readerOf(source, kafka.topics);
    // Each of its events would be delivered twice.
    if (reader !== undefined)
      reportTopics(`is not allowed: kafka.topics has ${reader}, which reads ${source} as it is`);
    const key = own.get(source);
    if (key !== undefined) reportTopics(`is not allowed: ${source} is ${key}`);
  }
  if (!TOPIC_NAME.test(topic)) reportTopic(`is required: ${topic}, by kafka.groupId, is no topic name`);
  if (topics.includes(topic)) reportTopic(`is not allowed: kafka.rekey.topics has ${topic}`);
  const reader = readerOf(topic, kafka.topics);
  if (reader !== undefined)
    reportTopic(`is not allowed: kafka.topics has ${reader}; ${topic} is read without that`);
  const key = own.get(topic);
  if (key !== undefined) reportTopic(`is not allowed: ${topic} is ${key}`);
  return { topics, topic, partitions };
}

/** What EventDispatch writes to and reads back in its own way, with the key that names it. */
function ownTopics({ kafka, retry, clickhouse: { overflow } }: Settings): Map<string, string> {
  const { topicPrefix = `${kafka.groupId}.retry`, delays } = retry;
  return new Map([
    [kafka.deadLetterTopic, 'kafka.deadLetterTopic'],
    [kafka.badEventTopic, 'kafka.badEventTopic'],
    [overflow?.topic ?? `${kafka.groupId}.ledger-overflow`, 'clickhouse.overflow.topic'],
    ...delays.map((delayMs): [string, string] => [delayTopicName(topicPrefix, delayMs), 'a delay topic']),
  ]);
}

function readerOf(topic: string, sources: readonly string[]): string | undefined {
  return sources.find((source) =>
    source.startsWith('^') ? new RegExp(source).test(topic) : source === topic,
  );
}
