import { UserError } from '../domain/errors.ts';
import { NOTHING_RECOVERED } from '../domain/record.ts';
import type { Recovered, TopicPartition } from '../domain/record.ts';
import type { Assignment } from './assignment.ts';
import type { Assignments } from './assignments.ts';
import type { Committer } from './committer.ts';

const CHECK_MS = 10;
const COMMIT_TIMEOUT_MS = 3_000;
const COMMIT_IN_DOUBT_MS = 10_000;
const RECOVER_RETRY_MS = 500;
const SETTLE_TIMEOUT_MS = 3_000;

export interface OwnershipOptions {
  readonly group: {
    assign(partitions: readonly TopicPartition[]): void;
    unassign(partitions: readonly TopicPartition[]): void;
  };
  readonly assignments: Assignments;
  readonly committer: Committer;
  readonly revokeDeadlineMs: number;
  /**
   * Whether this process stood still or was away for so long that another may own its partitions by
   * now: what it gives up then it has lost, and nothing of it is finished or committed.
   */
  hasLapsed(): boolean;
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
  /** Resolves once the ledger has what was handed over already, too, or the time is up. */
  settle(timeoutMs: number): Promise<void>;
  onError(message: string): void;
  /** `recover` rejected, and is asked again. */
  onRecoveryFailed(error: unknown): void;
  /** `recover` rejected with what only a person can decide; nothing is taken on. */
  onUnfit(error: UserError): void;
}

/**
 * Takes partitions on and gives them up. Taking on begins with the ledger, which
 * knows what was delivered after the last commit, so that a crash repeats only what
 * it had not recorded; it is asked until it answers. Giving up is orderly: stop admitting, let
 * what is open finish, make it durable, commit, tell the lanes, and only then
 * answer the group, which holds the next owner back until it hears. All of it
 * within a deadline; what is open after it is read again by the next owner. What
 * was lost while this process stood still, or was out of the broker's sight, is dropped at once, since another has it.
 */
export class Ownership {
  rebalances = 0;
  readonly #options: OwnershipOptions;
  /** Which rebalance is the newest: what an older one offered has been taken back, since one is open at a time. */
  #newest = 0;

  constructor(options: OwnershipOptions) {
    this.#options = options;
  }

  onAssign(partitions: readonly TopicPartition[]): void {
    this.rebalances++;
    this.#takeOn(partitions, ++this.#newest).catch((error: unknown) => {
      this.#options.onError(String(error));
    });
  }

  onRevoke(partitions: readonly TopicPartition[]): void {
    this.rebalances++;
    this.#newest++;
    const revoked = partitions.flatMap(({ topic, partition }) => {
      const assignment = this.#options.assignments.find(topic, partition);
      return assignment === undefined ? [] : [assignment];
    });
    const tell = (error: unknown): void => {
      this.#options.onError(String(error));
    };
    this.#giveUp(revoked)
      .catch(tell)
      .then(() => {
        this.#options.group.unassign(partitions);
      })
      .catch(tell);
  }

  /** The broker does not know this process any more: what it is about to give up is another's already. */
  onEvicted(): void {
    this.#end([...this.#options.assignments.all()].filter(({ state }) => state === 'revoking'));
  }

  /** Waits until nothing of these is open, but for what has ended, flushing the ledger as it goes; false at the deadline. */
  async drain(assignments: readonly Assignment[], deadlineMs: number): Promise<boolean> {
    const isDone = (): boolean =>
      assignments.every(({ state, frontier }) => state === 'ended' || frontier.open === 0);
    let flushing = false;
    for (let waitedMs = 0; !isDone(); waitedMs += CHECK_MS) {
      if (waitedMs >= deadlineMs) return false;
      if (!flushing) {
        flushing = true;
        this.#options
          .flush()
          .catch((error: unknown) => {
            this.#options.onError(String(error));
          })
          .finally(() => {
            flushing = false;
          });
      }
      await new Promise((resolve) => setTimeout(resolve, CHECK_MS));
    }
    return true;
  }

  async #takeOn(partitions: readonly TopicPartition[], rebalance: number): Promise<void> {
    const recovered = await this.#recover(partitions, rebalance);
    if (recovered === null) return;
    partitions.forEach((partition, index) => {
      this.#options.onBegin(
        this.#options.assignments.begin(partition),
        recovered[index] ?? NOTHING_RECOVERED,
      );
    });
    this.#options.group.assign(partitions);
  }

  /** Null when the partitions were taken back before an answer came. */
  async #recover(
    partitions: readonly TopicPartition[],
    rebalance: number,
  ): Promise<readonly Recovered[] | null> {
    while (rebalance === this.#newest) {
      try {
        const recovered = await this.#options.recover(partitions);
        return rebalance === this.#newest ? recovered : null;
      } catch (error) {
        if (error instanceof UserError) {
          this.#options.onUnfit(error);
          return null;
        }
        this.#options.onRecoveryFailed(error);
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
    if (!this.#options.hasLapsed()) {
      // A process that was evicted hears of the loss like of a revocation; asked, the broker says which it is.
      this.#options.committer.affirm(() => undefined);
      await this.drain(revoked, this.#options.revokeDeadlineMs);
      await this.#options.committer.commitAll(revoked, COMMIT_TIMEOUT_MS, COMMIT_IN_DOUBT_MS);
    }
    const left = revoked.filter(({ state }) => state !== 'ended');
    const isLost = this.#options.hasLapsed() || left.length < revoked.length;
    this.#end(left);
    // The next owner may be this very process, which asks the ledger then what it has done.
    if (isLost) await this.#options.settle(SETTLE_TIMEOUT_MS);
  }

  #end(assignments: readonly Assignment[]): void {
    for (const assignment of assignments) this.#options.assignments.end(assignment);
    this.#options.onEnd(assignments);
  }
}
