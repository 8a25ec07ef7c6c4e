import type { OverflowConfig } from './config.ts';
import type { Report } from './problems.ts';
import type { Settings } from './schema.ts';

/**
 * Null also where a part is embedded: the embedded broker keeps too little, and an
 * embedded ledger is its process's own, so no other could drain into it.
 */
export function compileOverflow({ kafka, clickhouse }: Settings, report: Report): OverflowConfig | null {
  const { overflow } = clickhouse;
  if (overflow === null || kafka.brokers === undefined || clickhouse.url === undefined) return null;
  const { topic = `${kafka.groupId}.ledger-overflow`, afterRows, afterSize, afterAge, drainShare } = overflow;
  const at = ['clickhouse', 'overflow', 'topic'];
  const source = kafka.topics.find((name) =>
    name.startsWith('^') ? new RegExp(name).test(topic) : name === topic,
  );
  if (source !== undefined)
    report(at, `is not allowed: kafka.topics has ${source}, which would read it back`);
  for (const key of ['deadLetterTopic', 'badEventTopic'] as const) {
    if (kafka[key] === topic) report(at, `is not allowed: ${topic} is kafka.${key}`);
  }
  return {
    topic,
    groupId: `${kafka.groupId}.overflow`,
    afterRows,
    afterBytes: afterSize,
    afterAgeMs: afterAge,
    drainShare,
  };
}
