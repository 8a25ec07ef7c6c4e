import kafka from 'node-rdkafka';
import { UserError } from '../domain/errors.ts';

/** A Kafka that lives and dies with this process; `brokers` is `host:port` on loopback. */
export interface EmbeddedBroker {
  readonly brokers: string;
  close(): Promise<void>;
}

/**
 * Starts librdkafka's mock cluster: the real protocol on a loopback port, in
 * memory, 5 MB or 100,000 messages a partition, then the oldest go.
 */
export function startEmbeddedBroker(): Promise<EmbeddedBroker> {
  const host = new kafka.Producer({ 'test.mock.num.brokers': 1, log_level: 0 } as kafka.ProducerGlobalConfig);
  return new Promise((resolve, reject) => {
    host.connect({ timeout: 10_000 }, (error, metadata) => {
      const broker = metadata?.brokers[0];
      if ((error as kafka.LibrdKafkaError | null) !== null || broker === undefined) {
        reject(new UserError([`the embedded broker did not start: ${error?.message ?? 'no broker in its metadata'}`]));
        return;
      }
      resolve({
        brokers: `${broker.host}:${broker.port}`,
        close: () => new Promise((closed) => host.disconnect(() => { closed(); })),
      });
    });
  });
}
