/** Proves that an epoch is found only while it lasts, and that what comes back for one that ended moves nothing. */
import { describe, expect, test } from 'vitest';
import type { SourceRecord } from '../../src/domain/record.ts';
import { Assignments } from '../../src/ingest/assignments.ts';

const here = { topic: 't', partition: 3 };

function record(offset: number): SourceRecord {
  return { ...here, offset, value: null };
}

describe('epochs', () => {
  test('each gets an id of its own, never 0', () => {
    const assignments = new Assignments();
    const ids = [here, { topic: 't', partition: 4 }, here].map(
      (partition) => assignments.begin(partition).id,
    );
    expect(new Set(ids).size).toBe(3);
    expect(ids).not.toContain(0);
  });

  test('the end of an old epoch does not hide the new one', () => {
    const assignments = new Assignments();
    const old = assignments.begin(here);
    const fresh = assignments.begin(here);
    assignments.end(old);
    expect(assignments.find('t', 3)).toBe(fresh);
    expect(assignments.get(old.id)).toBeUndefined();
    assignments.end(fresh);
    expect(assignments.find('t', 3)).toBeUndefined();
    expect(assignments.size).toBe(0);
  });

  test('a hold or a release that comes for an ended epoch is harmless, and the new one does not hear of it', () => {
    const assignments = new Assignments();
    const old = assignments.begin(here);
    const sequence = old.frontier.admit(1);
    assignments.end(old);
    const fresh = assignments.begin(here);
    fresh.frontier.admit(1);
    assignments.hold(old.id, sequence);
    assignments.release(old.id, sequence);
    expect(assignments.openRecords).toBe(1);
    expect(fresh.frontier.position).toBe(1);
  });

  test('one on its way out is found still, and lets go of what it read ahead', () => {
    const assignments = new Assignments();
    const assignment = assignments.begin(here);
    assignment.stash(record(1));
    assignments.revoke(assignment);
    expect(assignments.find('t', 3)).toBe(assignment);
    expect([assignment.state, assignment.isBlocked]).toEqual(['revoking', false]);
  });
});

describe('the stash', () => {
  test('is offered in order, up to the first one refused, which stays the first', () => {
    const assignment = new Assignments().begin(here);
    for (const offset of [1, 2, 3, 4]) assignment.stash(record(offset));
    const offered: number[] = [];
    const upTo = (limit: number) => (read: SourceRecord) => {
      offered.push(read.offset);
      return read.offset <= limit;
    };
    assignment.unstash(upTo(2));
    expect([offered, assignment.stashed]).toEqual([[1, 2, 3], 2]);
    assignment.unstash(upTo(2));
    expect([offered, assignment.stashed]).toEqual([[1, 2, 3, 3], 2]);
    assignment.stash(record(5));
    assignment.unstash(upTo(9));
    expect([offered, assignment.stashed]).toEqual([[1, 2, 3, 3, 3, 4, 5], 0]);
    expect(assignment.isBlocked).toBe(false);
  });
});
