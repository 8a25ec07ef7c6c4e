/** Proves that what a lane reports leaves once, whole and in order, and that main may keep what it was given. */
import { describe, expect, test } from 'vitest';
import type { OpenRecord } from '../../src/lanes/open-record.ts';
import { Outbox } from '../../src/lanes/outbox.ts';
import type { Handover, Settled } from '../../src/lanes/protocol.ts';
import { RECORD_COLUMNS } from '../../src/ledger/columns.ts';
import { NOTHING_SENT, type AttemptRow } from '../../src/ledger/rows.ts';
import { doneIn, rowsIn } from './lane-bench.ts';
import { assignmentOf, openRecordOf } from './lane-parts.ts';

function open(): { outbox: Outbox; messages: Settled[] } {
  const messages: Settled[] = [];
  // As the port does it: what is transferred is gone on this side.
  const outbox = new Outbox((message, transfer) => messages.push(structuredClone(message, { transfer })));
  return { outbox, messages };
}

function recordOf(sequence: number): OpenRecord {
  return openRecordOf(assignmentOf(7), sequence);
}

const row = {
  outcome: 'delivered',
  isFinal: true,
  reason: 'http_200',
  status: 200,
  attempt: 1,
} as AttemptRow;

function attemptOf(deliveryId: string, response = ''): AttemptRow {
  const rest = {
    destinationId: 'd',
    channel: 'webhook',
    attemptedAtMs: 1,
    durationUs: 1,
    nextAttemptAtMs: 0,
    attemptClass: '',
    ambiguous: false,
    handOver: '',
    retryTopic: '',
    retryPartition: 0,
    retryOffset: 0,
    ...NOTHING_SENT,
  };
  return { ...row, ...rest, deliveryId, response };
}

/** As `encodeRecord` makes them. */
const encoded = Buffer.from('x\t'.repeat(RECORD_COLUMNS.length));

describe('a message', () => {
  test('carries everything since the last one, once', () => {
    const { outbox, messages } = open();
    outbox.attempt(encoded, attemptOf('one'));
    outbox.attempt(encoded, attemptOf('two'));
    outbox.done(recordOf(1));
    outbox.abandoned(recordOf(2));
    outbox.handover({ to: 'bad_event', sequence: 3 } as Handover);
    outbox.post();
    outbox.post();
    expect(messages).toHaveLength(1);
    const [message] = messages;
    expect(rowsIn(message!).map(({ delivery_id: id }) => id)).toEqual(['one', 'two']);
    expect(message).toMatchObject({
      attemptRows: 2,
      events: null,
      eventRows: 0,
      releasedRecords: 2,
      releasedBytes: 14,
    });
    expect(doneIn(message!.records), 'what is abandoned is not done').toEqual(['7/1']);
    expect(message!.handovers).toHaveLength(1);
  });

  test('is not sent when there is nothing to say', () => {
    const { outbox, messages } = open();
    outbox.post();
    outbox.postIfFull();
    expect(messages).toEqual([]);
  });

  test.each<[string, (outbox: Outbox) => void]>([
    [
      'a row',
      (outbox) => {
        outbox.attempt(encoded, attemptOf('one'));
      },
    ],
    [
      'a hand-over',
      (outbox) => {
        outbox.handover({ to: 'dead_letter' } as Handover);
      },
    ],
    [
      'an abandoned record',
      (outbox) => {
        outbox.abandoned(recordOf(1));
      },
    ],
    [
      'a record of no bytes',
      (outbox) => {
        outbox.letGo(0);
      },
    ],
  ])('is sent for %s alone', (_what, put) => {
    const { outbox, messages } = open();
    put(outbox);
    outbox.post();
    expect(messages).toHaveLength(1);
  });

  test('leaves by itself when it is large, in rows or in records, and not before', () => {
    const { outbox, messages } = open();
    outbox.attempt(encoded, attemptOf('one'));
    outbox.postIfFull();
    expect(messages).toEqual([]);
    outbox.attempt(encoded, attemptOf('two', 'y'.repeat(300_000)));
    outbox.postIfFull();
    expect(messages).toHaveLength(1);
    for (let sequence = 0; sequence < 5_000; sequence++) {
      outbox.done(recordOf(sequence));
      outbox.postIfFull();
    }
    outbox.post();
    expect(messages.length).toBeGreaterThan(2);
    expect(messages.flatMap(({ records }) => doneIn(records))).toHaveLength(5_000);
  });

  test('is not changed by what is written after it', () => {
    const messages: Settled[] = [];
    const outbox = new Outbox((message) => messages.push(message));
    outbox.attempt(encoded, attemptOf('one'));
    outbox.done(recordOf(1));
    outbox.post();
    outbox.attempt(encoded, attemptOf('two'));
    outbox.done(recordOf(2));
    outbox.post();
    expect(messages.map((message) => [rowsIn(message)[0]?.delivery_id, ...doneIn(message.records)])).toEqual([
      ['one', '7/1'],
      ['two', '7/2'],
    ]);
  });
});
