import kafka from 'node-rdkafka';
import type { KafkaProducer } from './producer.ts';
import type { TopicAdmin } from './pipeline-topics.ts';

const TOPIC_ALREADY_EXISTS = 36;
/** What librdkafka says when a cluster knows no CreateTopics, as its own mock; a slow one looks the same. */
const NO_ANSWER: ReadonlySet<number> = new Set([-185, -165]);
const METADATA_TIMEOUT_MS = 10_000;
const CREATE_TIMEOUT_MS = 5_000;
/** The cluster's own default (Kafka 2.4 and later). */
const DEFAULT_REPLICATION = -1;

/** A cluster's topics over node-rdkafka; a producer lists them, since its AdminClient can only make them. */
export class KafkaTopicAdmin implements TopicAdmin {
  readonly #producer: Pick<KafkaProducer, 'topics' | 'ask'>;
  readonly #properties: Readonly<Record<string, string | number | boolean>>;
  #client: kafka.IAdminClient | null = null;

  constructor(
    producer: Pick<KafkaProducer, 'topics' | 'ask'>,
    properties: Readonly<Record<string, string | number | boolean>>,
  ) {
    this.#producer = producer;
    this.#properties = properties;
  }

  list(): Promise<ReadonlyMap<string, number>> {
    return this.#producer.topics(METADATA_TIMEOUT_MS);
  }

  ask(topic: string): Promise<void> {
    return this.#producer.ask(topic, METADATA_TIMEOUT_MS);
  }

  pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, delayMs));
  }

  create(topic: string, partitions: number, settings: Readonly<Record<string, string>>): Promise<boolean> {
    this.#client ??= kafka.AdminClient.create({ ...this.#properties });
    const client = this.#client;
    const wanted = {
      topic,
      num_partitions: partitions,
      replication_factor: DEFAULT_REPLICATION,
      config: { ...settings },
    };
    return new Promise((resolve, reject) => {
      client.createTopic(wanted, CREATE_TIMEOUT_MS, (error: kafka.LibrdKafkaError | null | undefined) => {
        if (!error || error.code === TOPIC_ALREADY_EXISTS) resolve(true);
        else if (NO_ANSWER.has(error.code)) resolve(false);
        else reject(new Error(error.message));
      });
    });
  }

  close(): void {
    this.#client?.disconnect();
    this.#client = null;
  }
}
