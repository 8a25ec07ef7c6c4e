import type { RecordHeader } from '../domain/record.ts';

/** The broker's and librdkafka's code for a record that is too large. */
const MESSAGE_TOO_LARGE = 10;
const RETRY_DELAY_MS = 500;

/** What leaves by a Kafka topic instead of over HTTP. */
export interface HandoverRecord {
  readonly to: 'dead_letter' | 'bad_event';
  readonly assignment: number;
  readonly sequence: number;
  readonly key: Uint8Array<ArrayBuffer> | null;
  readonly value: Uint8Array<ArrayBuffer> | null;
  readonly headers: readonly RecordHeader[];
}

/** What it needs of a producer; errors carry Kafka's code. */
export interface RecordProducer {
  /** @returns false when the queue is full. */
  produce(
    topic: string,
    partition: number | null,
    key: Buffer | null,
    value: Buffer | null,
    headers: readonly RecordHeader[],
    onAck: (error: (Error & { readonly code: number }) | null) => void,
  ): boolean;
}

/** Hand-overs to one topic. */
export interface HandoverCounts {
  /** The broker has them. */
  produced: number;
  /** Tries that failed; each is made again. */
  failed: number;
  pending: number;
}

export interface HandoverStats {
  readonly deadLetters: HandoverCounts;
  readonly badEvents: HandoverCounts;
  pendingRecords: number;
  pendingBytes: number;
}

/**
 * Writes dead letters and bad events to their topics, each until the broker has
 * it: a refused or timed-out record is offered again, for ever, because its source
 * offset stays open meanwhile and nothing else keeps it. One that the broker will
 * never take, being too large, goes without its value, which the source offset in
 * its headers still points to.
 */
export class HandoverProducer {
  readonly stats: HandoverStats = {
    deadLetters: { produced: 0, failed: 0, pending: 0 },
    badEvents: { produced: 0, failed: 0, pending: 0 },
    pendingRecords: 0,
    pendingBytes: 0,
  };
  readonly #producer: RecordProducer;
  readonly #topics: Readonly<Record<HandoverRecord['to'], string>>;
  readonly #onDurable: (assignment: number, sequence: number) => void;
  readonly #onFailure: (topic: string, message: string) => void;
  #backlog: HandoverRecord[] = [];
  #timer: NodeJS.Timeout | null = null;

  constructor(
    producer: RecordProducer,
    topics: Readonly<Record<HandoverRecord['to'], string>>,
    onDurable: (assignment: number, sequence: number) => void,
    onFailure: (topic: string, message: string) => void,
  ) {
    this.#producer = producer;
    this.#topics = topics;
    this.#onDurable = onDurable;
    this.#onFailure = onFailure;
  }

  add(handover: HandoverRecord): void {
    this.stats.pendingRecords++;
    this.stats.pendingBytes += handover.value?.length ?? 0;
    this.#counts(handover).pending++;
    this.#produce(handover, handover.value === null ? null : Buffer.from(handover.value.buffer), handover.headers);
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  #produce(handover: HandoverRecord, value: Buffer | null, headers: readonly RecordHeader[]): void {
    const topic = this.#topics[handover.to];
    const key = handover.key && Buffer.from(handover.key.buffer);
    const onAck = (error: (Error & { readonly code: number }) | null): void => {
      if (error === null) this.#done(handover);
      else if (error.code === MESSAGE_TOO_LARGE && value !== null) this.#produceWithoutValue(handover, value.length);
      else this.#again(handover, topic, error.message);
    };
    try {
      if (!this.#producer.produce(topic, null, key, value, headers, onAck)) this.#later(handover);
    } catch (error) {
      onAck(error as Error & { readonly code: number });
    }
  }

  #produceWithoutValue(handover: HandoverRecord, bytes: number): void {
    const note: RecordHeader = ['eventdispatch-omitted-value-bytes', Buffer.from(String(bytes))];
    this.#produce(handover, null, [...handover.headers, note]);
  }

  #done(handover: HandoverRecord): void {
    this.stats.pendingRecords--;
    this.stats.pendingBytes -= handover.value?.length ?? 0;
    const counts = this.#counts(handover);
    counts.pending--;
    counts.produced++;
    this.#onDurable(handover.assignment, handover.sequence);
  }

  #again(handover: HandoverRecord, topic: string, message: string): void {
    this.#counts(handover).failed++;
    this.#onFailure(topic, message);
    this.#later(handover);
  }

  #counts({ to }: HandoverRecord): HandoverCounts {
    return to === 'dead_letter' ? this.stats.deadLetters : this.stats.badEvents;
  }

  #later(handover: HandoverRecord): void {
    this.#backlog.push(handover);
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      const backlog = this.#backlog;
      this.#backlog = [];
      for (const waiting of backlog) {
        this.#produce(waiting, waiting.value === null ? null : Buffer.from(waiting.value.buffer), waiting.headers);
      }
    }, RETRY_DELAY_MS);
  }
}
