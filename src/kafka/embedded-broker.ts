import kafka from 'node-rdkafka';
import { UserError } from '../domain/errors.ts';

/** A Kafka that lives and dies with this process; `brokers` is `host:port` on loopback. */
export interface EmbeddedBroker {
  readonly brokers: string;
  readonly close: () => Promise<void>;
}

const METADATA_TIMEOUT_MS = 10_000;

/**
 * Starts librdkafka's mock cluster: the real protocol on a loopback port, in
 * memory, 5 MB or 100,000 messages a partition, then the oldest go.
 *
 * @param topics made at once, with 4 partitions each: it knows no CreateTopics, and a
 *   group that subscribes to a topic before it is there does not hear of it.
 */
export async function startEmbeddedBroker(topics: readonly string[] = []): Promise<EmbeddedBroker> {
  const { host, brokers } = await startHost();
  for (const topic of topics) await makeTopic(host, topic);
  return {
    brokers,
    close: () =>
      new Promise((closed) => {
        host.disconnect(() => {
          closed();
        });
      }),
  };
}

function startHost(): Promise<{ host: kafka.Producer; brokers: string }> {
  const host = new kafka.Producer({ 'test.mock.num.brokers': 1, log_level: 0 } as kafka.ProducerGlobalConfig);
  return new Promise((resolve, reject) => {
    host.connect(
      { timeout: METADATA_TIMEOUT_MS },
      (error: kafka.LibrdKafkaError | null, metadata: kafka.Metadata | undefined) => {
        const broker = metadata?.brokers[0];
        if (error || broker === undefined) {
          reject(
            new UserError([
              `the embedded broker did not start: ${error?.message ?? 'no broker in its metadata'}`,
            ]),
          );
          return;
        }
        resolve({ host, brokers: `${broker.host}:${broker.port}` });
      },
    );
  });
}

/** Asking for a topic's metadata makes it. */
function makeTopic(host: kafka.Producer, topic: string): Promise<void> {
  return new Promise((resolve, reject) => {
    host.getMetadata({ topic, timeout: METADATA_TIMEOUT_MS }, (error: kafka.LibrdKafkaError | null) => {
      if (error) reject(new UserError([`the embedded broker did not make topic ${topic}: ${error.message}`]));
      else resolve();
    });
  });
}
