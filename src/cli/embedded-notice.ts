import type { Config } from '../config/config.ts';

/** What "embedded" means for this configuration, in plain lines; none when both systems are real ones. */
export function embeddedNotice({ kafka, clickhouse }: Pick<Config, 'kafka' | 'clickhouse'>): string[] {
  const lines: string[] = [];
  if (kafka.brokers === null) {
    lines.push(
      'Kafka: embedded, as kafka.brokers is not set. An in-memory mock broker inside this process; it keeps the latest 5 MB of each partition, and nothing survives the process.',
    );
  }
  if (clickhouse.url === null) {
    const place =
      clickhouse.embeddedPath === null
        ? 'The ledger is in a temporary folder that is removed on exit.'
        : `The ledger is in ${clickhouse.embeddedPath}, for one process at a time.`;
    lines.push(
      `ClickHouse: embedded, as clickhouse.url is not set. The engine runs inside this process. ${place}`,
    );
  }
  return lines;
}
