import type { TopicPartition } from '../domain/record.ts';
import type { Assignment } from './assignment.ts';

/** How the reading of partitions is stopped and goes on. */
export interface StoppableSource {
  pause(partitions: readonly TopicPartition[]): void;
  resume(partitions: readonly TopicPartition[]): void;
  /** Reads nothing more of it, and drops what is prefetched; not worth a line in the log. */
  hold(place: TopicPartition): void;
  /** Takes a hold back. */
  release(place: TopicPartition): void;
}

/** Partitions that are not read on for now: paused for trouble, or held since they wait for their time. */
export class StoppedPartitions {
  readonly #source: StoppableSource;
  readonly #stopped = new Map<Assignment, 'paused' | 'held'>();

  constructor(source: StoppableSource) {
    this.#source = source;
  }

  has(assignment: Assignment): boolean {
    return this.#stopped.has(assignment);
  }

  isPaused(assignment: Assignment): boolean {
    return this.#stopped.get(assignment) === 'paused';
  }

  pause(assignments: readonly Assignment[]): void {
    if (assignments.length === 0) return;
    for (const assignment of assignments) this.#stopped.set(assignment, 'paused');
    this.#source.pause(assignments.map(placeOf));
  }

  hold(assignment: Assignment): void {
    this.#stopped.set(assignment, 'held');
    this.#source.hold(placeOf(assignment));
  }

  /** Takes back what stopped the reading of these; of others nothing changes. */
  readOn(assignments: readonly Assignment[]): void {
    const paused: TopicPartition[] = [];
    for (const assignment of assignments) {
      const how = this.#stopped.get(assignment);
      this.#stopped.delete(assignment);
      if (how === 'paused') paused.push(placeOf(assignment));
      if (how === 'held') this.#source.release(placeOf(assignment));
    }
    if (paused.length > 0) this.#source.resume(paused);
  }

  /** From now on it is another's to let it be read. @returns whether it was stopped, and so still is. */
  leave(assignment: Assignment): boolean {
    return this.#stopped.delete(assignment);
  }

  /** All are left as they are. */
  clear(): void {
    this.#stopped.clear();
  }
}

export function placeOf({ topic, partition }: TopicPartition): TopicPartition {
  return { topic, partition };
}
