/**
 * Proves that the peek finds the tenant where the mapping says it is, and names
 * each way in which a record is no usable event, without ever throwing.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { FieldMapping, FieldSource } from '../../src/domain/event.ts';
import { limits } from '../../src/domain/limits.ts';
import { INVALID_REASONS, type InvalidReason } from '../../src/domain/outcome.ts';
import type { SourceRecord } from '../../src/domain/record.ts';
import { Peek, type ProjectionSource, type RecordProjection } from '../../src/ingest/peek.ts';

const MAX_RECORD_BYTES = 1_000;

/** A projection of "schema" 7, whose records are: tenant length, tenant. */
const lengthPrefixed: RecordProjection = {
  walk: (value, start, end) =>
    start < end && start + 1 + value[start]! <= end ? 0 : INVALID_REASONS.indexOf('truncated'),
  tenantStart: () => limits.wireHeaderBytes + 1,
  tenantEnd: () => limits.wireHeaderBytes + 1 + tenantBytes,
};
let tenantBytes = 0;

const answers: Readonly<Record<number, ReturnType<ProjectionSource['find']>>> = {
  7: lengthPrefixed,
  8: 'absent',
  9: 'unusable',
  10: 'unresolved',
  11: { ...lengthPrefixed, tenantStart: () => -1, tenantEnd: () => -1 },
};

function mappingOf(tenant: FieldSource): FieldMapping {
  return { tenant } as FieldMapping;
}

const byAvro = mappingOf({ from: 'avro', path: ['tenantId'] });

function valueOf(schemaId: number, tenant: string): Buffer {
  const head = Buffer.alloc(6);
  head.writeUInt32BE(schemaId, 1);
  tenantBytes = Buffer.byteLength(tenant);
  head[5] = tenantBytes;
  return Buffer.concat([head, Buffer.from(tenant)]);
}

function recordOf(value: Buffer | null, rest: Partial<SourceRecord> = {}): SourceRecord {
  return { topic: 't', partition: 0, offset: 1, value, ...rest };
}

function peekAt(): Peek {
  return new Peek({ find: (id) => answers[id] ?? 'absent' }, MAX_RECORD_BYTES);
}

function look(
  record: SourceRecord,
  mapping = byAvro,
): { reason: InvalidReason; tenant: string; schemaId: number } {
  const peek = peekAt();
  expect(peek.look(record, mapping)).toBe(true);
  const tenant = Buffer.from(peek.tenant).toString('utf8', peek.tenantStart, peek.tenantEnd);
  return { reason: INVALID_REASONS[peek.invalid]!, tenant, schemaId: peek.schemaId };
}

describe('a usable record', () => {
  test('has its tenant in a field', () => {
    expect(look(recordOf(valueOf(7, 'acme')))).toEqual({ reason: 'none', tenant: 'acme', schemaId: 7 });
  });

  test('has its tenant in a header, the first of that name', () => {
    const headers = [{ other: 'x' }, { tenant: Buffer.from('müller') }, { tenant: 'second' }];
    const mapping = mappingOf({ from: 'header', name: 'tenant' });
    expect(look(recordOf(valueOf(7, ''), { headers }), mapping).tenant).toBe('müller');
    expect(look(recordOf(valueOf(7, ''), { headers: [{ tenant: 42 }] }), mapping).tenant).toBe('42');
  });

  test('has its tenant as its key', () => {
    const mapping = mappingOf({ from: 'key' });
    expect(look(recordOf(valueOf(7, ''), { key: Buffer.from('acme') }), mapping).tenant).toBe('acme');
  });
});

describe('a record that is no event is told by its reason, and names no tenant', () => {
  test.each<[InvalidReason, Buffer | null]>([
    ['null_value', null],
    ['oversize', Buffer.alloc(MAX_RECORD_BYTES + 1)],
    ['too_short', Buffer.alloc(0)],
    ['too_short', Buffer.alloc(limits.wireHeaderBytes - 1)],
    ['not_avro', Buffer.from('{"json":1}')],
    ['unknown_schema', valueOf(8, 'acme')],
    ['unusable_schema', valueOf(9, 'acme')],
    ['truncated', valueOf(7, 'acme').subarray(0, 8)],
    ['no_tenant', valueOf(11, 'acme')],
  ])('%s', (reason, value) => {
    expect(look(recordOf(value))).toMatchObject({ reason, tenant: '' });
  });

  test('no_tenant: an empty field, no such header, no key', () => {
    expect(look(recordOf(valueOf(7, ''))).reason).toBe('no_tenant');
    expect(look(recordOf(valueOf(7, 'acme')), mappingOf({ from: 'header', name: 'tenant' })).reason).toBe(
      'no_tenant',
    );
    const byKey = mappingOf({ from: 'key' });
    expect(look(recordOf(valueOf(7, 'acme'), { key: null }), byKey).reason).toBe('no_tenant');
  });

  test('malformed: a tenant longer than any identifier may be', () => {
    const mapping = mappingOf({ from: 'key' });
    const key = (bytes: number): Buffer => Buffer.alloc(bytes, 'a');
    const longest = look(recordOf(valueOf(7, ''), { key: key(limits.identifierMaxBytes) }), mapping);
    expect(longest.reason).toBe('none');
    const tooLong = look(recordOf(valueOf(7, ''), { key: key(limits.identifierMaxBytes + 1) }), mapping);
    expect(tooLong).toMatchObject({ reason: 'malformed', tenant: '' });
  });

  test('a record of the largest size is looked into', () => {
    const value = Buffer.concat([valueOf(7, 'acme'), Buffer.alloc(MAX_RECORD_BYTES)]).subarray(
      0,
      MAX_RECORD_BYTES,
    );
    expect(look(recordOf(value)).reason).toBe('none');
  });
});

test('a record whose schema is not known yet is neither usable nor invalid, and tells the schema', () => {
  const peek = peekAt();
  expect(peek.look(recordOf(valueOf(10, 'acme')), byAvro)).toBe(false);
  expect(peek.schemaId).toBe(10);
});

test('nothing of one record is left when the next one is looked at', () => {
  const peek = peekAt();
  peek.look(recordOf(valueOf(7, 'acme')), byAvro);
  peek.look(recordOf(null), byAvro);
  expect(peek).toMatchObject({ schemaId: 0, tenantStart: 0, tenantEnd: 0 });
  peek.look(recordOf(valueOf(7, 'acme')), byAvro);
  expect(peek.invalid).toBe(0);
});

test('whatever the bytes, it answers', () => {
  const peek = peekAt();
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 20 }), (bytes) => {
      tenantBytes = 1;
      const answered = peek.look(recordOf(Buffer.from(bytes)), byAvro);
      expect(answered || peek.schemaId === 10).toBe(true);
      expect(INVALID_REASONS[peek.invalid]).toBeDefined();
    }),
  );
});
