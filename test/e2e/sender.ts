import type { RecordHeader } from '../../src/domain/record.ts';
import { openProducer, type KafkaError, type KafkaProducer } from '../../src/kafka/producer.ts';
import { waitFor } from '../support/wait.ts';

export interface RecordToSend {
  /** Null leaves the choice to the key's hash. */
  readonly partition: number | null;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers?: readonly RecordHeader[];
}

/** A record as the broker has it. */
export interface SentRecord extends RecordToSend {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
}

const QUEUE_TIMEOUT_MS = 30_000;

/** Sends records one by one from the test's own process, good ones and such as no producer should send. */
export class Sender {
  readonly #producer: KafkaProducer;

  private constructor(producer: KafkaProducer) {
    this.#producer = producer;
  }

  static async open(brokers: string): Promise<Sender> {
    const properties = {
      'bootstrap.servers': brokers,
      'enable.idempotence': true,
      acks: 'all',
      'linger.ms': 5,
    };
    return new Sender(await openProducer(properties));
  }

  /** Sends records in their order. @returns them with their places once the broker has them all. */
  async send(topic: string, records: readonly RecordToSend[]): Promise<SentRecord[]> {
    const acks: Promise<SentRecord>[] = [];
    for (const record of records) {
      let ack = this.#offer(topic, record);
      if (ack === null) {
        await waitFor(() => (ack = this.#offer(topic, record)), {
          timeoutMs: QUEUE_TIMEOUT_MS,
          what: 'room in the producer',
        });
      }
      acks.push(ack as Promise<SentRecord>);
    }
    return Promise.all(acks);
  }

  close(): Promise<void> {
    return this.#producer.close();
  }

  /** @returns null when the producer's queue is full. */
  #offer(topic: string, record: RecordToSend): Promise<SentRecord> | null {
    const { partition, key, value, headers = [] } = record;
    let settle: (error: KafkaError | null, partition: number, offset: number) => void = () => undefined;
    const ack = new Promise<SentRecord>((resolve, reject) => {
      settle = (error, atPartition, offset) => {
        if (error === null) resolve({ ...record, topic, partition: atPartition, offset });
        else reject(error);
      };
    });
    return this.#producer.produce(topic, partition, key, value, headers, settle) ? ack : null;
  }
}
