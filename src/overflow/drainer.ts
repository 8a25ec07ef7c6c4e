import type { Clock } from '../domain/clock.ts';
import type { SourceRecord, TopicPartition, TopicPartitionOffset } from '../domain/record.ts';
import { overflowRowsOf, type OverflowRows } from './overflow-record.ts';

/** A poll that brought nothing is followed by such a pause. */
const IDLE_MS = 250;
/** Work that takes longer than this is waited for while polling, or the group would take the partitions away. */
const QUIET_MS = 1_000;
const POLL_EVERY_MS = 500;

/** What it needs of the consumer of the overflow topic. */
export interface DrainSource {
  poll(max: number, callback: (error: string | null, records: readonly SourceRecord[]) => void): void;
  pause(partitions: readonly TopicPartition[]): void;
  resume(partitions: readonly TopicPartition[]): void;
  commit(offsets: readonly TopicPartitionOffset[]): void;
  highWatermark(topic: string, partition: number): number;
}

export interface DrainerOptions {
  readonly source: DrainSource;
  /** Stores the rows, once, however often and by whomever they were sent; rejects when that can't be told. */
  readonly store: (rows: OverflowRows) => Promise<void>;
  /** Share of the time that storing may take, above 0, at most 1. */
  readonly share: number;
  readonly clock: Clock;
  readonly pause: (delayMs: number) => Promise<void>;
  /** The wait after so many failures of one record, ≥ 1. */
  readonly retryDelayMs: (error: unknown, failures: number) => number;
  readonly onFailure: (error: unknown) => void;
  /** A record that nobody of us wrote: it is left where it is and passed over. */
  readonly onForeign: (place: TopicPartitionOffset) => void;
  /** Nothing more is there, after so many rows. */
  readonly onDrained: (rows: number) => void;
}

/**
 * Brings what is in the overflow topic into the ledger: the records of each partition
 * in their order, one at a time, and after each a pause, so that no more than a
 * share of the time goes to it. A record's offset is committed when its rows are
 * stored; a crash in between stores them a second time, which `store` must bear.
 */
export class OverflowDrainer {
  readonly stats = { records: 0, rows: 0, bytes: 0, failures: 0 };
  readonly #options: DrainerOptions;
  /** The partitions it has, by name, and the offset that is to be drained next; −1 until the first is. */
  readonly #owned = new Map<string, { readonly place: TopicPartition; next: number }>();
  /** Polled, and not worked on yet. */
  #waiting: SourceRecord[] = [];
  #toldRows = 0;
  #stopped = false;
  #running: Promise<void> = Promise.resolve();

  constructor(options: DrainerOptions) {
    this.#options = options;
  }

  start(): void {
    this.#running = this.#run();
  }

  /** Takes no further record; resolves when the one that is worked on is stored, or given up. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  onAssign(partitions: readonly TopicPartition[]): void {
    for (const place of partitions) this.#owned.set(nameOf(place), { place, next: -1 });
  }

  onRevoke(partitions: readonly TopicPartition[]): void {
    for (const place of partitions) this.#owned.delete(nameOf(place));
    this.#waiting = this.#waiting.filter((record) => this.#owned.has(nameOf(record)));
  }

  /** Records that wait in the partitions it has, as far as it knows. */
  lag(): number {
    let lag = 0;
    for (const { place, next } of this.#owned.values()) {
      const end = this.#options.source.highWatermark(place.topic, place.partition);
      if (end > 0 && next >= 0) lag += Math.max(0, end - next);
    }
    return lag;
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const record = this.#waiting.shift() ?? (await this.#poll());
      if (record !== null) await this.#drain(record);
      else if (this.#waiting.length === 0) {
        this.#tellDrained();
        await this.#options.pause(IDLE_MS);
      }
    }
  }

  #tellDrained(): void {
    const rows = this.stats.rows - this.#toldRows;
    if (rows === 0 || this.lag() > 0) return;
    this.#toldRows = this.stats.rows;
    this.#options.onDrained(rows);
  }

  async #drain(record: SourceRecord): Promise<void> {
    const { share, pause } = this.#options;
    const owned = this.#owned.get(nameOf(record));
    if (owned === undefined) return;
    owned.next = record.offset;
    const rows = overflowRowsOf(record);
    const tookMs = rows === null ? 0 : await this.#whilePolling(this.#store(record, rows));
    if (tookMs === null) return;
    if (rows === null) this.#options.onForeign(record);
    if (this.#owned.get(nameOf(record)) !== owned) return;
    owned.next = record.offset + 1;
    this.#commit({ topic: record.topic, partition: record.partition, offset: record.offset + 1 });
    if (share < 1 && !this.#stopped) await this.#whilePolling(pause((tookMs * (1 - share)) / share));
  }

  /**
   * Tries until the rows are stored.
   * @returns how long the try took that did it; null when the partition was taken away, or it was stopped.
   */
  async #store(record: SourceRecord, rows: OverflowRows): Promise<number | null> {
    const name = nameOf(record);
    for (let failures = 1; !this.#stopped && this.#owned.has(name); failures++) {
      const startMs = this.#options.clock.monotonicMs();
      try {
        await this.#options.store(rows);
        this.stats.records++;
        this.stats.rows += rows.rows;
        this.stats.bytes += rows.bytes.length;
        return this.#options.clock.monotonicMs() - startMs;
      } catch (error) {
        this.stats.failures++;
        this.#options.onFailure(error);
        await this.#pauseUnlessOver(this.#options.retryDelayMs(error, failures), name);
      }
    }
    return null;
  }

  async #pauseUnlessOver(delayMs: number, name: string): Promise<void> {
    for (let leftMs = delayMs; leftMs > 0 && !this.#stopped && this.#owned.has(name); leftMs -= QUIET_MS)
      await this.#options.pause(Math.min(leftMs, QUIET_MS));
  }

  /** Waits for what may take long; the partitions are paused meanwhile, so that polling brings nothing to keep. */
  async #whilePolling<T>(work: Promise<T>): Promise<T> {
    let isDone = false;
    const done = work.finally(() => {
      isDone = true;
    });
    done.catch(() => undefined);
    await Promise.race([done.catch(() => undefined), this.#options.pause(QUIET_MS)]);
    if (isDone as boolean) return done;
    const { source, pause } = this.#options;
    const ownedPlaces = (): TopicPartition[] => Array.from(this.#owned.values(), ({ place }) => place);
    source.pause(ownedPlaces());
    while (!(isDone as boolean)) {
      const record = await this.#poll();
      if (record !== null) {
        // It came of a partition that was given only now.
        this.#waiting.push(record);
        source.pause(ownedPlaces());
      }
      await Promise.race([done.catch(() => undefined), pause(POLL_EVERY_MS)]);
    }
    source.resume(ownedPlaces());
    return done;
  }

  #poll(): Promise<SourceRecord | null> {
    return new Promise((resolve) => {
      this.#options.source.poll(1, (error, records) => {
        if (error !== null) this.#options.onFailure(new Error(error));
        resolve(records[0] ?? null);
      });
    });
  }

  /** A commit that is refused is made good by the next one, and by `store` after a crash. */
  #commit(offset: TopicPartitionOffset): void {
    try {
      this.#options.source.commit([offset]);
    } catch (error) {
      this.#options.onFailure(error);
    }
  }
}

function nameOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}
