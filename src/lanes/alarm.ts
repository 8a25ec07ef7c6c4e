import type { Clock } from '../domain/clock.ts';
import { DueQueue } from '../limit/due-queue.ts';

/** Something that waits for a time. */
export interface Due {
  onDue(): void;
}

/** One timer for everything in a lane that waits: tokens and back-offs. Times are monotonic milliseconds. */
export class Alarm {
  readonly #clock: Clock;
  readonly #queue = new DueQueue<Due>();
  #timer: NodeJS.Timeout | null = null;
  #timerDueMs = Infinity;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#queue.size;
  }

  nowMs(): number {
    return this.#clock.monotonicMs();
  }

  set(due: Due, dueMs: number): void {
    this.#queue.add(due, dueMs);
    this.#arm();
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  readonly #ring = (): void => {
    this.#timer = null;
    this.#timerDueMs = Infinity;
    const nowMs = this.#clock.monotonicMs();
    let due = this.#queue.takeDue(nowMs);
    while (due !== undefined) {
      due.onDue();
      due = this.#queue.takeDue(nowMs);
    }
    this.#arm();
  };

  #arm(): void {
    const dueMs = this.#queue.nextDueMs;
    if (dueMs >= this.#timerDueMs) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timerDueMs = dueMs;
    this.#timer = setTimeout(this.#ring, Math.max(1, Math.ceil(dueMs - this.#clock.monotonicMs())));
  }
}
