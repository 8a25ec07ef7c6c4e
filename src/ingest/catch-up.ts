import type { Clock } from '../domain/clock.ts';
import type { Assignment } from './assignment.ts';

/** A lane that works for so much of the time is not waiting for receivers, nor for records. */
const BUSY_SHARE = 0.5;
/** A partition with more than this to be read is behind: several polls. */
const BEHIND_RECORDS = 2_000;
/** How long an answer holds, and so the time that it is about. */
const LOOK_MS = 100;

export interface CatchUpOptions {
  readonly clock: Pick<Clock, 'monotonicMs'>;
  /** What this process owns. */
  assignments(): Iterable<Pick<Assignment, 'topic' | 'partition' | 'delayMs' | 'lastRead'>>;
  /** The offset behind the newest record of a partition, −1 when unknown; no I/O. */
  highWatermark(topic: string, partition: number): number;
  /** For how long each lane has worked since it began. */
  busyMs(): readonly number[];
}

/**
 * Whether the process as a whole is behind: most of its source partitions with anything to
 * be read have much of it, and every lane is at work. What reading on would find then no lane
 * could take sooner, so what a share refuses may hold the next poll back, as a bound may.
 *
 * Lanes that wait for slow receivers are not at work: then the partitions of others are
 * to be read, however many are behind.
 */
export class CatchUp {
  readonly #options: CatchUpOptions;
  #isOn = false;
  #lookedAtMs = -Infinity;
  #busyMs: readonly number[] = [];

  constructor(options: CatchUpOptions) {
    this.#options = options;
  }

  isOn(): boolean {
    const nowMs = this.#options.clock.monotonicMs();
    const passedMs = nowMs - this.#lookedAtMs;
    if (passedMs < LOOK_MS) return this.#isOn;
    const busyMs = this.#options.busyMs();
    const areBusy = busyMs.every((ms, lane) => ms - (this.#busyMs[lane] ?? ms) >= passedMs * BUSY_SHARE);
    this.#lookedAtMs = nowMs;
    this.#busyMs = busyMs;
    this.#isOn = areBusy && this.#areMostBehind();
    return this.#isOn;
  }

  #areMostBehind(): boolean {
    let unread = 0;
    let behind = 0;
    for (const { topic, partition, delayMs, lastRead } of this.#options.assignments()) {
      // Where nothing was read yet, what is to be read is not known.
      if (delayMs !== null || lastRead < 0) continue;
      const records = this.#options.highWatermark(topic, partition) - lastRead - 1;
      if (records > 0) unread++;
      if (records >= BEHIND_RECORDS) behind++;
    }
    return behind * 2 > unread;
  }
}
