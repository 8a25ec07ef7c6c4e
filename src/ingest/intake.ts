import type { FieldMapping } from '../domain/event.ts';
import type { Clock } from '../domain/clock.ts';
import { limits } from '../domain/limits.ts';
import type { SourceRecord } from '../domain/record.ts';
import type { Assignment } from './assignment.ts';
import type { Assignments } from './assignments.ts';
import { DueWait, type HoldableSource } from './due-wait.ts';
import { headerPairs } from './header-pairs.ts';
import { LaneDoor, type LaneDoorOptions } from './lane-door.ts';
import type { Refusal } from './lane-shares.ts';
import { KEPT_RETRIES, KeptRetries, type KeptBounds } from './kept-retries.ts';
import type { Retries } from './retries.ts';
import { StoppedPartitions, type StoppableSource } from './stopped-partitions.ts';

/**
 * How long a refused record holds back the next poll. Full load means short refusals,
 * one after another. Pausing would make librdkafka throw prefetched records away and
 * fetch them again each time, so it is for what is refused longer.
 */
const HOLD_MS = 200;
/** The same where nothing but shares refuse: long enough for a lane that moves, and short for the others. */
const SHARE_HOLD_MS = 25;
/**
 * What is read of a partition that a share refuses for long is stashed. Beyond so
 * much of it, over all such partitions, they are paused. That is several times what a
 * share lets in at once, so that a tenant which always fills its share does not pause
 * and resume its partition many times a second.
 */
const STASH_RECORDS = 8_192;
const STASH_BYTES = 8 * 1024 * 1024;

/** What intake needs of the consumer. */
export interface RecordSource extends HoldableSource, StoppableSource {
  poll(max: number, callback: (error: string | null, records: readonly SourceRecord[]) => void): void;
}

export interface IntakeOptions extends LaneDoorOptions {
  readonly source: RecordSource;
  readonly assignments: Assignments;
  readonly clock: Clock;
  readonly retries: Retries;
  /** A test may want other bounds. */
  readonly keptRetries?: KeptBounds;
  /** @param topic the source topic of this record, or of the one that it retries. */
  mappingOf(topic: string, record: SourceRecord): FieldMapping;
  /** The whole process is behind: what a share refuses holds polling back as a bound does. */
  isCatchingUp(): boolean;
  /** False while what comes after the lanes (ledger, hand-overs) is at its bound. */
  mayAdmit(): boolean;
  /** A record waits for this schema; its partition is paused until the peek knows it. */
  onSchemaNeeded(schemaId: number): void;
  onError(message: string): void;
}

interface Blocked {
  /** Monotonic. */
  sinceMs: number;
  /** What refused its first record when it was offered last. */
  refusal: Refusal | 'not_due';
  /** Its first record is not offered before, by the wall clock; 0: whenever there may be room. */
  dueAtMs: number;
}

/** Counted here, read at scrape. */
export interface IntakeStats {
  recordsPolled: number;
  bytesPolled: number;
  polls: number;
  pollSeconds: number;
  /** Monotonic time of the last poll that came back. */
  lastPollMs: number;
}

/**
 * The poll loop: reads, peeks, and gives to the lanes' door what it lets in.
 *
 * A record that is refused is stashed, with all that follow it in its partition, and
 * the next poll waits until lanes have made room for the stash. If that takes long,
 * polling goes on for the others, and the stash is offered again after every poll.
 *
 * - What a bound refuses is paused then, until its stash is empty. So what is read
 *   beyond the bounds is at most one poll.
 * - A share that is full is the trouble of the partition that has the record and of no
 *   other. That partition is *slow* from then on: it holds back no poll, and is paused
 *   only when the stashes of all slow ones have become large. It is slow until it was
 *   refused for a short time only.
 * - Where the whole process is behind (`CatchUp`), reading on finds nothing that could be
 *   let in sooner, and a share holds the next poll back as a bound does.
 *
 * So a partition's records are admitted in order.
 *
 * A delay topic's record is looked at when it is at the head of its partition. Before
 * its time it stays stashed with what was read behind it, up to bounds: the partition
 * is held when it has its part of them, and beyond those of all it is held and
 * forgotten until the head is due (`DueWait`). That blocks nothing else and is no sign
 * of trouble. At its time it goes to its tenant's lane like any other record, or on to
 * the next delay topic.
 */
export class Intake {
  readonly stats: IntakeStats = { recordsPolled: 0, bytesPolled: 0, polls: 0, pollSeconds: 0, lastPollMs: 0 };
  readonly #options: IntakeOptions;
  readonly #door: LaneDoor;
  /** Partitions with a stash. */
  readonly #blocked = new Map<Assignment, Blocked>();
  /** Of these, those that are not read on until their stash is empty. */
  readonly #stopped: StoppedPartitions;
  /** Partitions that a share refused for long when it refused them last. */
  readonly #slow = new Set<Assignment>();
  readonly #dueWait: DueWait;
  /** Runs while a refused record holds back the next poll. */
  #holdTimer: NodeJS.Timeout | null = null;
  #state: 'idle' | 'running' | 'stopped' = 'idle';
  #admitting = true;
  /** What the record that was refused last was refused by, and when it is due if that was why. */
  #refusal: Blocked['refusal'] = 'bound';
  #dueAtMs = 0;
  readonly #kept: KeptRetries;

  constructor(options: IntakeOptions) {
    this.#options = options;
    this.#kept = new KeptRetries(options.keptRetries ?? KEPT_RETRIES);
    this.#stopped = new StoppedPartitions(options.source);
    this.#door = new LaneDoor(options);
    this.#dueWait = new DueWait(options);
  }

  isPaused(assignment: Assignment): boolean {
    return this.#stopped.isPaused(assignment);
  }

  /** Partitions of delay topics whose head is not due. */
  get waitingPartitions(): number {
    return this.#dueWait.size + this.#kept.partitions;
  }

  start(): void {
    this.#state = 'running';
    this.stats.lastPollMs = this.#options.clock.monotonicMs();
    this.#poll();
  }

  /** Admits nothing more but keeps polling, which keeps the membership while what is open drains. */
  stopAdmitting(): void {
    this.#admitting = false;
    for (const assignment of this.#blocked.keys()) assignment.dropStash();
    this.#blocked.clear();
    this.#stopped.clear();
    this.#slow.clear();
    this.#dueWait.stop();
  }

  stop(): void {
    this.#state = 'stopped';
    this.#dueWait.stop();
    if (this.#holdTimer !== null) clearTimeout(this.#holdTimer);
  }

  /** To be called when a lane, the ledger or the hand-overs have room again. */
  onRoom(): void {
    if (this.#holdTimer === null && !this.#isRefusedByShare) return;
    this.#offerStashes();
    if (this.#holdTimer === null || this.#holdMs() > 0) return;
    clearTimeout(this.#holdTimer);
    this.#holdTimer = null;
    this.#poll();
  }

  /**
   * To be called when an assignment stops being active and its stash is gone. A
   * pause is taken back, since librdkafka keeps it for when the partition comes again.
   */
  forget(assignment: Assignment): void {
    this.#blocked.delete(assignment);
    this.#slow.delete(assignment);
    this.#dueWait.forget(assignment);
    this.#stopped.readOn([assignment]);
  }

  /** How long the next poll waits for partitions that are read on, not known to be slow, and refused; 0 for none. */
  #holdMs(): number {
    let holdMs = 0;
    let isShareFull = false;
    for (const [assignment, { refusal }] of this.#blocked) {
      if (refusal === 'not_due' || this.#stopped.has(assignment)) continue;
      if (refusal === 'bound') return HOLD_MS;
      isShareFull = true;
      if (!this.#slow.has(assignment)) holdMs = SHARE_HOLD_MS;
    }
    return isShareFull && this.#options.isCatchingUp() ? HOLD_MS : holdMs;
  }

  get #isRefusedByShare(): boolean {
    for (const { refusal } of this.#blocked.values()) if (refusal === 'share') return true;
    return false;
  }

  #poll(): void {
    if (this.#state !== 'running') return;
    const { clock, source } = this.#options;
    const startedMs = clock.monotonicMs();
    source.poll(limits.pollMaxRecords, (error, records) => {
      const nowMs = clock.monotonicMs();
      this.stats.lastPollMs = nowMs;
      this.stats.polls++;
      this.stats.pollSeconds += (nowMs - startedMs) / 1000;
      if (error !== null) this.#options.onError(error);
      for (const record of records) this.#take(record);
      this.#offerStashes();
      if (this.#state === 'running') this.#pollAgain();
    });
  }

  #pollAgain(): void {
    const holdMs = this.#holdMs();
    if (holdMs > 0) {
      this.#holdTimer = setTimeout(() => {
        this.#holdTimer = null;
        this.#endHold();
        this.#poll();
      }, holdMs);
    } else {
      setImmediate(() => {
        this.#poll();
      });
    }
  }

  /** What was refused all along is paused, or slow from now on. */
  #endHold(): void {
    this.#pauseRefusedBy('bound');
    if (this.#options.isCatchingUp()) return;
    for (const [assignment, { refusal }] of this.#blocked) {
      if (refusal === 'share') this.#slow.add(assignment);
    }
  }

  #pauseRefusedBy(refusal: Refusal): void {
    const toPause: Assignment[] = [];
    for (const [assignment, blocked] of this.#blocked) {
      if (blocked.refusal === refusal && !this.#stopped.has(assignment)) toPause.push(assignment);
    }
    this.#stopped.pause(toPause);
  }

  #take(record: SourceRecord): void {
    this.stats.recordsPolled++;
    this.stats.bytesPolled += record.value?.length ?? 0;
    const assignment = this.#options.assignments.find(record.topic, record.partition);
    // A partition on its way out is read again by its next owner; a record seen before comes of a pause and resume.
    if (!this.#admitting || assignment?.state !== 'active' || record.offset <= assignment.lastRead) return;
    if (assignment.delayMs !== null && !this.#dueWait.accepts(assignment, record.offset)) return;
    assignment.lastRead = record.offset;
    if (!assignment.isBlocked) {
      if (this.#offer(assignment, record)) return;
      // A record that is not due has taken itself back.
      if (assignment.lastRead < record.offset) return;
      const sinceMs = this.#options.clock.monotonicMs();
      this.#blocked.set(assignment, { sinceMs, refusal: this.#refusal, dueAtMs: this.#dueAtMs });
    }
    assignment.stash(record);
  }

  /** Admits what can be admitted of the stashes, and sends all that is packed. */
  #offerStashes(): void {
    const unblocked: Assignment[] = [];
    let records = 0;
    let bytes = 0;
    this.#kept.reset();
    const nowMs = this.#options.clock.monotonicMs();
    const wallMs = this.#options.clock.wallMs();
    for (const [assignment, blocked] of this.#blocked) {
      if (blocked.dueAtMs <= wallMs) this.#offerStash(assignment, blocked, nowMs);
      if (!assignment.isBlocked) {
        this.#blocked.delete(assignment);
        if (nowMs - blocked.sinceMs < SHARE_HOLD_MS) this.#slow.delete(assignment);
        unblocked.push(assignment);
      } else if (blocked.refusal === 'not_due') {
        if (this.#kept.add(assignment) && !this.#stopped.has(assignment)) this.#stopped.hold(assignment);
      } else {
        records += assignment.stashed;
        bytes += assignment.stashedBytes;
      }
    }
    this.#stopped.readOn(unblocked);
    if (records > STASH_RECORDS || bytes > STASH_BYTES) this.#pauseRefusedBy('share');
    this.#door.sendAll();
  }

  #offerStash(assignment: Assignment, blocked: Blocked, nowMs: number): void {
    assignment.unstash((record) => this.#offer(assignment, record));
    if (!assignment.isBlocked) return;
    // What has waited for its time is refused from now on.
    if (blocked.refusal === 'not_due') blocked.sinceMs = nowMs;
    blocked.refusal = this.#refusal;
    blocked.dueAtMs = this.#dueAtMs;
  }

  /** @returns false when a bound or a missing schema refuses it for now, or its time has not come. */
  #offer(assignment: Assignment, record: SourceRecord): boolean {
    this.#refusal = 'bound';
    this.#dueAtMs = 0;
    return assignment.delayMs === null
      ? this.#admit(assignment, record, record.topic, null)
      : this.#offerRetry(assignment, record, assignment.delayMs);
  }

  #offerRetry(assignment: Assignment, record: SourceRecord, delayMs: number): boolean {
    const { retries, clock } = this.#options;
    const headers = headerPairs(record.headers ?? []);
    const note = retries.read(headers);
    if (note === null) return this.#admit(assignment, record, null, null);
    const nowMs = clock.wallMs();
    // What is due within the smallest delay has no topic that is short enough.
    const readyAtMs = Math.min((record.timestamp ?? 0) + delayMs, note.dueMs);
    if (nowMs < readyAtMs) {
      this.#waitFor(readyAtMs, assignment, record.offset);
      return false;
    }
    if (this.#isFull(assignment)) return false;
    const isHop = retries.isHopNeeded(note.dueMs, nowMs);
    if (retries.isCopy(note, isHop, assignment.id, record.offset)) {
      assignment.frontier.release(assignment.frontier.admit(record.offset));
      return true;
    }
    if (!isHop) return this.#admit(assignment, record, note.sourceTopic, note.destinationId);
    if (!this.#options.mayAdmit()) return false;
    retries.hop({
      assignment: assignment.id,
      sequence: assignment.frontier.admit(record.offset),
      key: record.key ?? null,
      value: record.value,
      headers,
      dueAtMs: note.dueMs,
      note,
    });
    return true;
  }

  /** Its head is due then: kept in memory, or read again. */
  #waitFor(readyAtMs: number, assignment: Assignment, offset: number): void {
    if (this.#kept.hasRoom) {
      this.#refusal = 'not_due';
      this.#dueAtMs = readyAtMs;
      return;
    }
    assignment.rewindTo(offset);
    this.#dueWait.wait(assignment, offset, readyAtMs, this.#stopped.leave(assignment));
  }

  /**
   * @param sourceTopic whose mapping its event has; null for a record that is no event, whatever its value is.
   * @param destinationId of a retry; null for what is for all destinations.
   * @returns false when a bound or a missing schema refuses it for now.
   */
  #admit(
    assignment: Assignment,
    record: SourceRecord,
    sourceTopic: string | null,
    destinationId: string | null,
  ): boolean {
    const { peek } = this.#options;
    if (this.#isFull(assignment) || !this.#options.mayAdmit()) return false;
    if (sourceTopic === null) peek.refuse();
    else if (!peek.look(record, this.#options.mappingOf(sourceTopic, record))) {
      this.#options.onSchemaNeeded(peek.schemaId);
      return false;
    }
    const refusal = this.#door.admit(assignment, record, destinationId);
    if (refusal !== null) this.#refusal = refusal;
    return refusal === null;
  }

  /** A partition whose window is full waits for its own records; others have windows of their own. */
  #isFull(assignment: Assignment): boolean {
    if (assignment.isFull) this.#refusal = 'share';
    return assignment.isFull;
  }
}
