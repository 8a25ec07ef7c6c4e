import { limits } from '../domain/limits.ts';
import type { SourceRecord, TopicPartition } from '../domain/record.ts';
import { Frontier } from './frontier.ts';
import { HeldRecords } from './held-records.ts';

/**
 * One partition under one epoch of ownership:
 *
 *   active ──► revoking ──► ended
 *
 * `active` admits records; `revoking` finishes what is open and commits; `ended`
 * commits nothing any more, whatever still comes back for it. Only `Assignments`
 * moves it on. The same partition assigned again is another `Assignment`, under
 * another id, so nothing of an old epoch can move a new one.
 */
export class Assignment implements TopicPartition {
  readonly id: number;
  readonly topic: string;
  readonly partition: number;
  /** How long each record of its topic waits from its timestamp on; null for a topic that is no delay topic. */
  readonly delayMs: number | null;
  readonly frontier = new Frontier(limits.partitionWindowRecords);
  /** What lanes hold of it. */
  readonly held = new HeldRecords();
  state: 'active' | 'revoking' | 'ended' = 'active';
  /** Highest offset handed to a commit, and the highest one the broker acknowledged; −1 before the first. */
  commitRequested = -1;
  committed = -1;
  /** Commits asked for and not answered: the offset, and how many records are before it. */
  #asked: { readonly offset: number; readonly records: number }[] = [];
  #committedRecords = 0;
  /** Newest offset read, admitted or not; a record at or below it was seen before. */
  lastRead = -1;
  /** Records read but not admitted yet, oldest first; while there are any the partition is paused. */
  #stash: SourceRecord[] = [];
  #stashedBytes = 0;

  constructor(id: number, topic: string, partition: number, delayMs: number | null = null) {
    this.id = id;
    this.topic = topic;
    this.partition = partition;
    this.delayMs = delayMs;
  }

  /** Records that the broker does not know to be settled. */
  get uncommitted(): number {
    return this.frontier.passed - this.#committedRecords + this.frontier.span;
  }

  /** A crash now would leave as much to be looked up as there may be. */
  get isFull(): boolean {
    return !this.hasRoomFor(1);
  }

  /** Whether a record may be admitted in so many copies. */
  hasRoomFor(copies: number): boolean {
    return this.frontier.hasRoomFor(copies) && this.uncommitted < limits.uncommittedRecords;
  }

  /** The frontier's position is being committed. */
  onCommitAsked(offset: number): void {
    this.commitRequested = offset;
    this.#asked.push({ offset, records: this.frontier.passed });
  }

  /**
   * The broker has taken a commit of this process from an earlier epoch of the partition, later than the offset
   * this epoch began with was read. What is before it is settled all the same, so nothing lower is committed.
   */
  onCommittedBefore(offset: number): void {
    this.committed = Math.max(this.committed, offset);
    this.commitRequested = Math.max(this.commitRequested, offset);
  }

  onCommitted(offset: number): void {
    this.committed = Math.max(this.committed, offset);
    while (this.#asked[0] !== undefined && this.#asked[0].offset <= offset) {
      this.#committedRecords = this.#asked[0].records;
      this.#asked.shift();
    }
  }

  /** What was asked for last is asked for again. */
  onCommitRefused(): void {
    this.commitRequested = this.committed;
    this.#asked = [];
  }

  get isBlocked(): boolean {
    return this.#stash.length > 0;
  }

  get stashed(): number {
    return this.#stash.length;
  }

  get stashedBytes(): number {
    return this.#stashedBytes;
  }

  stash(record: SourceRecord): void {
    this.#stash.push(record);
    this.#stashedBytes += sizeOf(record);
  }

  /** Offers the stash to `admit`, in order, until it refuses one. */
  unstash(admit: (record: SourceRecord) => boolean): void {
    const stash = this.#stash;
    let taken = 0;
    while (taken < stash.length && admit(stash[taken] as SourceRecord)) taken++;
    // One that was refused may have made it all be read again later.
    if (taken === 0 || this.#stash !== stash) return;
    for (let i = 0; i < taken; i++) this.#stashedBytes -= sizeOf(stash[i] as SourceRecord);
    this.#stash = stash.slice(taken);
  }

  /** Forgets this record and all after it, which are read again. */
  rewindTo(offset: number): void {
    this.lastRead = offset - 1;
    this.dropStash();
  }

  dropStash(): void {
    this.#stash = [];
    this.#stashedBytes = 0;
  }
}

function sizeOf({ key, value }: SourceRecord): number {
  return (key?.length ?? 0) + (value?.length ?? 0);
}
