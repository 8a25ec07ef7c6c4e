import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { buildEvent, type DecodedRecord, type RecordOrigin } from '../../src/decode/envelope.ts';
import { InvalidRecord } from '../../src/decode/errors.ts';
import type { FieldMapping, FieldSource } from '../../src/domain/event.ts';
import { limits } from '../../src/domain/limits.ts';

/* Proves where each field of an event comes from: CloudEvents headers, then the mapping, then the fallbacks. */

const avro = (...path: string[]): FieldSource => ({ from: 'avro', path });

const mapping: FieldMapping = {
  id: avro('eventId'),
  type: avro('eventType'),
  tenant: avro('tenantId'),
  time: avro('timestamp'),
  version: avro('version'),
  source: avro('source'),
  key: { from: 'key' },
  correlationId: avro('meta', 'correlationId'),
};

const origin: RecordOrigin = {
  topic: 'crm',
  partition: 3,
  offset: 42,
  timestampMs: 1_700_000_000_000,
  key: Buffer.from('tenant-1'),
  headers: [],
};

function decoded(value: unknown, timeScale: DecodedRecord['timeScale'] = 'millis'): DecodedRecord {
  return { value, json: JSON.stringify(value), schemaName: 'ns.Contact', timeScale };
}

function header(name: string, value: string): readonly [string, Uint8Array] {
  return [name, Buffer.from(value)];
}

const full = {
  eventId: 'e-1',
  eventType: 'contact.created',
  timestamp: 1_750_000_000_123,
  version: 2,
  source: 'contact-service',
  meta: { correlationId: 'c-9' },
};

it('takes what the mapping names', () => {
  expect(buildEvent(decoded(full), mapping, origin, 'tenant-1')).toEqual({
    id: 'e-1',
    type: 'contact.created',
    tenant: 'tenant-1',
    timeMs: 1_750_000_000_123,
    version: '2',
    source: 'contact-service',
    key: 'tenant-1',
    correlationId: 'c-9',
    dataJson: JSON.stringify(full),
  });
});

it('falls back to the record itself where there is nothing', () => {
  for (const value of [
    {},
    { eventId: null, eventType: '', timestamp: null, meta: null, version: {}, source: [] },
  ]) {
    expect(buildEvent(decoded(value), mapping, { ...origin, key: null }, 't')).toMatchObject({
      id: 'crm/3/42',
      type: 'ns.Contact',
      timeMs: origin.timestampMs,
      version: '',
      source: '',
      key: '',
      correlationId: '',
    });
  }
});

it('lets CloudEvents headers win', () => {
  const headers = [
    header('ce_id', 'ce-1'),
    header('ce_type', 'ce.type'),
    header('ce_source', '/ce/source'),
    header('ce_time', '2026-04-05T06:07:08.250+02:00'),
    header('ce_subject', 'order-7'),
  ];
  expect(buildEvent(decoded(full), mapping, { ...origin, headers }, 't')).toMatchObject({
    id: 'ce-1',
    type: 'ce.type',
    source: '/ce/source',
    timeMs: Date.UTC(2026, 3, 5, 4, 7, 8, 250),
    key: 'order-7',
    version: '2',
  });
});

it('reads mapped headers and keys, the last of a repeated header', () => {
  const byHeader: FieldMapping = { ...mapping, id: { from: 'header', name: 'x-id' }, type: { from: 'key' } };
  const headers = [header('x-id', 'first'), header('other', 'no'), header('x-id', 'last')];
  expect(buildEvent(decoded(full), byHeader, { ...origin, headers }, 't')).toMatchObject({
    id: 'last',
    type: 'tenant-1',
  });
});

it('renders a key that is not UTF-8 so that different keys stay different', () => {
  const keyOf = (...bytes: number[]): string =>
    buildEvent(decoded(full), mapping, { ...origin, key: Buffer.from(bytes) }, 't').key;
  expect([keyOf(0xff, 0x01), keyOf(0xfe, 0x01)]).toEqual(['ff01', 'fe01']);
});

it('finds no field that the data does not have itself', () => {
  const inherited: FieldMapping = {
    ...mapping,
    source: avro('meta', '__proto__', 'x'),
    version: avro('constructor', 'name'),
  };
  expect(buildEvent(decoded(full), inherited, origin, 't')).toMatchObject({ source: '', version: '' });
});

describe('an identifier', () => {
  const fields = { id: 'eventId', type: 'eventType', version: 'version', source: 'source' };

  it.each(Object.values(fields))('%s is kept up to the limit of bytes, and refused beyond', (field) => {
    const fits = 'ä'.repeat(limits.identifierMaxBytes / 2);
    expect(() => buildEvent(decoded({ ...full, [field]: fits }), mapping, origin, 't')).not.toThrow();
    expect(() => buildEvent(decoded({ ...full, [field]: `${fits}a` }), mapping, origin, 't')).toThrow(
      expect.objectContaining({ name: 'InvalidRecord', reason: 'malformed' }),
    );
  });

  it('that is a key is refused too', () => {
    const key = Buffer.alloc(limits.identifierMaxBytes + 1, 'k');
    expect(() => buildEvent(decoded(full), mapping, { ...origin, key }, 't')).toThrow(InvalidRecord);
  });
});

describe('the time', () => {
  const timeOf = (timestamp: unknown, scale: DecodedRecord['timeScale'] = 'millis'): number =>
    buildEvent(decoded({ timestamp }, scale), mapping, origin, 't').timeMs;
  const ms = Date.UTC(2026, 0, 2, 3, 4, 5, 678);

  it('is read in what the field counts', () => {
    expect(timeOf(ms)).toBe(ms);
    expect(timeOf(ms * 1_000 + 999, 'micros')).toBe(ms);
    expect(timeOf(`${ms}000999`, 'nanos')).toBe(ms);
  });

  it.each([
    ['2026-01-02T03:04:05.678Z', ms],
    ['2026-01-02T03:04:05.678901234Z', ms],
    ['2026-01-02 03:04:05.678', ms],
    ['2026-01-02T05:34:05.678+02:30', ms],
    ['2026-01-02T03:04Z', Date.UTC(2026, 0, 2, 3, 4)],
  ])('is read from %s', (text, expected) => {
    expect(timeOf(text)).toBe(expected);
  });

  it.each([
    'tomorrow',
    '2026-13-40T00:00:00Z',
    '',
    '2026-01',
    'Fri, 02 Jan 2026',
    1e300,
    NaN,
    -1e15,
    true,
    {},
  ])('is the record’s own when the field holds %s', (value) => {
    expect(timeOf(value)).toBe(origin.timestampMs);
  });

  it('is never a number that the ledger cannot hold', () => {
    const anything = fc.oneof(
      fc.double(),
      fc.maxSafeInteger(),
      fc.string(),
      fc.bigInt().map(String),
      fc.date().map(String),
    );
    fc.assert(
      fc.property(anything, fc.constantFrom('millis', 'micros', 'nanos'), (value, scale) => {
        const time = timeOf(value, scale);
        expect(Number.isInteger(time)).toBe(true);
        expect(time).toBeGreaterThanOrEqual(Date.UTC(1900, 0, 1));
        expect(time).toBeLessThan(Date.UTC(2300, 0, 1));
      }),
    );
  });

  it('is the epoch when the record has none either', () => {
    expect(buildEvent(decoded({}), mapping, { ...origin, timestampMs: -1 }, 't').timeMs).toBe(0);
  });
});
