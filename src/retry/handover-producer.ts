import type { Clock } from '../domain/clock.ts';
import type { RecordProducer } from '../domain/record-producer.ts';
import type { RecordHeader } from '../domain/record.ts';
import { delayFor } from './delay-choice.ts';
import type { DelayTopics } from './delay-topics.ts';

/** The broker's and librdkafka's code for a record that is too large. */
const MESSAGE_TOO_LARGE = 10;
const RETRY_DELAY_MS = 500;
const OUR_HEADERS = 'eventdispatch-';

/** What leaves by a Kafka topic instead of over HTTP. */
export interface HandoverRecord {
  readonly to: 'dead_letter' | 'bad_event' | 'retry';
  readonly assignment: number;
  readonly sequence: number;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers: readonly RecordHeader[];
  /** `retry` only: not before this, Unix epoch milliseconds. */
  readonly dueAtMs: number;
  /** A ledger row that is true once the broker has it. */
  readonly row: Uint8Array<ArrayBuffer> | null;
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
  readonly retries: HandoverCounts;
  pendingRecords: number;
  pendingBytes: number;
}

export interface HandoverOptions {
  readonly producer: RecordProducer;
  readonly topics: Readonly<Record<Exclude<HandoverRecord['to'], 'retry'>, string>>;
  readonly delayTopics: DelayTopics;
  /** The partition that a retry goes to, that of its record; null when its assignment has ended. */
  partitionOf(assignment: number): number | null;
  readonly clock: Clock;
  /**
   * False while the partitions may be another process's, which then tries their deliveries itself: nothing is
   * offered, and what waits is offered later, or let go with its assignment.
   */
  isOwner(): boolean;
  /** The broker has it; from now on its row is true. */
  onDurable(handover: Pick<HandoverRecord, 'to' | 'assignment' | 'sequence' | 'row'>): void;
  onFailure(topic: string, message: string): void;
}

/**
 * Writes dead letters, bad events and retries to their topics, each until the broker has
 * it: a refused or timed-out record is offered again, for ever, because its source
 * offset stays open meanwhile and nothing else keeps it. One that the broker will
 * never take, being too large, goes without its value, if need be without its own
 * key and headers too: the source offset in ours still points to them. A retry is
 * its record, so it is never made lighter; delay topics are made to take the largest.
 *
 * A retry goes to the delay topic that fits what is left to its due time when it
 * is offered, so each topic's records are appended in the order of their due
 * times. One whose assignment has ended is let go, since the next owner reads its
 * record again. While nobody can say whose its partition is, it waits for that.
 */
export class HandoverProducer {
  readonly stats: HandoverStats = {
    deadLetters: { produced: 0, failed: 0, pending: 0 },
    badEvents: { produced: 0, failed: 0, pending: 0 },
    retries: { produced: 0, failed: 0, pending: 0 },
    pendingRecords: 0,
    pendingBytes: 0,
  };
  readonly #options: HandoverOptions;
  readonly #delayTopics: readonly string[];
  readonly #delaysMs: readonly number[];
  #backlog: HandoverRecord[] = [];
  #timer: NodeJS.Timeout | null = null;
  #stopped = false;

  constructor(options: HandoverOptions) {
    this.#options = options;
    this.#delayTopics = [...options.delayTopics.keys()];
    this.#delaysMs = [...options.delayTopics.values()];
  }

  add(handover: HandoverRecord): void {
    this.stats.pendingRecords++;
    this.stats.pendingBytes += sizeOf(handover);
    this.#counts(handover).pending++;
    this.#produce(handover, handover);
  }

  /** Offers nothing again, and hears no more acks. */
  stop(): void {
    this.#stopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  #produce(handover: HandoverRecord, content: Content): void {
    const partition = handover.to === 'retry' ? this.#options.partitionOf(handover.assignment) : null;
    if (handover.to === 'retry' && partition === null) {
      this.#letGo(handover);
      return;
    }
    if (!this.#options.isOwner()) {
      this.#later(handover);
      return;
    }
    const topic = this.#topicFor(handover);
    const onAck = (error: (Error & { readonly code: number }) | null): void => {
      if (this.#stopped) return;
      if (error === null) {
        this.#done(handover);
        return;
      }
      const isTooLarge = error.code === MESSAGE_TOO_LARGE && handover.to !== 'retry';
      const lighter = isTooLarge ? lighterThan(content) : null;
      if (lighter !== null) this.#produce(handover, lighter);
      else this.#again(handover, topic, error.message);
    };
    const { key, value, headers } = content;
    try {
      const { producer } = this.#options;
      if (!producer.produce(topic, partition, bufferOf(key), bufferOf(value), headers, onAck))
        this.#later(handover);
    } catch (error) {
      onAck(error as Error & { readonly code: number });
    }
  }

  #topicFor({ to, dueAtMs }: HandoverRecord): string {
    if (to !== 'retry') return this.#options.topics[to];
    const remainingMs = dueAtMs - this.#options.clock.wallMs();
    return this.#delayTopics[delayFor(this.#delaysMs, remainingMs)] as string;
  }

  #done(handover: HandoverRecord): void {
    this.#letGo(handover);
    this.#counts(handover).produced++;
    this.#options.onDurable(handover);
  }

  #letGo(handover: HandoverRecord): void {
    this.stats.pendingRecords--;
    this.stats.pendingBytes -= sizeOf(handover);
    this.#counts(handover).pending--;
  }

  #again(handover: HandoverRecord, topic: string, message: string): void {
    this.#counts(handover).failed++;
    this.#options.onFailure(topic, message);
    this.#later(handover);
  }

  #counts({ to }: HandoverRecord): HandoverCounts {
    if (to === 'retry') return this.stats.retries;
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

function sizeOf({ value, row }: HandoverRecord): number {
  return (value?.length ?? 0) + (row?.length ?? 0);
}

function bufferOf(bytes: Uint8Array | null): Buffer | null {
  return bytes && Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
