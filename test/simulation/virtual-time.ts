import type { Clock } from '../../src/domain/clock.ts';

/** Monotonic time starts at 0; the wall clock then shows this. */
const EPOCH_MS = 1_760_000_000_000;

/** Whose events they are: a process runs, stands still (its events wait), or is dead (they never come). */
export class Owner {
  state: 'running' | 'stopped' | 'dead' = 'running';
  readonly deferred: Occurrence[] = [];
}

/** Something that happens at a time; also what `setTimeout` gives out. */
export class Occurrence {
  readonly atMs: number;
  readonly order: number;
  readonly owner: Owner | null;
  readonly run: () => void;
  isCancelled = false;

  constructor(atMs: number, order: number, owner: Owner | null, run: () => void) {
    this.atMs = atMs;
    this.order = order;
    this.owner = owner;
    this.run = run;
  }

  unref(): this {
    return this;
  }

  precedes(other: Occurrence): boolean {
    return this.atMs < other.atMs || (this.atMs === other.atMs && this.order < other.order);
  }
}

const realSetImmediate = setImmediate;
const realGlobals = { setTimeout, clearTimeout, setInterval, clearInterval, setImmediate };

/**
 * Time that passes from one event to the next, in one order for one seed. The code
 * under test uses the global timers, so these are replaced while it runs; a timer
 * belongs to the process whose event set it.
 */
export class VirtualTime implements Clock {
  nowMs = 0;
  /** The process whose code runs now; null in between and for the world outside. */
  current: Owner | null = null;
  readonly #heap: Occurrence[] = [];
  readonly #onThrown: (error: unknown) => void;
  #orders = 0;

  /** @param onThrown hears of what an event throws; time goes on. */
  constructor(onThrown: (error: unknown) => void) {
    this.#onThrown = onThrown;
  }

  readonly monotonicMs = (): number => this.nowMs;
  readonly wallMs = (): number => EPOCH_MS + this.nowMs;

  at(delayMs: number, owner: Owner | null, run: () => void): Occurrence {
    const occurrence = new Occurrence(this.nowMs + delayMs, this.#orders++, owner, run);
    this.#push(occurrence);
    return occurrence;
  }

  /** What waited while it stood still happens now, in its order. */
  resume(owner: Owner): void {
    owner.state = 'running';
    for (const { run, isCancelled } of owner.deferred.splice(0)) if (!isCancelled) this.at(0, owner, run);
  }

  /** Runs until the time, or until the world is done. */
  async run(untilMs: number, isDone: () => boolean): Promise<void> {
    for (let next = this.#pop(untilMs); next !== null && !isDone(); next = this.#pop(untilMs)) {
      const { owner } = next;
      this.nowMs = next.atMs;
      if (next.isCancelled || owner?.state === 'dead') continue;
      if (owner?.state === 'stopped') {
        owner.deferred.push(next);
        continue;
      }
      this.current = owner;
      try {
        next.run();
      } catch (error) {
        this.#onThrown(error);
      }
      // All that follows from it by promises belongs to the same process.
      if (owner !== null) await new Promise((resolve) => realSetImmediate(resolve));
      this.current = null;
    }
  }

  /** What this does, and the timers it sets, are the process's own. */
  asOwner(owner: Owner, run: () => void): void {
    this.at(0, owner, run);
  }

  installTimers(): void {
    const later = (delayMs: number | undefined, run: () => void): Occurrence =>
      this.at(Math.max(1, delayMs ?? 1), this.current, run);
    const clear = (timer: Occurrence | null | undefined): void => {
      if (timer) timer.isCancelled = true;
    };
    Object.assign(globalThis, {
      setTimeout: (run: (...args: unknown[]) => void, delayMs?: number, ...args: unknown[]) =>
        later(delayMs, () => {
          run(...args);
        }),
      setImmediate: (run: () => void) => this.at(0, this.current, run),
      clearTimeout: clear,
    });
  }

  #push(occurrence: Occurrence): void {
    const heap = this.#heap;
    let at = heap.push(occurrence) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!occurrence.precedes(heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = occurrence;
  }

  #pop(untilMs: number): Occurrence | null {
    const heap = this.#heap;
    const first = heap[0];
    if (first === undefined || first.atMs > untilMs) return null;
    const last = heap.pop()!;
    let at = 0;
    for (let child = 1; child < heap.length; child = at * 2 + 1) {
      if (child + 1 < heap.length && heap[child + 1]!.precedes(heap[child]!)) child++;
      if (!heap[child]!.precedes(last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    if (heap.length > 0) heap[at] = last;
    return first;
  }
}

export function restoreTimers(): void {
  Object.assign(globalThis, realGlobals);
}
