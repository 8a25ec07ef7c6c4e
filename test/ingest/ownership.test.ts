/**
 * Proves the order in which partitions are taken on and given up, that giving up
 * ends within its deadline whatever is stuck, and that partitions taken back while
 * they were being recovered are not taken on later.
 */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { NOTHING_RECOVERED } from '../../src/domain/record.ts';
import type { Recovered, TopicPartition } from '../../src/domain/record.ts';
import type { Assignment } from '../../src/ingest/assignment.ts';
import { Assignments } from '../../src/ingest/assignments.ts';
import { Committer } from '../../src/ingest/committer.ts';
import { Ownership, type OwnershipOptions } from '../../src/ingest/ownership.ts';

const DEADLINE_MS = 1_000;
const here: TopicPartition = { topic: 't', partition: 0 };
const there: TopicPartition = { topic: 't', partition: 1 };

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

const names = (partitions: readonly TopicPartition[]): string =>
  partitions.map(({ topic, partition }) => `${topic}/${partition}`).join(' ');

class Process {
  readonly log: string[] = [];
  readonly assignments = new Assignments();
  readonly committer: Committer;
  readonly ownership: Ownership;
  /** Whether the broker answers commits. */
  isAnswering = true;

  constructor(change: Partial<OwnershipOptions> = {}) {
    const { log, assignments } = this;
    const committer = new Committer(
      {
        commit: (offsets) => {
          log.push(`commit ${offsets.map(({ partition, offset }) => `${partition}@${offset}`).join(' ')}`);
          if (this.isAnswering) committer.answer(null, offsets);
        },
      },
      assignments,
      () => undefined,
    );
    this.committer = committer;
    this.ownership = new Ownership({
      group: {
        assign: (partitions) => log.push(`assign ${names(partitions)}`),
        unassign: (partitions) => log.push(`unassign ${names(partitions)}`),
      },
      assignments,
      committer,
      revokeDeadlineMs: DEADLINE_MS,
      hasLapsed: () => false,
      recover: (partitions) => Promise.resolve(partitions.map(() => NOTHING_RECOVERED)),
      onBegin: (assignment) => log.push(`begin ${names([assignment])}`),
      onRevoking: (assignment) => log.push(`revoking ${names([assignment])} (${assignment.state})`),
      onEnd: (ended) => log.push(`end ${names(ended)} (${ended.map(({ state }) => state).join()})`),
      flush: () => {
        if (log.at(-1) !== 'flush') log.push('flush');
        return Promise.resolve();
      },
      settle: () => {
        log.push('settle');
        return Promise.resolve();
      },
      onError: (message) => log.push(`error ${message}`),
      onRecoveryFailed: (error) => log.push(`recovery failed: ${String(error)}`),
      onUnfit: (error) => log.push(`unfit: ${error.message}`),
      ...change,
    });
  }

  async own(...partitions: TopicPartition[]): Promise<Assignment[]> {
    this.ownership.onAssign(partitions);
    await vi.advanceTimersByTimeAsync(0);
    this.log.length = 0;
    return partitions.map(({ topic, partition }) => this.assignments.find(topic, partition)!);
  }
}

describe('taking on', () => {
  test('recovers, tells the lanes, and only then answers the group', async () => {
    const recovered = { deliveryIds: new Map([[7, new Set(['dlv_1'])]]) };
    const begun: unknown[] = [];
    const process = new Process({
      recover: () => Promise.resolve([NOTHING_RECOVERED, recovered]),
      onBegin: (assignment, what) => begun.push([assignment.partition, what]),
    });
    process.ownership.onAssign([here, there]);
    expect(process.log).toEqual([]);
    await vi.advanceTimersByTimeAsync(0);
    expect(begun).toEqual([
      [0, NOTHING_RECOVERED],
      [1, recovered],
    ]);
    expect(process.log).toEqual(['assign t/0 t/1']);
    expect(process.ownership.rebalances).toBe(1);
  });

  test('asks again until recovery answers', async () => {
    const recover = vi.fn<OwnershipOptions['recover']>(() => Promise.resolve([NOTHING_RECOVERED]));
    recover.mockRejectedValueOnce(new Error('ledger down')).mockRejectedValueOnce(new Error('ledger down'));
    const process = new Process({ recover });
    process.ownership.onAssign([here]);
    await vi.advanceTimersByTimeAsync(5_000);
    expect(recover).toHaveBeenCalledTimes(3);
    const failed = 'recovery failed: Error: ledger down';
    expect(process.log).toEqual([failed, failed, 'begin t/0', 'assign t/0']);
  });

  test('partitions taken back meanwhile are not taken on, not even when others are offered since', async () => {
    const answers: ((recovered: Recovered[]) => void)[] = [];
    const process = new Process({ recover: () => new Promise((resolve) => answers.push(resolve)) });
    process.ownership.onAssign([here]);
    process.ownership.onRevoke([here]);
    await vi.advanceTimersByTimeAsync(0);
    process.ownership.onAssign([there]);
    for (const answer of answers) answer([NOTHING_RECOVERED]);
    await vi.advanceTimersByTimeAsync(0);
    expect(process.log.filter((line) => !line.startsWith('end'))).toEqual([
      'unassign t/0',
      'begin t/1',
      'assign t/1',
    ]);
    expect(process.assignments.size).toBe(1);
  });
});

describe('giving up', () => {
  test('stops admitting, lets what is open finish, commits, tells the lanes, and only then answers the group', async () => {
    const process = new Process();
    const [assignment] = await process.own(here);
    const sequence = assignment!.frontier.admit(41);
    process.ownership.onRevoke([here]);
    await vi.advanceTimersByTimeAsync(300);
    // The first commit asks whether this process is a member still.
    expect(process.log).toEqual(['revoking t/0 (revoking)', 'commit 0@41', 'flush']);
    process.assignments.release(assignment!.id, sequence);
    await vi.advanceTimersByTimeAsync(50);
    expect(process.log.slice(3)).toEqual(['commit 0@42', 'end t/0 (ended)', 'unassign t/0']);
    expect(process.assignments.size).toBe(0);
  });

  test('ends at its deadline when something stays open, having committed what is done', async () => {
    const process = new Process();
    const [assignment] = await process.own(here);
    assignment!.frontier.release(assignment!.frontier.admit(1));
    assignment!.frontier.admit(2);
    process.ownership.onRevoke([here]);
    await vi.advanceTimersByTimeAsync(DEADLINE_MS - 100);
    expect(process.log).not.toContain('unassign t/0');
    await vi.advanceTimersByTimeAsync(200);
    expect(process.log).toContain('commit 0@2');
    expect(process.log.slice(-2)).toEqual(['end t/0 (ended)', 'unassign t/0']);
  });

  test('ends when the broker answers no commit', async () => {
    const process = new Process();
    const [assignment] = await process.own(here);
    assignment!.frontier.release(assignment!.frontier.admit(1));
    process.isAnswering = false;
    process.ownership.onRevoke([here]);
    await vi.advanceTimersByTimeAsync(DEADLINE_MS + 11_000);
    expect(process.log.slice(-2)).toEqual(['end t/0 (ended)', 'unassign t/0']);
  });

  test('a drain does not wait for what has ended: it is another’s', async () => {
    const process = new Process({ hasLapsed: () => true });
    const [assignment] = await process.own(here);
    assignment!.frontier.admit(5);
    const drained = process.ownership.drain([assignment!], DEADLINE_MS);
    process.ownership.onRevoke([here]);
    await vi.advanceTimersByTimeAsync(50);
    expect(await drained).toBe(true);
  });

  test('drops at once what was lost while the process stood still, and commits nothing', async () => {
    const process = new Process({ hasLapsed: () => true });
    await process.own(here);
    process.assignments.find('t', 0)!.frontier.admit(5);
    process.log.length = 0;
    process.ownership.onRevoke([here]);
    await vi.advanceTimersByTimeAsync(0);
    expect(process.log).toEqual(['revoking t/0 (revoking)', 'end t/0 (ended)', 'settle', 'unassign t/0']);
  });

  test('drops at once what it was finishing when the broker says that it is no member any more', async () => {
    const process = new Process();
    const [, other] = await process.own(here, there);
    process.assignments.find('t', 0)!.frontier.admit(5);
    other!.frontier.admit(7);
    process.ownership.onRevoke([here]);
    await vi.advanceTimersByTimeAsync(100);
    process.log.length = 0;
    process.ownership.onEvicted();
    expect(process.log).toEqual(['end t/0 (ended)']);
    await vi.advanceTimersByTimeAsync(50);
    expect(process.log.filter((line) => line !== 'flush')).toEqual([
      'end t/0 (ended)',
      'end  ()',
      'settle',
      'unassign t/0',
    ]);
    expect(other!.state, 'not revoked yet').toBe('active');
  });

  test('answers the group for partitions it never took on, and goes on when a step throws', async () => {
    const process = new Process({
      onEnd: () => {
        throw new Error('no lanes');
      },
    });
    process.ownership.onRevoke([here]);
    await vi.advanceTimersByTimeAsync(0);
    expect(process.log).toEqual(['error Error: no lanes', 'unassign t/0']);
  });

  test('a group that takes no answer any more is told of, not died of', async () => {
    const errors: string[] = [];
    const process = new Process({
      group: {
        assign: () => undefined,
        unassign: () => {
          throw new Error('Local: Erroneous state');
        },
      },
      onError: (message) => errors.push(message),
    });
    process.ownership.onRevoke([here]);
    await vi.advanceTimersByTimeAsync(0);
    expect(errors).toEqual(['Error: Local: Erroneous state']);
  });

  test('a ledger that does not flush is told of, and the deadline holds', async () => {
    const process = new Process({ flush: () => Promise.reject(new Error('ledger down')) });
    const [assignment] = await process.own(here);
    assignment!.frontier.admit(1);
    process.ownership.onRevoke([here]);
    await vi.advanceTimersByTimeAsync(DEADLINE_MS + 200);
    expect(process.log).toContain('error Error: ledger down');
    expect(process.log.at(-1)).toBe('unassign t/0');
  });
});
