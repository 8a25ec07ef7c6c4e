import { limits } from '../domain/limits.ts';
import type { TopicPartitionOffset } from '../domain/record.ts';
import type { Assignment } from './assignment.ts';
import type { Assignments } from './assignments.ts';

const SETTLE_CHECK_MS = 10;
/** A commit that was refused is not asked for again at every look. */
const SETTLE_ASK_MS = 50;

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
 *
 * One is out at a time. librdkafka sends a commit that did not get through to the
 * coordinator once more, after others that were asked for later; the broker takes
 * each as it comes, so the group would end up at the lower offset.
 */
export class Committer {
  readonly stats: CommitStats = { commits: 0, failures: 0 };
  #asked = 0;
  #answered = 0;
  /** Who asks whether this process still owns its partitions; null when nobody does. */
  #onAnswer: ((isOwner: boolean) => void) | null = null;
  /** Whether the commit that is out is that question; if not, it is asked next. */
  #isQuestionOut = false;
  readonly #sink: OffsetSink;
  readonly #assignments: Assignments;
  readonly #onFailure: (message: string) => void;

  constructor(sink: OffsetSink, assignments: Assignments, onFailure: (message: string) => void) {
    this.#sink = sink;
    this.#assignments = assignments;
    this.#onFailure = onFailure;
  }

  /**
   * Asks to commit every frontier that moved since it was last asked for, unless a commit is out. Not those that have
   * ended: of a member that was evicted and has joined again the broker takes commits for any partition.
   */
  tick(assignments: Iterable<Assignment> = this.#assignments.all()): void {
    if (this.#isOut) return;
    const offsets: TopicPartitionOffset[] = [];
    for (const assignment of assignments) {
      const offset = assignment.frontier.position;
      if (assignment.state === 'ended' || offset <= assignment.commitRequested) continue;
      assignment.onCommitAsked(offset);
      offsets.push({ topic: assignment.topic, partition: assignment.partition, offset });
    }
    if (offsets.length > 0) this.#commit(offsets);
  }

  /** The same at once for partitions that admit no more soon because so much of them is uncommitted. */
  tickWhereMuch(): void {
    for (const assignment of this.#assignments.all()) {
      const isAnswered = assignment.committed >= assignment.commitRequested;
      if (isAnswered && assignment.uncommitted * 2 >= limits.uncommittedRecords) this.tick([assignment]);
    }
  }

  /**
   * Asks the broker whether this process still owns its partitions, by committing every
   * frontier as it is: a member that was evicted is refused. A new question replaces an older one.
   *
   * @param onAnswer called once: true when the broker has accepted this commit and every one that was out before;
   * false also while nothing was ever admitted.
   */
  affirm(onAnswer: (isOwner: boolean) => void): void {
    this.#onAnswer = onAnswer;
    // What is out was asked before.
    this.#isQuestionOut = false;
    if (!this.#isOut) this.#ask();
  }

  #ask(): void {
    const offsets: TopicPartitionOffset[] = [];
    for (const assignment of this.#assignments.all()) {
      const offset = Math.max(assignment.frontier.position, assignment.committed);
      if (offset < 0) continue;
      assignment.onCommitAsked(offset);
      offsets.push({ topic: assignment.topic, partition: assignment.partition, offset });
    }
    if (offsets.length === 0) {
      // The broker can't be asked before something is admitted. What is admitted next may be another's by now.
      this.#tell(false);
      return;
    }
    this.#isQuestionOut = true;
    this.#commit(offsets);
  }

  #commit(offsets: readonly TopicPartitionOffset[]): void {
    this.#asked++;
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
    this.#answered++;
    this.#answerQuestion(error);
    this.#note(error, offsets);
    if (this.#onAnswer !== null && !this.#isOut) this.#ask();
  }

  #note(error: string | null, offsets: readonly TopicPartitionOffset[]): void {
    if (error === null) this.stats.commits++;
    else {
      this.stats.failures++;
      this.#onFailure(error);
    }
    if (error !== null) {
      // The answer does not always say which partitions it is about, and asking once too often does no harm.
      for (const assignment of this.#assignments.all()) assignment.onCommitRefused();
      return;
    }
    for (const { topic, partition, offset } of offsets) {
      const assignment = this.#assignments.find(topic, partition);
      if (assignment === undefined) continue;
      if (offset > assignment.commitRequested) assignment.onCommittedBefore(offset);
      else assignment.onCommitted(offset);
    }
  }

  /** The answer to an earlier commit is none to the question, unless it is a refusal. */
  #answerQuestion(error: string | null): void {
    const isAnswer = this.#isQuestionOut || error !== null;
    this.#isQuestionOut = false;
    if (isAnswer) this.#tell(error === null);
  }

  #tell(isOwner: boolean): void {
    const onAnswer = this.#onAnswer;
    this.#onAnswer = null;
    onAnswer?.(isOwner);
  }

  get #isOut(): boolean {
    return this.#asked > this.#answered;
  }

  /**
   * Commits these and waits until the broker has acknowledged all that have not ended, or the time is up.
   * @param inDoubtMs how long in all a commit is waited for that is out: answered after the partition has another
   * owner, it would show that owner's commits going back.
   */
  async commitAll(
    assignments: readonly Assignment[],
    timeoutMs: number,
    inDoubtMs = timeoutMs,
  ): Promise<boolean> {
    for (let waitedMs = 0; ; waitedMs += SETTLE_CHECK_MS) {
      if (assignments.every((a) => a.state === 'ended' || a.committed >= a.frontier.position)) return true;
      if (waitedMs >= (this.#isOut ? inDoubtMs : timeoutMs)) return false;
      if (waitedMs % SETTLE_ASK_MS === 0) this.tick(assignments);
      await new Promise((resolve) => setTimeout(resolve, SETTLE_CHECK_MS));
    }
  }
}
