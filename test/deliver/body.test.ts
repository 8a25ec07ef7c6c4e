/** Proves that every body is valid JSON, and every CloudEvents body a valid CloudEvent, whatever is in the event. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CONTENT_TYPE, encodeBody } from '../../src/deliver/body.ts';
import { BODY_FORMATS } from '../../src/domain/destination.ts';
import type { Event } from '../../src/domain/event.ts';

const event: Event = {
  id: 'evt-1',
  type: 'contact.created',
  tenant: 'acme',
  timeMs: Date.UTC(2026, 0, 2, 3, 4, 5, 678),
  version: '2',
  source: '/crm',
  key: 'contact-7',
  correlationId: 'corr-9',
  aggregateType: '',
  aggregateId: '',
  aggregateVersion: '',
  priority: 'normal',
  expiresAtMs: null,
  data: Buffer.from('{"name":"Zoë"}'),
};

function parsed(of: Event): Record<string, unknown> {
  return JSON.parse(encodeBody(of, 'cloudevents').toString('utf8')) as Record<string, unknown>;
}

/** https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md#context-attributes */
function expectCloudEvent(body: Record<string, unknown>): void {
  expect(body['specversion']).toBe('1.0');
  for (const required of ['id', 'source', 'type']) {
    expect(body[required]).toBeTypeOf('string');
    expect(body[required]).not.toBe('');
  }
  expect(body['time']).toMatch(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/);
  expect(body['datacontenttype']).toBe('application/json');
  for (const [name, value] of Object.entries(body)) {
    expect(name).toMatch(/^[a-z0-9]{1,20}$/);
    if (name !== 'data') expect(value).not.toBe('');
  }
}

test('a CloudEvent in structured mode, with tenant, correlation id and version as extensions', () => {
  expect(parsed(event)).toEqual({
    specversion: '1.0',
    id: 'evt-1',
    source: '/crm',
    type: 'contact.created',
    time: '2026-01-02T03:04:05.678Z',
    datacontenttype: 'application/json',
    subject: 'contact-7',
    tenantid: 'acme',
    correlationid: 'corr-9',
    eventversion: '2',
    data: { name: 'Zoë' },
  });
  expectCloudEvent(parsed(event));
});

test('what the event does not have is left out, except its source, which a CloudEvent must have', () => {
  const body = parsed({ ...event, version: '', key: '', correlationId: '', source: '' });
  expect(Object.keys(body)).toEqual([
    'specversion',
    'id',
    'source',
    'type',
    'time',
    'datacontenttype',
    'tenantid',
    'data',
  ]);
  expectCloudEvent(body);
});

test('the data alone is the event’s JSON, byte for byte', () => {
  expect(encodeBody(event, 'data')).toEqual(Buffer.from('{"name":"Zoë"}'));
});

test('there is a content type for each format', () => {
  expect(BODY_FORMATS.map((format) => CONTENT_TYPE[format])).toEqual([
    'application/cloudevents+json; charset=utf-8',
    'application/json',
  ]);
});

describe('nasty strings', () => {
  const nasty = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom(
      '"',
      '\\',
      '\\"',
      '\n\r\t\b\f\0',
      '\u2028\u2029',
      '\u007f\u0080',
      '</script>',
      '{"a":1}',
      '😀',
      '\ud800',
      '\udfff x',
    ),
    fc.string({ unit: fc.constantFrom('"', '\\', '\n', 'a', '\ud83d', '\ude00') }),
  );

  test('come back as they went, and the body stays one JSON value', () => {
    fc.assert(
      fc.property(
        fc.record({
          id: nasty,
          type: nasty,
          tenant: nasty,
          version: nasty,
          source: nasty,
          key: nasty,
          correlationId: nasty,
        }),
        fc.json(),
        fc.integer({ min: Date.UTC(1900, 0, 1), max: Date.UTC(2300, 0, 1) - 1 }),
        (texts, dataJson, timeMs) => {
          const body = parsed({ ...event, ...texts, data: Buffer.from(dataJson), timeMs });
          expect(body).toMatchObject({ id: texts.id, type: texts.type, tenantid: texts.tenant });
          if (texts.source !== '') expect(body['source']).toBe(texts.source);
          expect([body['subject'] ?? '', body['correlationid'] ?? '', body['eventversion'] ?? '']).toEqual([
            texts.key,
            texts.correlationId,
            texts.version,
          ]);
          expect(body['data']).toEqual(JSON.parse(dataJson));
          expect(Date.parse(body['time'] as string)).toBe(timeMs);
        },
      ),
      { numRuns: 500 },
    );
  });
});
