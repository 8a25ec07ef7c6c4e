import { describe, expect, it } from 'vitest';
import {
  buildEvent,
  type AvroSource,
  type DecodedRecord,
  type RecordOrigin,
} from '../../src/decode/envelope.ts';
import { InvalidRecord } from '../../src/decode/errors.ts';
import type { Priority } from '../../src/domain/destination.ts';
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
  aggregateType: null,
  aggregateId: null,
  aggregateVersion: null,
  priority: null,
  expiresAt: null,
};

const origin: RecordOrigin = {
  place: { topic: 'crm', partition: 3, offset: 42 },
  timestampMs: 1_700_000_000_000,
  key: Buffer.from('tenant-1'),
  headers: [],
};

/** A record with these fields, named by their whole path, as the decoder would have found them. */
function decoded(fields: Readonly<Record<string, string | number>>): DecodedRecord {
  const at = (source: AvroSource): string | number | undefined => fields[source.path.join('.')];
  return {
    data: Buffer.from(JSON.stringify(fields)),
    schemaName: 'ns.Contact',
    text: (source) => String(at(source) ?? ''),
    timeMs: (source) => {
      const value = at(source);
      return typeof value === 'number' ? value : null;
    },
  };
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
  'meta.correlationId': 'c-9',
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
    aggregateType: '',
    aggregateId: '',
    aggregateVersion: '',
    priority: 'normal',
    expiresAtMs: null,
    data: Buffer.from(JSON.stringify(full)),
  });
});

it('falls back to the record itself where there is nothing', () => {
  expect(buildEvent(decoded({}), mapping, { ...origin, key: null }, 't')).toMatchObject({
    id: 'crm/3/42',
    type: 'ns.Contact',
    timeMs: origin.timestampMs,
    version: '',
    source: '',
    key: '',
    correlationId: '',
  });
});

it('takes the empty text of a field for nothing', () => {
  const event = buildEvent(decoded({ eventId: '', eventType: '' }), mapping, origin, 't');
  expect([event.id, event.type]).toEqual(['crm/3/42', 'ns.Contact']);
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

describe('the priority', () => {
  const of = (priority: FieldMapping['priority'], field: string | number, headers = origin.headers): string =>
    buildEvent(decoded({ p: field }), { ...mapping, priority }, { ...origin, headers }, 't').priority;

  it.each(['high', 'normal', 'low'])('is %s where a field, a header or the topic says so', (word) => {
    expect(of(avro('p'), word)).toBe(word);
    expect(of({ from: 'header', name: 'x-priority' }, '', [header('x-priority', word)])).toBe(word);
    expect(of({ from: 'constant', value: word as Priority }, 'anything')).toBe(word);
  });

  it.each(['HIGH', 'High'])('is read in any case: %s', (word) => {
    expect(of(avro('p'), word)).toBe('high');
  });

  it.each(['', 'highest', ' low', 'urgent', 1])('of %j is normal', (unknown) => {
    expect(of(avro('p'), unknown)).toBe('normal');
  });

  it('is normal where nothing is mapped', () => {
    expect(of(null, 'high')).toBe('normal');
  });
});

describe('the expiry', () => {
  const of = (expiresAt: FieldSource | null, headers = origin.headers): number | null =>
    buildEvent(
      decoded({ ...full, until: 1_750_000_060_000 }),
      { ...mapping, expiresAt },
      { ...origin, headers },
      't',
    ).expiresAtMs;
  const byHeader: FieldSource = { from: 'header', name: 'x-until' };

  it('is the time of a field, or of a header as text', () => {
    expect(of(avro('until'))).toBe(1_750_000_060_000);
    expect(of(byHeader, [header('x-until', '2026-01-02T03:04:05Z')])).toBe(Date.UTC(2026, 0, 2, 3, 4, 5));
  });

  it.each(['', 'tomorrow', '2026-13-01T00:00:00Z'])('is none when the header says %j', (text) => {
    expect(of(byHeader, [header('x-until', text)])).toBeNull();
  });

  it('is none, not the record’s own time, when what is mapped has none', () => {
    expect(of(avro('nothing'))).toBeNull();
    expect(of(null)).toBeNull();
  });
});

describe('the aggregate', () => {
  const mapped: FieldMapping = {
    ...mapping,
    aggregateType: { from: 'header', name: 'x-kind' },
    aggregateId: avro('contact', 'id'),
    aggregateVersion: avro('contact', 'revision'),
  };
  const headers = [header('x-kind', 'contact')];

  it('is what the mapping names, and empty where the record has nothing there', () => {
    const fields = { ...full, 'contact.id': 'c-7', 'contact.revision': 12 };
    expect(buildEvent(decoded(fields), mapped, { ...origin, headers }, 't')).toMatchObject({
      aggregateType: 'contact',
      aggregateId: 'c-7',
      aggregateVersion: '12',
    });
    expect(buildEvent(decoded(full), mapped, origin, 't')).toMatchObject({
      aggregateType: '',
      aggregateId: '',
      aggregateVersion: '',
    });
  });

  it('whose id is too long is refused', () => {
    const fields = { ...full, 'contact.id': 'c'.repeat(limits.identifierMaxBytes + 1) };
    expect(() => buildEvent(decoded(fields), mapped, origin, 't')).toThrow(InvalidRecord);
  });
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
  const ms = Date.UTC(2026, 0, 2, 3, 4, 5, 678);
  const iso = '2026-01-02T03:04:05.678Z';
  const timeOf = (time: FieldSource, changes: Partial<RecordOrigin> = {}): number =>
    buildEvent(decoded(full), { ...mapping, time }, { ...origin, ...changes }, 't').timeMs;

  it('is read from a header or the key as text', () => {
    const byHeader: FieldSource = { from: 'header', name: 'at' };
    expect(timeOf(byHeader, { headers: [header('at', iso)] })).toBe(ms);
    expect(timeOf(byHeader, { headers: [header('at', String(ms))] })).toBe(ms);
    expect(timeOf({ from: 'key' }, { key: Buffer.from(iso) })).toBe(ms);
  });

  it('is the mapped one when the CloudEvents header makes no sense', () => {
    expect(timeOf(mapping.time, { headers: [header('ce_time', 'tomorrow')] })).toBe(full.timestamp);
  });

  it('is the record’s own when what is mapped has none', () => {
    expect(timeOf(avro('nowhere'))).toBe(origin.timestampMs);
    expect(timeOf({ from: 'header', name: 'at' }, { headers: [header('at', 'tomorrow')] })).toBe(
      origin.timestampMs,
    );
  });

  it('is the epoch when the record has none either', () => {
    expect(timeOf(avro('nowhere'), { timestampMs: -1 })).toBe(0);
  });
});
