import { setTimeout as sleep } from 'node:timers/promises';

import type { ProducedEvent } from '../../src/verify/history.ts';
import type { Sample } from '../../src/samples/generator.ts';
import { sampleRecords } from '../e2e/sample-records.ts';
import { Sender } from '../e2e/sender.ts';
import { MAIN_TYPE, PICKY_TYPE } from './destinations.ts';
import { Payloads } from './payload.ts';

export const TENANTS = 8;
/** Per tick; one in so many is of the other type. */
const EVENTS = 10;
const PICKY_EVERY = 10;
const TICK_MS = 250;
export const EVENTS_PER_SECOND = (EVENTS * 1_000) / TICK_MS;

/** The producer, which writes down what the broker has acknowledged. */
export class Load {
  readonly produced: ProducedEvent[] = [];
  readonly #sender: Sender;
  readonly #topic: string;
  readonly #payloads = new Payloads();
  readonly #seed: number;
  #samples = 0;
  #isRunning = true;
  #done: Promise<void> = Promise.resolve();

  private constructor(sender: Sender, topic: string, seed: number) {
    this.#sender = sender;
    this.#topic = topic;
    this.#seed = seed;
  }

  /** Begins to send at a steady rate. */
  static async start(brokers: string, topic: string, seed: number): Promise<Load> {
    const load = new Load(await Sender.open(brokers), topic, seed);
    load.#done = load.#run();
    return load;
  }

  async stop(): Promise<void> {
    this.#isRunning = false;
    await this.#done;
  }

  /** One event of each tenant. */
  async sendFresh(): Promise<void> {
    const samples = new Map<string, Sample>();
    while (samples.size < TENANTS)
      for (const sample of this.#next(TENANTS, MAIN_TYPE)) samples.set(sample.tenant, sample);
    await this.#send([...samples.values()], true);
  }

  close(): Promise<void> {
    return this.#sender.close();
  }

  async #run(): Promise<void> {
    while (this.#isRunning) {
      const main = this.#next(EVENTS - EVENTS / PICKY_EVERY, MAIN_TYPE);
      const picky = this.#next(EVENTS / PICKY_EVERY, PICKY_TYPE);
      await Promise.all([this.#send([...main, ...picky], false), sleep(TICK_MS)]);
    }
  }

  #next(count: number, type: string): Sample[] {
    // Another seed for each call, since the seed tells the ids of one call from those of another.
    this.#samples++;
    return sampleRecords({
      count,
      tenants: TENANTS,
      types: [type],
      seed: this.#seed * 1_000_003 + this.#samples,
    });
  }

  async #send(samples: readonly Sample[], isFresh: boolean): Promise<void> {
    const atMs = Date.now();
    const sent = await this.#sender.send(
      this.#topic,
      samples.map(({ key, value }) => ({ partition: null, key, value })),
    );
    for (const [index, { partition, offset }] of sent.entries()) {
      const { tenant, eventId, type, key, value } = samples[index] as Sample;
      this.produced.push({
        ...{ atMs, tenant, eventId, type, key: key.toString(), topic: this.#topic, partition, offset },
        payload: this.#payloads.ofRecord(value),
        isFresh,
      });
    }
  }
}
