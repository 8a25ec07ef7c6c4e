import type { Clock } from '../../src/domain/clock.ts';

/** A clock that stands still until the test moves it; both times run together. */
export class ManualClock implements Clock {
  nowMs = 1_000_000;

  readonly monotonicMs = (): number => this.nowMs;
  readonly wallMs = (): number => this.nowMs;
}
