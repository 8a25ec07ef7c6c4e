/** Proves what is read out of a record of the dead-letter topic, and that pipeline faults and refusals are told apart. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { deadLetterOf, kindOf, parsePlace, placeText } from '../../src/dead/dead-letter.ts';
import { deadLetter, deadRecord } from './dead-letters.ts';

describe('a dead letter', () => {
  test('tells of its delivery and its record', () => {
    expect(deadLetter({}, { partition: 3, offset: 1207 })).toMatchObject({
      place: { partition: 3, offset: 1207 },
      diedAtMs: 1_700_000_001_000,
      outcome: 'dead',
      reason: 'http_503',
      status: 503,
      attempts: 5,
      kind: 'endpoint',
      tenant: 'acme',
      eventId: 'evt-1',
      eventType: 'contact.created',
      deliveryId: 'dlv_1',
      destinationId: 'crm',
      source: { topic: 'events', partition: 1, offset: 77, timestampMs: 1_700_000_000_000 },
    });
  });

  test('is not what another producer put on the topic', () => {
    expect(deadLetterOf(deadRecord({}, { headers: [] }))).toBeNull();
    expect(deadLetterOf(deadRecord({}, { headers: undefined }))).toBeNull();
  });

  test('an original header of our name does not stand for ours, which come last', () => {
    const spoofed = { 'eventdispatch-tenant': Buffer.from('somebody else') };
    const { headers = [] } = deadRecord();
    expect(deadLetterOf(deadRecord({}, { headers: [spoofed, ...headers] }))?.tenant).toBe('acme');
  });

  test('a header that travelled in Base64 is read as what it was', () => {
    const { headers = [] } = deadRecord();
    const wrapped = {
      'eventdispatch-base64.eventdispatch-tenant': Buffer.from(Buffer.from('a\0b').toString('base64')),
    };
    expect(deadLetterOf(deadRecord({}, { headers: [...headers, wrapped] }))?.tenant).toBe('a\0b');
  });

  test('numbers that are none are missing, whatever stands there', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const { source, attempts, status } = deadLetter({
          attempts: text,
          status: text,
          'source-offset': text,
        });
        for (const value of [source.offset, attempts]) expect(value).toBeGreaterThanOrEqual(-1);
        expect(status).toBeGreaterThanOrEqual(0);
      }),
    );
  });
});

describe('the kind', () => {
  test.each([
    ['http_400', 400, 'refused'],
    ['http_410', 410, 'refused'],
    ['http_301', 301, 'refused'],
    ['http_429', 429, 'endpoint'],
    ['http_408', 408, 'endpoint'],
    ['http_500', 500, 'endpoint'],
    ['deadline', 0, 'endpoint'],
    ['reset', 0, 'endpoint'],
    ['worker_crash', 0, 'pipeline'],
    ['connect_refused', 0, 'pipeline'],
    ['dns_not_found', 0, 'pipeline'],
    ['address_blocked', 0, 'pipeline'],
    ['no_descriptors', 0, 'pipeline'],
    ['', 0, 'pipeline'],
  ])('of %j with status %i is %s', (reason, status, kind) => {
    expect(kindOf(reason, status)).toBe(kind);
  });
});

describe('a place', () => {
  test('is spelled and read alike', () => {
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 0, max: 10 ** 15 - 1 }), (partition, offset) => {
        fc.pre(partition < 10 ** 9);
        expect(parsePlace(placeText({ partition, offset }))).toEqual({ partition, offset });
      }),
    );
  });

  test.each(['', '3', '3:', ':7', '3:-1', '3:1.5', '3:1207 ', '3:0x10', '1:2:3'])('%j is none', (text) => {
    expect(parsePlace(text)).toBeNull();
  });
});
