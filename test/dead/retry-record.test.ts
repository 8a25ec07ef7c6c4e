/** Proves that a redriven delivery is the same delivery, due now with all of its attempts, as a lane reads it. */
import { describe, expect, test } from 'vitest';
import { retryRecordOf, whyNotRedrivable } from '../../src/dead/retry-record.ts';
import { decodeRetryHeaders, encodeRetryHeaders } from '../../src/retry/retry-headers.ts';
import { deadLetter, deadRecord } from './dead-letters.ts';

const NOW_MS = 1_800_000_000_000;
const TARGET = { partitions: 4, destinationIds: new Set(['crm']) };

describe('the retry record', () => {
  test('has the dead letter’s bytes, partition and ids, no attempt charged, and is due now', () => {
    const own = [{ trace: Buffer.from('a') }, { trace: Buffer.from('b') }];
    const { headers: ours = [] } = deadRecord();
    const letter = deadLetter({}, { headers: [...own, ...ours] });
    const record = retryRecordOf(letter, NOW_MS, encodeRetryHeaders);
    expect(record).toMatchObject({ partition: 1, key: Buffer.from('acme'), value: Buffer.from([0, 1, 2]) });
    expect(record.headers.slice(0, 2)).toEqual([
      ['trace', Buffer.from('a')],
      ['trace', Buffer.from('b')],
    ]);
    expect(record.headers.filter(([name]) => name === 'eventdispatch-outcome')).toEqual([]);
    expect(decodeRetryHeaders(record.headers)).toEqual({
      sourceTopic: 'events',
      sourcePartition: 1,
      sourceOffset: 77,
      sourceTimestampMs: 1_700_000_000_000,
      tenant: 'acme',
      eventId: 'evt-1',
      eventType: 'contact.created',
      deliveryId: 'dlv_1',
      destinationId: 'crm',
      attempts: 0,
      firstSeenMs: NOW_MS,
      dueMs: NOW_MS,
      hops: 0,
      reason: 'http_503',
      status: 503,
    });
  });

  test('of a record whose time is not known is still one that a lane reads', () => {
    const { headers } = retryRecordOf(deadLetter({ 'source-timestamp': '-1' }), NOW_MS, encodeRetryHeaders);
    expect(decodeRetryHeaders(headers)).toMatchObject({ sourceTimestampMs: 0 });
  });
});

test.each([
  ['nothing', {}, {}, null],
  ['the value left out', {}, { value: null }, /too large/],
  ['no source', { 'source-topic': '' }, {}, /where their record came from/],
  ['no event', { 'event-id': '' }, {}, /tenant and event/],
  ['a partition beyond', { 'source-partition': '4' }, {}, /partition that the delay topic does not have/],
  ['an unknown destination', { 'destination-id': 'gone' }, {}, /destination that the configuration/],
])('what keeps a dead letter from being redriven: %s', (_, ours, record, why) => {
  const found = whyNotRedrivable(deadLetter(ours, record), TARGET);
  if (why === null) expect(found).toBeNull();
  else expect(found).toMatch(why);
});
