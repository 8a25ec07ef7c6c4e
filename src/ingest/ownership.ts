import type { TopicPartition } from '../domain/record.ts';
import type { Assignment } from './assignment.ts';
import type { Assignments } from './assignments.ts';
import type { Committer } from './committer.ts';

const CHECK_MS = 10;
const COMMIT_TIMEOUT_MS = 3_000;

export interface OwnershipOptions {
  readonly group: {
    assign(partitions: readonly TopicPartition[]): void;
    unassign(partitions: readonly TopicPartition[]): void;
  };
  readonly assignments: Assignments;
  readonly committer: Committer;
  readonly revokeDeadlineMs: number;
  /** Tells the lanes of a new epoch, before any record of it. */
  onBegin(assignment: Assignment): void;
  /** It admits nothing any more; what is read ahead of it must be dropped. */
  onRevoking(assignment: Assignment): void;
  /** Tells the lanes to forget what they have not sent. */
  onEnd(assignments: readonly Assignment[]): void;
  /** Resolves once everything settled so far is durable. */
  flush(): Promise<void>;
  onError(message: string): void;
}

/**
 * Takes partitions on and gives them up. Giving up is orderly: stop admitting, let
 * what is open finish, make it durable, commit, tell the lanes, and only then
 * answer the group, which holds the next owner back until it hears. All of it
 * within a deadline; what is open after it is read again by the next owner.
 */
export class Ownership {
  readonly #options: OwnershipOptions;
  rebalances = 0;

  constructor(options: OwnershipOptions) {
    this.#options = options;
  }

  onAssign(partitions: readonly TopicPartition[]): void {
    this.rebalances++;
    for (const partition of partitions) {
      this.#options.onBegin(this.#options.assignments.begin(partition));
    }
    this.#options.group.assign(partitions);
  }

  onRevoke(partitions: readonly TopicPartition[]): void {
    this.rebalances++;
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
