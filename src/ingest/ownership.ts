import type { Recovered, TopicPartition } from '../domain/record.ts';
import type { Assignment } from './assignment.ts';
import type { Assignments } from './assignments.ts';
import type { Committer } from './committer.ts';

const CHECK_MS = 10;
const COMMIT_TIMEOUT_MS = 3_000;
const RECOVER_RETRY_MS = 500;
const NOTHING_RECOVERED: Recovered = { deliveryIds: new Set(), lastOffset: -1 };

export interface OwnershipOptions {
  readonly group: {
    assign(partitions: readonly TopicPartition[]): void;
    unassign(partitions: readonly TopicPartition[]): void;
  };
  readonly assignments: Assignments;
  readonly committer: Committer;
  readonly revokeDeadlineMs: number;
  /**
   * Finds out what a former owner delivered and did not commit. Rejects when that can't be told now.
   * @returns per partition, in their order.
   */
  recover(partitions: readonly TopicPartition[]): Promise<readonly Recovered[]>;
  /** Tells the lanes of a new epoch, before any record of it. */
  onBegin(assignment: Assignment, recovered: Recovered): void;
  /** It admits nothing any more; what is read ahead of it must be dropped. */
  onRevoking(assignment: Assignment): void;
  /** Tells the lanes to forget what they have not sent. */
  onEnd(assignments: readonly Assignment[]): void;
  /** Resolves once everything settled so far is durable. */
  flush(): Promise<void>;
  onError(message: string): void;
}

/**
 * Takes partitions on and gives them up. Taking on begins with the ledger, which
 * knows what was delivered after the last commit, so that a crash repeats only what
 * it had not recorded; it is asked until it answers. Giving up is orderly: stop admitting, let
 * what is open finish, make it durable, commit, tell the lanes, and only then
 * answer the group, which holds the next owner back until it hears. All of it
 * within a deadline; what is open after it is read again by the next owner.
 */
export class Ownership {
  rebalances = 0;
  readonly #options: OwnershipOptions;
  /** False once the group took back what it offered last: librdkafka has one rebalance open at a time. */
  #isWanted = false;

  constructor(options: OwnershipOptions) {
    this.#options = options;
  }

  onAssign(partitions: readonly TopicPartition[]): void {
    this.rebalances++;
    this.#isWanted = true;
    this.#takeOn(partitions).catch((error: unknown) => {
      this.#options.onError(String(error));
    });
  }

  onRevoke(partitions: readonly TopicPartition[]): void {
    this.rebalances++;
    this.#isWanted = false;
    const revoked = partitions.flatMap(({ topic, partition }) => {
      const assignment = this.#options.assignments.find(topic, partition);
      return assignment === undefined ? [] : [assignment];
    });
    this.#giveUp(revoked)
      .catch((error: unknown) => {
        this.#options.onError(String(error));
      })
      .finally(() => {
        this.#options.group.unassign(partitions);
      });
  }

  /** Waits until nothing of these is open, flushing the ledger as it goes; false at the deadline. */
  async drain(assignments: readonly Assignment[], deadlineMs: number): Promise<boolean> {
    const isDone = (): boolean => assignments.every((assignment) => assignment.frontier.open === 0);
    for (let waitedMs = 0; !isDone(); waitedMs += CHECK_MS) {
      if (waitedMs >= deadlineMs) return false;
      this.#options.flush().catch((error: unknown) => {
        this.#options.onError(String(error));
      });
      await new Promise((resolve) => setTimeout(resolve, CHECK_MS));
    }
    return true;
  }

  async #takeOn(partitions: readonly TopicPartition[]): Promise<void> {
    const recovered = await this.#recover(partitions);
    if (recovered === null) return;
    partitions.forEach((partition, index) => {
      this.#options.onBegin(this.#options.assignments.begin(partition), recovered[index] ?? NOTHING_RECOVERED);
    });
    this.#options.group.assign(partitions);
  }

  /** Null when the partitions were taken back before an answer came. */
  async #recover(partitions: readonly TopicPartition[]): Promise<readonly Recovered[] | null> {
    while (this.#isWanted) {
      try {
        const recovered = await this.#options.recover(partitions);
        return this.#isWanted ? recovered : null;
      } catch (error) {
        this.#options.onError(`recovery: ${String(error)}`);
        await new Promise((resolve) => setTimeout(resolve, RECOVER_RETRY_MS));
      }
    }
    return null;
  }

  async #giveUp(revoked: readonly Assignment[]): Promise<void> {
    for (const assignment of revoked) {
      this.#options.assignments.revoke(assignment);
      this.#options.onRevoking(assignment);
    }
    await this.drain(revoked, this.#options.revokeDeadlineMs);
    await this.#options.committer.commitAll(revoked, COMMIT_TIMEOUT_MS);
    for (const assignment of revoked) this.#options.assignments.end(assignment);
    this.#options.onEnd(revoked);
  }
}
