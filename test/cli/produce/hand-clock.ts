import type { Clock } from '../../../src/domain/clock.ts';

/** A clock that moves when it is told to. */
export class HandClock implements Clock {
  #nowMs = 0;

  monotonicMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return 1_700_000_000_000 + this.#nowMs;
  }

  advance(ms: number): void {
    this.#nowMs += ms;
  }
}
