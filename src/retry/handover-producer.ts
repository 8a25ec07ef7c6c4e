import type { RecordHeader } from '../domain/record.ts';

/** The broker's and librdkafka's code for a record that is too large. */
const MESSAGE_TOO_LARGE = 10;
const RETRY_DELAY_MS = 500;
const OUR_HEADERS = 'eventdispatch-';

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
 * never take, being too large, goes without its value, if need be without its own
 * key and headers too: the source offset in ours still points to them.
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
    this.#produce(handover, handover);
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  #produce(handover: HandoverRecord, content: Content): void {
    const topic = this.#topics[handover.to];
    const onAck = (error: (Error & { readonly code: number }) | null): void => {
      if (error === null) {
        this.#done(handover);
        return;
      }
      const lighter = error.code === MESSAGE_TOO_LARGE ? lighterThan(content) : null;
      if (lighter !== null) this.#produce(handover, lighter);
      else this.#again(handover, topic, error.message);
    };
    const { key, value, headers } = content;
    try {
      if (!this.#producer.produce(topic, null, bufferOf(key), bufferOf(value), headers, onAck))
        this.#later(handover);
    } catch (error) {
      onAck(error as Error & { readonly code: number });
    }
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
      for (const waiting of backlog) this.#produce(waiting, waiting);
    }, RETRY_DELAY_MS);
  }
}

type Content = Pick<HandoverRecord, 'key' | 'value' | 'headers'>;

/** What to offer instead of something too large; null when nothing is left to leave out. */
function lighterThan({ key, value, headers }: Content): Content | null {
  if (value !== null) {
    return { key, value: null, headers: [...headers, note('omitted-value-bytes', value.length)] };
  }
  const ours = headers.filter(([name]) => name.startsWith(OUR_HEADERS));
  const omitted = headers.length - ours.length;
  if (key === null && omitted === 0) return null;
  return { key: null, value: null, headers: [...ours, note('omitted-headers', omitted)] };
}

function note(name: string, count: number): RecordHeader {
  return [`${OUR_HEADERS}${name}`, Buffer.from(String(count))];
}

function bufferOf(bytes: Uint8Array<ArrayBuffer> | null): Buffer | null {
  return bytes && Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
