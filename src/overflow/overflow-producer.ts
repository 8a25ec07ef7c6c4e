import type { RecordProducer } from '../domain/record-producer.ts';
import type { RecordHeader } from '../domain/record.ts';
import { overflowHeaders } from './overflow-record.ts';

const QUEUE_FULL_PAUSE_MS = 50;
const QUEUE_FULL_TRIES = 600;

/** A part of a ledger batch as the batcher has it. */
export interface OverflowPart {
  readonly table: string;
  /** Whole rows, one after the other. */
  readonly pieces: readonly Uint8Array[];
  readonly bytes: number;
  readonly rows: number;
  readonly token: string;
}

export interface OverflowProducerOptions {
  readonly producer: RecordProducer;
  readonly topic: string;
  /** Records of one writer go to one partition, so that they are drained in its order. */
  readonly writer: string;
  readonly columnsOf: (table: string) => readonly string[];
  readonly pause: (delayMs: number) => Promise<void>;
}

/**
 * Writes parts of ledger batches to the overflow topic, one record each: the same
 * bytes under the same token, so that it does not matter whether an insert of the
 * part, sent before, arrives as well.
 */
export class OverflowProducer {
  /** What the broker has, and tries that failed. */
  readonly stats = { parts: 0, rows: 0, bytes: 0, failures: 0 };
  readonly #options: OverflowProducerOptions;
  readonly #key: Buffer;

  constructor(options: OverflowProducerOptions) {
    this.#options = options;
    this.#key = Buffer.from(options.writer);
  }

  /** Resolves when the broker has it. @throws Error when it refuses. */
  async put(part: OverflowPart): Promise<void> {
    try {
      await this.#produce(part);
    } catch (error) {
      this.stats.failures++;
      throw error;
    }
    this.stats.parts++;
    this.stats.rows += part.rows;
    this.stats.bytes += part.bytes;
  }

  async #produce({ table, pieces, rows, token }: OverflowPart): Promise<void> {
    const { topic, columnsOf, pause } = this.#options;
    const value = Buffer.concat(pieces);
    const headers = overflowHeaders({ table, rows, token, columns: columnsOf(table) });
    for (let tries = 0; tries < QUEUE_FULL_TRIES; tries++) {
      if (await this.#offer(topic, value, headers)) return;
      await pause(QUEUE_FULL_PAUSE_MS);
    }
    throw new Error('the queue of the Kafka producer stays full');
  }

  /** False when the client's queue has no room; true when the broker has it. */
  #offer(topic: string, value: Buffer, headers: readonly RecordHeader[]): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const isTaken = this.#options.producer.produce(topic, null, this.#key, value, headers, (error) => {
        if (error === null) resolve(true);
        else reject(error);
      });
      if (!isTaken) resolve(false);
    });
  }
}
