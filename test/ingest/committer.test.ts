/**
 * Proves that commits never go back and never skip: only what moved is asked for,
 * a refused commit is asked for again, and no epoch commits for another one.
 */
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { limits } from '../../src/domain/limits.ts';
import type { TopicPartitionOffset } from '../../src/domain/record.ts';
import type { Assignment } from '../../src/ingest/assignment.ts';
import { Assignments } from '../../src/ingest/assignments.ts';
import { Committer } from '../../src/ingest/committer.ts';

class Broker {
  readonly asked: TopicPartitionOffset[][] = [];
  isDown = false;

  commit(offsets: readonly TopicPartitionOffset[]): void {
    if (this.isDown) throw new Error('Local: Erroneous state');
    this.asked.push([...offsets]);
  }
}

function open(): { assignments: Assignments; broker: Broker; failures: string[]; committer: Committer } {
  const assignments = new Assignments();
  const broker = new Broker();
  const failures: string[] = [];
  const committer = new Committer(broker, assignments, (message) => failures.push(message));
  return { assignments, broker, failures, committer };
}

/** Admits and finishes records up to this offset. */
function finish(assignment: Assignment, ...offsets: number[]): void {
  for (const offset of offsets) assignment.frontier.release(assignment.frontier.admit(offset));
}

const at = (offset: number, partition = 0): TopicPartitionOffset => ({ topic: 't', partition, offset });

describe('asking whether the partitions are still its own', () => {
  function asking(): ReturnType<typeof open> & { readonly answers: boolean[] } {
    const parts = open();
    const answers: boolean[] = [];
    finish(parts.assignments.begin({ topic: 't', partition: 0 }), 10);
    return { ...parts, answers };
  }

  test('commits what is committed already, since only the answer counts', () => {
    const { broker, committer, answers } = asking();
    committer.tick();
    committer.answer(null, [at(11)]);
    committer.affirm((isOwner) => answers.push(isOwner));
    expect(broker.asked).toEqual([[at(11)], [at(11)]]);
    expect(answers).toEqual([]);
    committer.answer(null, [at(11)]);
    expect(answers).toEqual([true]);
  });

  test('takes the answer to an earlier commit for none, unless it is a refusal', () => {
    const { broker, committer, answers } = asking();
    committer.tick();
    committer.affirm((isOwner) => answers.push(isOwner));
    expect(broker.asked).toHaveLength(1);
    committer.answer(null, [at(11)]);
    expect(broker.asked).toHaveLength(2);
    expect(answers).toEqual([]);
    committer.answer('Broker: Unknown member', []);
    expect(answers).toEqual([false]);
    committer.answer(null, [at(11)]);
    expect(answers).toEqual([false]);
  });

  test('asked again, takes the answer to the older question for none', () => {
    const { committer, answers } = asking();
    committer.affirm(() => answers.push(false));
    committer.affirm((isOwner) => answers.push(isOwner));
    committer.answer(null, [at(11)]);
    expect(answers).toEqual([]);
    committer.answer(null, [at(11)]);
    expect(answers).toEqual([true]);
  });

  test('is answered with no where nothing was ever admitted, which a process that was evicted then may have', () => {
    const { assignments, broker, committer } = open();
    assignments.begin({ topic: 't', partition: 0 });
    const answers: boolean[] = [];
    committer.affirm((isOwner) => answers.push(isOwner));
    expect(answers).toEqual([false]);
    expect(broker.asked).toEqual([]);
  });
});

describe('a tick', () => {
  test('asks only for what moved, in one commit', () => {
    const { assignments, broker, committer } = open();
    const [a, b] = [0, 1, 2].map((partition) => assignments.begin({ topic: 't', partition }));
    finish(a!, 10);
    finish(b!, 20);
    committer.tick();
    committer.answer(null, [at(11), at(21, 1)]);
    committer.tick();
    finish(b!, 25);
    committer.tick();
    expect(broker.asked).toEqual([[at(11), at(21, 1)], [at(26, 1)]]);
  });

  test('asks for nothing while a commit is out, which may be sent again after a later one and take the group back', () => {
    const { assignments, broker, committer } = open();
    const a = assignments.begin(at(0));
    finish(a, 1);
    committer.tick();
    finish(a, 2);
    committer.tick();
    expect(broker.asked).toEqual([[at(2)]]);
    committer.answer(null, [at(2)]);
    committer.tick();
    expect(broker.asked).toEqual([[at(2)], [at(3)]]);
  });

  test('stands before the first open record', () => {
    const { assignments, broker, committer } = open();
    const a = assignments.begin(at(0));
    finish(a, 1);
    a.frontier.admit(5);
    committer.tick();
    expect(broker.asked).toEqual([[at(5)]]);
  });

  test('asks for nothing when nothing was ever admitted', () => {
    const { assignments, broker, committer } = open();
    assignments.begin(at(0));
    committer.tick();
    expect(broker.asked).toEqual([]);
  });
});

test('where half of what may be uncommitted is, a commit goes out at once, and one at a time', () => {
  const { assignments, broker, committer } = open();
  const a = assignments.begin(at(0));
  const half = limits.uncommittedRecords / 2;
  finish(a, ...Array.from({ length: half - 1 }, (_, offset) => offset));
  committer.tickWhereMuch();
  expect(broker.asked).toEqual([]);
  finish(a, half - 1);
  committer.tickWhereMuch();
  finish(a, half);
  committer.tickWhereMuch();
  expect(broker.asked).toEqual([[at(half)]]);
  committer.answer(null, [at(half)]);
  committer.tickWhereMuch();
  expect(broker.asked).toHaveLength(1);
});

describe('a refused commit', () => {
  test('is asked for again at the next tick, from the frontier of then', () => {
    const { assignments, broker, committer, failures } = open();
    const a = assignments.begin(at(0));
    finish(a, 1);
    committer.tick();
    committer.answer('Broker: Not coordinator', [at(2)]);
    finish(a, 2);
    committer.tick();
    expect(broker.asked).toEqual([[at(2)], [at(3)]]);
    expect(failures).toEqual(['Broker: Not coordinator']);
    expect(committer.stats).toEqual({ commits: 0, failures: 1 });
  });

  test('is one that could not even be asked', () => {
    const { assignments, broker, committer, failures } = open();
    const a = assignments.begin(at(0));
    finish(a, 1);
    broker.isDown = true;
    committer.tick();
    broker.isDown = false;
    committer.tick();
    expect(failures).toEqual(['Error: Local: Erroneous state']);
    expect(broker.asked).toEqual([[at(2)]]);
  });
});

describe('epochs', () => {
  test('an ended one commits nothing any more', () => {
    const { assignments, broker, committer } = open();
    const a = assignments.begin(at(0));
    finish(a, 1);
    assignments.revoke(a);
    committer.tick();
    finish(a, 2);
    assignments.end(a);
    committer.tick();
    expect(broker.asked).toEqual([[at(2)]]);
  });

  test('what an old one has committed late, the new one does not take back', () => {
    const { assignments, broker, committer } = open();
    const old = assignments.begin(at(0));
    finish(old, 99);
    committer.tick();
    assignments.end(old);
    const fresh = assignments.begin(at(0));
    finish(fresh, 50);
    committer.answer(null, [at(100)]);
    committer.tick();
    committer.affirm(() => undefined);
    committer.answer(null, [at(100)]);
    expect(broker.asked).toEqual([[at(100)], [at(100)]]);
    finish(fresh, 99, 100);
    committer.tick();
    expect(broker.asked.at(-1)).toEqual([at(101)]);
  });
});

describe('commitAll', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test('waits for the broker’s answer, through refusals', async () => {
    const { assignments, broker, committer } = open();
    const a = assignments.begin(at(0));
    finish(a, 1);
    const all = committer.commitAll([a], 1_000);
    await vi.advanceTimersByTimeAsync(50);
    committer.answer('again', [at(2)]);
    await vi.advanceTimersByTimeAsync(50);
    expect(broker.asked).toHaveLength(2);
    committer.answer(null, [at(2)]);
    await vi.advanceTimersByTimeAsync(50);
    expect(await all).toBe(true);
  });

  test('gives up when the time is over', async () => {
    const { assignments, committer } = open();
    const a = assignments.begin(at(0));
    finish(a, 1);
    const all = committer.commitAll([a], 100);
    await vi.advanceTimersByTimeAsync(200);
    expect(await all).toBe(false);
  });

  test('waits longer for one that is out, whose answer the next owner of the partition may otherwise see come', async () => {
    const { assignments, committer } = open();
    const a = assignments.begin(at(0));
    finish(a, 1);
    const all = committer.commitAll([a], 100, 1_000);
    await vi.advanceTimersByTimeAsync(900);
    committer.answer(null, [at(2)]);
    await vi.advanceTimersByTimeAsync(50);
    expect(await all).toBe(true);
  });

  test('and no longer than that, nor for one that was refused', async () => {
    const { assignments, committer } = open();
    const a = assignments.begin(at(0));
    finish(a, 1);
    const inDoubt = committer.commitAll([a], 100, 1_000);
    await vi.advanceTimersByTimeAsync(1_100);
    expect(await inDoubt).toBe(false);
    committer.answer('refused', [at(2)]);
    let isOver = false;
    void committer.commitAll([a], 0, 1_000).then(() => (isOver = true));
    await vi.advanceTimersByTimeAsync(50);
    expect(isOver).toBe(true);
  });

  test('leaves out what has ended meanwhile: the broker would take it, and set back what the next owner has committed', async () => {
    const { assignments, broker, committer } = open();
    const [lost, kept] = [assignments.begin(at(0)), assignments.begin(at(0, 1))];
    finish(lost, 1);
    finish(kept, 1);
    assignments.end(lost);
    const all = committer.commitAll([lost, kept], 1_000);
    committer.answer(null, [at(2, 1)]);
    await vi.advanceTimersByTimeAsync(50);
    expect(await all).toBe(true);
    expect(broker.asked).toEqual([[at(2, 1)]]);
  });

  test('has nothing to wait for where nothing was admitted', async () => {
    const { assignments, committer } = open();
    expect(await committer.commitAll([assignments.begin(at(0))], 100)).toBe(true);
  });
});

test('over any order of work, refusals and late answers no commit goes back, and in the end all is committed', () => {
  const step = fc.constantFrom('finish', 'tick', 'acknowledge', 'refuse');
  fc.assert(
    fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
      const { assignments, broker, committer } = open();
      const a = assignments.begin(at(0));
      let next = 0;
      let answered = 0;
      let brokerHas = -1;
      const answer = (error: string | null): void => {
        const offsets = broker.asked[answered];
        if (offsets === undefined) return;
        answered++;
        if (error === null) {
          expect(offsets[0]!.offset).toBeGreaterThanOrEqual(brokerHas);
          brokerHas = offsets[0]!.offset;
        }
        committer.answer(error, offsets);
        expect(a.committed).toBeLessThanOrEqual(brokerHas);
        // One record per offset, all of them settled.
        expect(a.uncommitted).toBeGreaterThanOrEqual(next - Math.max(0, brokerHas));
      };
      for (const kind of steps) {
        if (kind === 'finish') finish(a, next++);
        else if (kind === 'tick') committer.tick();
        else answer(kind === 'refuse' ? 'refused' : null);
      }
      while (a.committed < a.frontier.position) {
        committer.tick();
        answer(null);
      }
      expect(brokerHas).toBe(a.frontier.position);
      expect(a.uncommitted).toBe(0);
    }),
  );
});
