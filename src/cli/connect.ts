import type { ClickHouseConfig, Config } from '../config/config.ts';
import { messageOf, UserError } from '../domain/errors.ts';
import type { TopicReader } from '../kafka/topic-reader.ts';
import type { Ledger } from '../ledger/client.ts';

/** What the dispatchers' process shares with a command of another process. */
export interface Connected {
  readonly brokers: string;
  readonly reader: TopicReader;
  readonly ledger: Ledger;
  readonly close: () => Promise<void>;
}

/**
 * Kafka and the ledger, opened for one command.
 * @param without what there is not without a broker: `no dead letters to read`.
 * @throws UserError when the configuration names no system that is there without a
 *   dispatcher's process, or the ledger is not usable.
 */
export async function openConnected({ kafka, clickhouse }: Config, without: string): Promise<Connected> {
  const { brokers } = kafka;
  if (brokers === null)
    throw new UserError([
      `${without}: kafka.brokers is not set, and the embedded broker is only inside a running \`start\``,
    ]);
  const ledger = await openUsableLedger(clickhouse, 'read', 'SELECT retry_topic FROM attempts LIMIT 0');
  try {
    // Loaded only now, so that a wrong option is told without native modules.
    const [{ TopicReader }, { consumerProperties }] = await Promise.all([
      import('../kafka/topic-reader.ts'),
      import('../kafka/properties.ts'),
    ]);
    const reader = await TopicReader.open(consumerProperties(kafka, brokers));
    return {
      brokers,
      reader,
      ledger,
      close: async () => {
        await reader.close();
        await ledger.close();
      },
    };
  } catch (error) {
    await ledger.close();
    throw error;
  }
}

/**
 * @param use what somebody wants of it, as a verb.
 * @param probe a query that fails on a ledger without what the command needs.
 * @throws UserError when there is none outside of a dispatcher's process, it does not answer, or `probe` fails.
 */
export async function openUsableLedger(
  clickhouse: ClickHouseConfig,
  use: string,
  probe: string,
): Promise<Ledger> {
  if (clickhouse.url === null && clickhouse.embeddedPath === null)
    throw new UserError([
      `no ledger to ${use}: set clickhouse.url (or clickhouse.embeddedPath, for when no dispatcher has it open); without both the ledger is only inside a running \`start\``,
    ]);
  const { openLedger } = await import('../ledger/client.ts');
  const ledger = await openLedger(clickhouse);
  try {
    await ledger.query(probe);
    return ledger;
  } catch (error) {
    await ledger.close();
    throw new UserError([
      `ledger ${ledger.database}: ${messageOf(error).replace(/\s+/g, ' ')} (\`eventdispatch migrate\` makes its tables, or brings them up to date)`,
    ]);
  }
}
