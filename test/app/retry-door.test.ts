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
  test.each([
    ['that hops', true],
    ['that is tried', false],
  ])(
    '%s is a copy when another one said the same, whichever topic that was in; itself read again it is none',
    (_, isHop) => {
      const { door } = open();
      expect([door.isCopy(note, isHop, 1, 7), door.isCopy(note, isHop, 1, 7)]).toEqual([false, false]);
      expect([door.isCopy(note, isHop, 1, 8), door.isCopy(note, isHop, 2, 7)]).toEqual([true, true]);
      expect(door.copies).toBe(2);
    },
  );

  test.each(['deliveryId', 'attempts', 'dueMs', 'hops'] as const)(
    'that hops, with another %s is none',
    (key) => {
      const { door } = open();
      door.isCopy(note, true, 1, 7);
      const other =
        key === 'deliveryId' ? { ...note, deliveryId: 'dlv_other' } : { ...note, [key]: note[key] + 1 };
      expect(door.isCopy(other, true, 1, 8)).toBe(false);
    },
  );

  test('is tried after its hops', () => {
    const { door } = open();
    const last = { ...note, hops: note.hops + 1 };
    expect([door.isCopy(note, true, 1, 7), door.isCopy(last, false, 2, 3)]).toEqual([false, false]);
  });

  test('is a copy when one of another number of hops was tried: a dead process let it hop, and it is late now', () => {
    const { door } = open();
    expect(door.isCopy(note, false, 1, 7)).toBe(false);
    for (const hops of [1, 2, 3])
      expect(door.isCopy({ ...note, hops: note.hops + hops }, false, 2, hops)).toBe(true);
  });

  test('is none of one that was given up with its partition, which another process may try', () => {
    const { door } = open();
    door.isCopy(note, false, 1, 7);
    door.end(1);
    expect(door.isCopy(note, false, 2, 7)).toBe(false);
  });

  test('counts its hops, so that what it becomes is no copy of it', () => {
    const { door, added } = open();
    const headers = encodeRetryHeaders(note, [['trace', Buffer.from('1')]]);
    door.hop({ assignment: 1, sequence: 0, key: null, value: null, headers, dueAtMs: note.dueMs, note });
    expect(added).toMatchObject([{ to: 'retry', row: null, dueAtMs: note.dueMs }]);
    expect(decodeRetryHeaders(added[0]!.headers)).toEqual({ ...note, hops: note.hops + 1 });
    expect(added[0]!.headers.map(([name]) => name)).toEqual(['trace', 'eventdispatch-retry']);
  });
});
