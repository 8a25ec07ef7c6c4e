import type { Clock } from '../../src/domain/clock.ts';
import type { LedgerTimers } from '../../src/ledger/batch-sender.ts';

interface Timer {
  readonly dueMs: number;
  readonly callback: () => void;
}

/** Time that passes only when told to, in the order of the timers. */
export class SimulatedTime implements Clock, LedgerTimers {
  #nowMs = 0;
  readonly #timers = new Set<Timer>();

  monotonicMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return this.#nowMs;
  }

  set(callback: () => void, delayMs: number): unknown {
    const timer = { dueMs: this.#nowMs + delayMs, callback };
    this.#timers.add(timer);
    return timer;
  }

  clear(timer: unknown): void {
    this.#timers.delete(timer as Timer);
  }

  get timers(): number {
    return this.#timers.size;
  }

  /** Runs the timers that fall due on the way, each with all that follows from it. */
  async advance(byMs: number): Promise<void> {
    const untilMs = this.#nowMs + byMs;
    await settle();
    for (let next = this.#next(untilMs); next !== null; next = this.#next(untilMs)) {
      this.#nowMs = next.dueMs;
      this.#timers.delete(next);
      next.callback();
      await settle();
    }
    this.#nowMs = untilMs;
  }

  #next(untilMs: number): Timer | null {
    let next: Timer | null = null;
    for (const timer of this.#timers) {
      if (timer.dueMs <= untilMs && (next === null || timer.dueMs < next.dueMs)) next = timer;
    }
    return next;
  }
}

/** Lets all promises that can settle do so. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
