import type { Clock } from '../domain/clock.ts';
import type { TopicPartitionOffset } from '../domain/record.ts';
import type { Assignment } from './assignment.ts';
import { placeOf, type StoppableSource } from './stopped-partitions.ts';

/**
 * A partition is not read again sooner than this share of its topic's delay. Each wait throws
 * away what was prefetched, and fetching it again takes the broker's time and that of the
 * other delay topics. So a topic whose records fall due one after another is read in portions
 * of that much time, and a due time may be missed by as much.
 */
const PORTION_SHARE = 0.04;
const MIN_PORTION_MS = 250;
const MAX_PORTION_MS = 10_000;
/** The wall clock may jump, so no timer trusts it for longer. */
const MAX_TIMER_MS = 30_000;
const SEEK_RETRY_MS = 500;

/** What waiting needs of the consumer. */
export interface HoldableSource extends Pick<StoppableSource, 'hold' | 'release'> {
  /** The next record read is the first one from this offset on; the partition is held meanwhile. */
  seek(place: TopicPartitionOffset, callback: (error: string | null) => void): void;
}

export interface DueWaitOptions {
  readonly source: HoldableSource;
  readonly clock: Clock;
  onError(message: string): void;
}

interface Wait {
  readonly offset: number;
  readonly dueAtMs: number;
  /** It was read on from a later offset than this once already. */
  readonly isSecond: boolean;
  isSeeking: boolean;
}

/**
 * Partitions of delay topics whose head is not due. Of each only the head's offset
 * is kept, and nothing else in memory:
 *
 *   read ──(head not due)──► held ──(its time, by the wall clock)──► seeking ──► read from the head on
 *
 * Within one topic every record waits equally long from its append on, so none
 * behind the head is due before it. One timer serves them all. A seek that fails is
 * made again; until it has succeeded, what is read of the partition counts for nothing.
 * Should reading go on behind the head all the same, it is sought once more: a record
 * passed over would be lost without a trace. Only retention explains the second time.
 */
export class DueWait {
  readonly #options: DueWaitOptions;
  readonly #waits = new Map<Assignment, Wait>();
  /** Heads that were sought and not read yet. */
  readonly #sought = new Map<Assignment, Wait>();
  #timer: NodeJS.Timeout | null = null;

  constructor(options: DueWaitOptions) {
    this.#options = options;
  }

  /** Partitions that wait. */
  get size(): number {
    return this.#waits.size;
  }

  /** Whether a record read of it now may be taken; if not, it is read again later. */
  accepts(assignment: Assignment, offset: number): boolean {
    if (this.#waits.has(assignment)) return false;
    const head = this.#sought.get(assignment);
    if (head === undefined) return true;
    this.#sought.delete(assignment);
    if (offset === head.offset || head.isSecond) return true;
    this.#options.source.hold(placeOf(assignment));
    this.#begin(assignment, { ...head, isSecond: true, isSeeking: false });
    return false;
  }

  /**
   * @param offset of the head, which is read again when it is due.
   * @param dueAtMs Unix epoch.
   * @param isHeld it is paused already; the pause becomes the wait's.
   */
  wait(assignment: Assignment, offset: number, dueAtMs: number, isHeld: boolean): void {
    if (!isHeld) this.#options.source.hold(placeOf(assignment));
    const soonestMs = this.#options.clock.wallMs() + portionMs(assignment.delayMs ?? 0);
    this.#begin(assignment, {
      offset,
      dueAtMs: Math.max(dueAtMs, soonestMs),
      isSecond: false,
      isSeeking: false,
    });
  }

  /** It is no longer this process's to read. */
  forget(assignment: Assignment): void {
    this.#sought.delete(assignment);
    if (this.#waits.delete(assignment)) this.#options.source.release(placeOf(assignment));
  }

  /** Nothing is read again. */
  stop(): void {
    this.#waits.clear();
    this.#sought.clear();
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #begin(assignment: Assignment, wait: Wait): void {
    this.#waits.set(assignment, wait);
    this.#arm();
  }

  #arm(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    let nextMs = Infinity;
    for (const { dueAtMs, isSeeking } of this.#waits.values()) {
      if (!isSeeking && dueAtMs < nextMs) nextMs = dueAtMs;
    }
    if (nextMs === Infinity) return;
    // A timer may fire up to a millisecond early; it is then set once more.
    const delayMs = Math.min(MAX_TIMER_MS, Math.max(1, Math.ceil(nextMs - this.#options.clock.wallMs())));
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#wake();
    }, delayMs);
  }

  #wake(): void {
    const nowMs = this.#options.clock.wallMs();
    for (const [assignment, wait] of this.#waits) {
      if (!wait.isSeeking && wait.dueAtMs <= nowMs) this.#seek(assignment, wait);
    }
    this.#arm();
  }

  #seek(assignment: Assignment, wait: Wait): void {
    const { source, clock } = this.#options;
    wait.isSeeking = true;
    source.seek({ ...placeOf(assignment), offset: wait.offset }, (error) => {
      // Given up meanwhile, perhaps even taken on again.
      if (this.#waits.get(assignment) !== wait) return;
      if (error === null) {
        this.#waits.delete(assignment);
        this.#sought.set(assignment, wait);
        source.release(placeOf(assignment));
        return;
      }
      this.#options.onError(`seek to ${assignment.topic}/${assignment.partition}@${wait.offset}: ${error}`);
      this.#begin(assignment, { ...wait, dueAtMs: clock.wallMs() + SEEK_RETRY_MS, isSeeking: false });
    });
  }
}

function portionMs(delayMs: number): number {
  return Math.max(MIN_PORTION_MS, Math.min(MAX_PORTION_MS, delayMs * PORTION_SHARE));
}
