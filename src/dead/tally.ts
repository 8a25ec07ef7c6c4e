import type { DeadKind, DeadLetterFacts } from './dead-letter.ts';
import type { DeadState } from './scan.ts';

/** Names counted apart; letters of any further name are counted under `OTHERS`. */
const MAX_NAMES = 200;
export const OTHERS = '(others)';

/** How many dead letters there are of one kind, reason and destination. */
export interface TallyLine {
  readonly destinationId: string;
  readonly kind: DeadKind | '';
  readonly reason: string;
  count: number;
}

/** Counts dead letters by destination, kind and reason. Memory is bounded, whatever reasons and destinations come. */
export class Tally {
  total = 0;
  readonly #lines = new Map<string, TallyLine>();

  add({ destinationId, kind, reason }: DeadLetterFacts): void {
    this.total++;
    const key = JSON.stringify([destinationId, kind, reason]);
    const isNew = !this.#lines.has(key) && this.#lines.size >= MAX_NAMES;
    const line = isNew
      ? this.#line('', { destinationId: OTHERS, kind: '', reason: OTHERS, count: 0 })
      : this.#line(key, { destinationId, kind, reason, count: 0 });
    line.count++;
  }

  /** The most frequent first. */
  lines(): readonly Readonly<TallyLine>[] {
    return [...this.#lines.values()].sort(
      (a, b) => b.count - a.count || compareText(lineText(a), lineText(b)),
    );
  }

  /** Counts by reason alone, the most frequent first. */
  reasons(): readonly (readonly [reason: string, count: number])[] {
    const counts = new Map<string, number>();
    for (const { reason, count } of this.#lines.values())
      counts.set(reason, (counts.get(reason) ?? 0) + count);
    return [...counts].sort((a, b) => b[1] - a[1] || compareText(a[0], b[0]));
  }

  #line(key: string, fresh: TallyLine): TallyLine {
    const found = this.#lines.get(key);
    if (found !== undefined) return found;
    this.#lines.set(key, fresh);
    return fresh;
  }
}

/** A dead letter and how it stands. */
export interface Standing {
  readonly letter: DeadLetterFacts;
  readonly state: DeadState;
}

/** Keeps the newest dead letters of all that are offered, at most `limit`. */
export class Newest {
  readonly #limit: number;
  #kept: Standing[] = [];

  constructor(limit: number) {
    this.#limit = limit;
  }

  offer(standing: Standing): void {
    this.#kept.push(standing);
    // Cut only at twice the limit, so that sorting costs little per letter.
    if (this.#kept.length >= this.#limit * 2) this.#cut();
  }

  /** The newest last. */
  list(): readonly Standing[] {
    this.#cut();
    return this.#kept;
  }

  #cut(): void {
    this.#kept = this.#kept.sort(byAge).slice(-this.#limit);
  }
}

function byAge({ letter: a }: Standing, { letter: b }: Standing): number {
  return a.diedAtMs - b.diedAtMs || a.place.partition - b.place.partition || a.place.offset - b.place.offset;
}

function lineText({ destinationId, kind, reason }: TallyLine): string {
  return `${destinationId} ${kind} ${reason}`;
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
