/** Proves which place and time a record has in the ledger, in headers and for its event, however it came. */
import { expect, test } from 'vitest';
import { assignmentOf, openRecordOf, retryHeadersOf } from './lane-parts.ts';

const FROM = { topic: 'orders', partition: 9, offset: 77, timestampMs: 123 };

test('a record that was moved has the place where recovery looks for it, and the time it had first', () => {
  const record = openRecordOf(assignmentOf(1), 5);
  record.rekeyed = FROM;
  expect(record).toMatchObject({ topic: 't', partition: 1, offset: 5, producedAtMs: 123 });
});

test('its retry has what its headers say, which is the same', () => {
  const retry = retryHeadersOf({
    sourceTopic: 't',
    sourcePartition: 1,
    sourceOffset: 5,
    sourceTimestampMs: 123,
  });
  const record = openRecordOf(assignmentOf(2, true), 0, retry);
  record.rekeyed = FROM;
  expect(record).toMatchObject({ topic: 't', partition: 1, offset: 5, producedAtMs: 123 });
});
