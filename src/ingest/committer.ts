import type { TopicPartitionOffset } from '../domain/record.ts';
import type { Assignment } from './assignment.ts';
import type { Assignments } from './assignments.ts';

const SETTLE_CHECK_MS = 10;

/** What the committer needs of the consumer. */
export interface OffsetSink {
  commit(offsets: readonly TopicPartitionOffset[]): void;
}

export interface CommitStats {
  commits: number;
  failures: number;
}

/**
 * Commits the frontiers, asynchronously, never lower than before, and only for
 * assignments this process still owns: an answer for an ended epoch finds none.
 * A refused commit is asked for again at the next tick, from the frontier of then.
 */
export class Committer {
  readonly stats: CommitStats = { commits: 0, failures: 0 };
  readonly #sink: OffsetSink;
  readonly #assignments: Assignments;
  readonly #onFailure: (message: string) => void;

  constructor(sink: OffsetSink, assignments: Assignments, onFailure: (message: string) => void) {
    this.#sink = sink;
    this.#assignments = assignments;
    this.#onFailure = onFailure;
  }

  /** Asks to commit every frontier that moved since it was last asked for. */
  tick(assignments: Iterable<Assignment> = this.#assignments.all()): void {
    const offsets: TopicPartitionOffset[] = [];
    for (const assignment of assignments) {
      const offset = assignment.frontier.position;
      if (offset <= assignment.commitRequested) continue;
      assignment.commitRequested = offset;
      offsets.push({ topic: assignment.topic, partition: assignment.partition, offset });
    }
    if (offsets.length === 0) return;
    try {
      this.#sink.commit(offsets);
    } catch (error) {
      this.answer(String(error), offsets);
    }
  }

  /**
   * The broker's answer to a commit.
   * @param offsets those it is about, as far as they are known.
   */
  answer(error: string | null, offsets: readonly TopicPartitionOffset[]): void {
    if (error === null) this.stats.commits++;
    else {
      this.stats.failures++;
      this.#onFailure(error);
    }
    if (error !== null) {
      // The answer does not always say which partitions it is about, and asking once too often does no harm.
      for (const assignment of this.#assignments.all()) assignment.commitRequested = assignment.committed;
      return;
    }
    for (const { topic, partition, offset } of offsets) {
      const assignment = this.#assignments.find(topic, partition);
      if (assignment === undefined || offset > assignment.commitRequested) continue;
      assignment.committed = Math.max(assignment.committed, offset);
    }
  }

  /** Commits these and waits until the broker has acknowledged them all, or the time is up. */
  async commitAll(assignments: readonly Assignment[], timeoutMs: number): Promise<boolean> {
    for (let waitedMs = 0; ; waitedMs += SETTLE_CHECK_MS) {
      if (assignments.every((a) => a.committed >= a.frontier.position)) return true;
      if (waitedMs >= timeoutMs) return false;
      this.tick(assignments);
      await new Promise((resolve) => setTimeout(resolve, SETTLE_CHECK_MS));
    }
  }
}
