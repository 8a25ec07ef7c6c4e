import type { Clock } from '../domain/clock.ts';
import { messageOf } from '../domain/errors.ts';
import type { FieldMapping } from '../domain/event.ts';
import { limits } from '../domain/limits.ts';
import type { RecordProducer } from '../domain/record-producer.ts';
import type { RecordHeader, SourceRecord, TopicPartition } from '../domain/record.ts';
import {
  rekeyedRecordOf,
  sizeOf,
  type RekeyedRecord,
  type RekeyedTopic,
  type TenantFinder,
} from './rekeyed-record.ts';

const { rekeyPendingRecords: MAX_RECORDS, rekeyPendingBytes: MAX_BYTES } = limits;
/**
 * How long a full bound holds back the next poll before partitions are paused
 * instead, which throws their prefetched records away.
 */
const PAUSE_AFTER_MS = 200;
const RETRY_MS = 500;

/** What it needs of its consumer, a member of a group of its own. */
export interface RekeySource {
  poll(max: number, callback: (error: string | null, records: readonly SourceRecord[]) => void): void;
  pause(partitions: readonly TopicPartition[]): void;
  resume(partitions: readonly TopicPartition[]): void;
}

/** A partition that is moved from, under one epoch of ownership; its frontier is what may be committed. */
export interface HeldPartition extends TopicPartition {
  readonly id: number;
  readonly state: 'active' | 'revoking' | 'ended';
  /** Newest offset read; a record at or below it was seen before. */
  lastRead: number;
  readonly frontier: { readonly isFull: boolean; admit(offset: number): number };
  /** Whether it has a stash: records read and not taken yet, oldest first. */
  readonly isBlocked: boolean;
  stash(record: SourceRecord): void;
  /** Offers the stash in order until a record is refused. */
  unstash(admit: (record: SourceRecord) => boolean): void;
  dropStash(): void;
}

export interface RekeyerOptions<Held extends HeldPartition> {
  readonly source: RekeySource;
  readonly target: RecordProducer;
  readonly topic: RekeyedTopic;
  readonly partitions: {
    find(topic: string, partition: number): Held | undefined;
    /** Undefined once it has ended. */
    get(id: number): Held | undefined;
    /** The broker has the record, so the source need not keep it. */
    release(id: number, sequence: number): void;
  };
  readonly finder: TenantFinder;
  mappingOf(topic: string): FieldMapping;
  headersOf(record: SourceRecord): readonly RecordHeader[];
  readonly clock: Clock;
  /** A record waits for this schema, and its partition with it. */
  onSchemaNeeded(schemaId: number): void;
  /** A record was refused; it is produced again. */
  onFailure(message: string): void;
  onError(message: string): void;
}

/** Counted here, read at scrape. */
export interface RekeyStats {
  /** The broker has them. */
  moved: number;
  /** Tries that failed; each is made again. */
  failed: number;
  /** On their way to the broker, or waiting to be tried again. */
  pending: number;
  pendingBytes: number;
}

/** Times are monotonic milliseconds. */
export interface RekeyHealth {
  readonly lastPollMs: number;
  /** Of the newest refusal since a record was moved; null when there was none. */
  readonly lastError: string | null;
  /** Since when something is on its way and the broker has acknowledged nothing; null when nothing is. */
  readonly waitingSinceMs: number | null;
}

/** A record that the source keeps until the broker has it. */
interface Move {
  readonly held: number;
  readonly sequence: number;
  readonly record: RekeyedRecord;
  readonly bytes: number;
}

/**
 * Moves the records of topics that are not keyed by tenant to one that is: reads,
 * finds the tenant, produces to the tenant's partition. A record settles on its
 * source when the broker has acknowledged it, so a crash loses nothing; what was
 * acknowledged and not committed yet is moved twice.
 *
 *   poll ─► take ─► produced ──ack──► settled
 *             │ refused: by a bound, by a schema that nobody can tell now
 *             ▼
 *           stash of its partition, which is paused if that takes long
 *
 * Order is kept: of a partition nothing overtakes what is stashed, and while a
 * record that the broker refused waits for its next try nothing new is produced.
 */
export class Rekeyer<Held extends HeldPartition> {
  readonly stats: RekeyStats = { moved: 0, failed: 0, pending: 0, pendingBytes: 0 };
  readonly #options: RekeyerOptions<Held>;
  /** Partitions with a stash, and what refused its first record: a bound, or a schema. */
  readonly #blocked = new Map<Held, 'bound' | 'schema'>();
  readonly #paused = new Set<Held>();
  #state: 'idle' | 'running' | 'draining' | 'stopped' = 'idle';
  #refused: Move[] = [];
  #retryTimer: NodeJS.Timeout | null = null;
  /** Runs while a full bound holds back the next poll. */
  #holdTimer: NodeJS.Timeout | null = null;
  #lastPollMs: number;
  #lastError: string | null = null;
  #waitingSinceMs: number | null = null;

  constructor(options: RekeyerOptions<Held>) {
    this.#options = options;
    this.#lastPollMs = options.clock.monotonicMs();
  }

  get health(): RekeyHealth {
    return {
      lastPollMs: this.#lastPollMs,
      lastError: this.#lastError,
      waitingSinceMs: this.#waitingSinceMs,
    };
  }

  start(): void {
    this.#state = 'running';
    this.#poll();
  }

  /** Takes nothing more but keeps polling, which keeps the membership while what is out is acknowledged. */
  stopTaking(): void {
    if (this.#state === 'running') this.#state = 'draining';
    for (const held of this.#blocked.keys()) held.dropStash();
    this.#blocked.clear();
    this.#paused.clear();
  }

  /** Polls and produces nothing more. */
  stop(): void {
    this.#state = 'stopped';
    if (this.#holdTimer !== null) clearTimeout(this.#holdTimer);
    if (this.#retryTimer !== null) clearTimeout(this.#retryTimer);
  }

  /** To be called when a partition is given up and its stash is gone. librdkafka keeps a pause for when it comes again. */
  forget(held: Held): void {
    this.#blocked.delete(held);
    if (this.#paused.delete(held)) this.#options.source.resume([placeOf(held)]);
  }

  /** To be called when a schema that was asked for can be told. */
  onSchemaKnown(): void {
    this.#offerStashes();
    this.#pollIfHeld();
  }

  #poll(): void {
    if (this.#state === 'stopped') return;
    const { clock, source } = this.#options;
    source.poll(limits.pollMaxRecords, (error, records) => {
      this.#lastPollMs = clock.monotonicMs();
      if (error !== null) this.#options.onError(error);
      for (const record of records) this.#take(record);
      this.#offerStashes();
      this.#pause('schema');
      if (this.#state !== 'stopped') this.#pollAgain();
    });
  }

  #pollAgain(): void {
    if (!this.#isHeldBack) {
      setImmediate(() => {
        this.#poll();
      });
      return;
    }
    this.#holdTimer = setTimeout(() => {
      this.#holdTimer = null;
      this.#pause('bound');
      this.#poll();
    }, PAUSE_AFTER_MS);
  }

  #pollIfHeld(): void {
    if (this.#holdTimer === null || this.#isHeldBack) return;
    clearTimeout(this.#holdTimer);
    this.#holdTimer = null;
    this.#poll();
  }

  /** Whether the bound refuses a partition that is read on. */
  get #isHeldBack(): boolean {
    for (const [held, refusal] of this.#blocked) {
      if (refusal === 'bound' && !this.#paused.has(held)) return true;
    }
    return false;
  }

  #pause(refusal: 'bound' | 'schema'): void {
    const toPause: Held[] = [];
    for (const [held, by] of this.#blocked) {
      if (by === refusal && !this.#paused.has(held)) toPause.push(held);
    }
    if (toPause.length === 0) return;
    for (const held of toPause) this.#paused.add(held);
    this.#options.source.pause(toPause.map(placeOf));
  }

  #take(record: SourceRecord): void {
    const held = this.#options.partitions.find(record.topic, record.partition);
    // A partition on its way out is read again by its next owner; a record seen before comes of a pause and resume.
    if (this.#state !== 'running' || held?.state !== 'active' || record.offset <= held.lastRead) return;
    held.lastRead = record.offset;
    if (!held.isBlocked) {
      const refusal = this.#offer(held, record);
      if (refusal === null) return;
      this.#blocked.set(held, refusal);
    }
    held.stash(record);
  }

  #offerStashes(): void {
    const toResume: Held[] = [];
    for (const held of this.#blocked.keys()) {
      held.unstash((record) => {
        const refusal = this.#offer(held, record);
        if (refusal !== null) this.#blocked.set(held, refusal);
        return refusal === null;
      });
      if (held.isBlocked) continue;
      this.#blocked.delete(held);
      if (this.#paused.delete(held)) toResume.push(held);
    }
    if (toResume.length > 0) this.#options.source.resume(toResume.map(placeOf));
  }

  /** @returns what refuses it for now; null when it is taken. */
  #offer(held: Held, record: SourceRecord): 'bound' | 'schema' | null {
    const { finder, topic } = this.#options;
    if (held.frontier.isFull || !this.#hasRoom) return 'bound';
    if (!finder.look(record, this.#options.mappingOf(record.topic))) {
      this.#options.onSchemaNeeded(finder.schemaId);
      return 'schema';
    }
    const rekeyed = rekeyedRecordOf(record, this.#options.headersOf(record), finder, topic);
    const sequence = held.frontier.admit(record.offset);
    const move = { held: held.id, sequence, record: rekeyed, bytes: sizeOf(rekeyed) };
    this.stats.pending++;
    this.stats.pendingBytes += move.bytes;
    this.#waitingSinceMs ??= this.#options.clock.monotonicMs();
    this.#produce(move);
    return null;
  }

  get #hasRoom(): boolean {
    const { pending, pendingBytes } = this.stats;
    return this.#refused.length === 0 && pending < MAX_RECORDS && pendingBytes < MAX_BYTES;
  }

  #produce(move: Move): void {
    const { target, topic } = this.#options;
    const { partition, key, value, headers } = move.record;
    const onAck = (error: Error | null): void => {
      if (this.#state === 'stopped') return;
      if (error === null) this.#settle(move);
      else this.#refuse(move, error.message);
    };
    try {
      const isTaken = target.produce(topic.name, partition, key, value, headers, onAck);
      if (!isTaken) this.#again(move);
    } catch (error) {
      this.#refuse(move, messageOf(error));
    }
  }

  #settle(move: Move): void {
    this.#letGo(move);
    this.stats.moved++;
    this.#lastError = null;
    this.#waitingSinceMs = this.stats.pending === 0 ? null : this.#options.clock.monotonicMs();
    this.#options.partitions.release(move.held, move.sequence);
    const { pending, pendingBytes } = this.stats;
    if (this.#holdTimer === null || pending > MAX_RECORDS / 2 || pendingBytes > MAX_BYTES / 2) return;
    this.#offerStashes();
    this.#pollIfHeld();
  }

  #letGo({ bytes }: Move): void {
    this.stats.pending--;
    this.stats.pendingBytes -= bytes;
  }

  #refuse(move: Move, message: string): void {
    this.stats.failed++;
    this.#lastError = message;
    // Thousands may be refused at once, for one reason.
    if (this.#refused.length === 0) this.#options.onFailure(message);
    this.#again(move);
  }

  #again(move: Move): void {
    this.#refused.push(move);
    this.#retryTimer ??= setTimeout(() => {
      this.#retryTimer = null;
      const refused = this.#refused;
      this.#refused = [];
      for (const waiting of refused) {
        // Its next owner reads it again.
        if (this.#options.partitions.get(waiting.held) === undefined) this.#letGo(waiting);
        else if (this.#refused.length > 0) this.#refused.push(waiting);
        else this.#produce(waiting);
      }
      if (this.stats.pending === 0) this.#waitingSinceMs = null;
    }, RETRY_MS);
  }
}

function placeOf({ topic, partition }: TopicPartition): TopicPartition {
  return { topic, partition };
}
