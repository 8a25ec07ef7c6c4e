import path from 'node:path';

import { FolderEncoder } from '../src/decode/avro-encoder.ts';
import { readSchemaFolder } from '../src/decode/schema-folder.ts';
import { systemClock } from '../src/domain/clock.ts';
import { openProducer, type KafkaProducer } from '../src/kafka/producer.ts';
import { SampleGenerator } from '../src/samples/generator.ts';
import { repositoryRoot } from '../test/support/repository.ts';

const TICK_MS = 10;
const FLUSH_TIMEOUT_MS = 60_000;

/** Sends sample events at a steady rate; each tenant in a partition of the bench's choosing. */
export class Load {
  readonly #producer: KafkaProducer;
  readonly #topic: string;

  private constructor(producer: KafkaProducer, topic: string) {
    this.#producer = producer;
    this.#topic = topic;
  }

  static async open(brokers: string, topic: string): Promise<Load> {
    const producer = await openProducer({
      'bootstrap.servers': brokers,
      'queue.buffering.max.messages': 500_000,
      // The broker shares the cores, and each batch costs it as much as a hundred records.
      'linger.ms': 20,
    });
    return new Load(producer, topic);
  }

  /**
   * @param tenants how many the samples are of, `tenant-1` …; which of them are sent is for `partitionOf` to say.
   * @param partitionOf null leaves the event out.
   * @returns how many were sent, once the time is over.
   */
  async run(
    {
      ratePerSecond,
      seconds,
      tenants,
      seed,
    }: { ratePerSecond: number; seconds: number; tenants: number; seed: number },
    partitionOf: (tenant: string) => number | null,
  ): Promise<number> {
    const generator = new SampleGenerator({
      schemas: new FolderEncoder(readSchemaFolder(path.join(repositoryRoot, 'schemas'))),
      tenants,
      skew: 0,
      seed,
      clock: systemClock,
    });
    const startedMs = performance.now();
    let made = 0;
    let sent = 0;
    for (;;) {
      const elapsedMs = Math.min(performance.now() - startedMs, seconds * 1000);
      for (const due = (elapsedMs / 1000) * ratePerSecond; made < due; made++) {
        const sample = generator.next();
        const partition = partitionOf(sample.tenant);
        if (partition === null) continue;
        while (!this.#producer.produce(this.#topic, partition, sample.key, sample.value, [], ignore))
          await sleep(TICK_MS);
        sent++;
      }
      if (elapsedMs >= seconds * 1000) return sent;
      await sleep(TICK_MS);
    }
  }

  async close(): Promise<void> {
    await this.#producer.flush(FLUSH_TIMEOUT_MS);
    await this.#producer.close();
  }
}

function ignore(): void {
  // The ledger tells what became of an event; a benchmark needs no acknowledgement of each.
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
