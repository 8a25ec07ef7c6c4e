/**
 * Proves that of several records of delay topics that say the same, one is tried: copies come of crashes and lost
 * acks, and each would be copied again at the next crash.
 */
import { describe, expect, test } from 'vitest';
import { RetryDoor } from '../../src/app/retry-door.ts';
import { systemClock } from '../../src/domain/clock.ts';
import type { HandoverRecord } from '../../src/retry/handover-producer.ts';
import { decodeRetryHeaders, encodeRetryHeaders } from '../../src/retry/retry-headers.ts';
import { retryHeadersOf } from '../lanes/lane-parts.ts';

function open(): { door: RetryDoor; added: HandoverRecord[] } {
  const added: HandoverRecord[] = [];
  const door = new RetryDoor({ add: (handover) => added.push(handover) }, systemClock);
  door.begin(1);
  door.begin(2);
  return { door, added };
}

const note = retryHeadersOf();

describe('a record of a delay topic', () => {
  test('is a copy when another one said the same, whichever topic that was in; itself read again it is none', () => {
    const { door } = open();
    expect([door.isCopy(note, 1, 7), door.isCopy(note, 1, 7)]).toEqual([false, false]);
    expect([door.isCopy(note, 1, 8), door.isCopy(note, 2, 7)]).toEqual([true, true]);
    expect(door.copies).toBe(2);
  });

  test.each(['deliveryId', 'attempts', 'dueMs', 'hops'] as const)('with another %s is none', (key) => {
    const { door } = open();
    door.isCopy(note, 1, 7);
    const other =
      key === 'deliveryId' ? { ...note, deliveryId: 'dlv_other' } : { ...note, [key]: note[key] + 1 };
    expect(door.isCopy(other, 1, 8)).toBe(false);
  });

  test('is none of one that was given up with its partition, which another process may try', () => {
    const { door } = open();
    door.isCopy(note, 1, 7);
    door.end(1);
    expect(door.isCopy(note, 2, 7)).toBe(false);
  });

  test('counts its hops, so that what it becomes is no copy of it', () => {
    const { door, added } = open();
    const headers = encodeRetryHeaders(note, []);
    door.hop({ assignment: 1, sequence: 0, key: null, value: null, headers, dueAtMs: note.dueMs, note });
    expect(added).toMatchObject([{ to: 'retry', row: null, dueAtMs: note.dueMs }]);
    expect(decodeRetryHeaders(added[0]!.headers)).toEqual({ ...note, hops: note.hops + 1 });
  });
});
