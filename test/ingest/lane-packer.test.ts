/**
 * Proves that a record read from a lane's batch is the record that was packed:
 * packer and reader are the two halves of one layout.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LanePacker, type PackedRecord } from '../../src/ingest/lane-packer.ts';
import { BatchReader } from '../../src/lanes/batch-reader.ts';

const uint32 = fc.integer({ min: 0, max: 0xffff_ffff });
const bytes = fc.uint8Array({ maxLength: 200 });
/** Null and empty differ: a null value is a tombstone. */
const absentOrBytes = fc.option(bytes, { freq: 3 });
const largeNumber = fc.oneof(uint32, fc.integer({ min: 2 ** 32, max: Number.MAX_SAFE_INTEGER }));

const packedRecord: fc.Arbitrary<PackedRecord> = fc
  .record({
    assignment: uint32,
    sequence: uint32,
    offset: largeNumber,
    timestampMs: largeNumber,
    schemaId: uint32,
    invalid: fc.nat(11),
    part: fc.nat(254),
    parts: fc.integer({ min: 1, max: 255 }),
    tenantText: fc.string({ unit: 'grapheme', maxLength: 20 }),
    around: fc.tuple(bytes, bytes),
    key: absentOrBytes,
    headers: absentOrBytes,
    value: absentOrBytes,
  })
  .map(({ tenantText, around: [before, after], ...rest }) => {
    const text = Buffer.from(tenantText);
    const tenantStart = before.length;
    return {
      ...rest,
      tenant: Buffer.concat([before, text, after]),
      tenantStart,
      tenantEnd: tenantStart + text.length,
    };
  });

const plain = (part: Uint8Array | null): number[] | null => part && [...part];

/** What a lane must see of a packed record. */
function seenOf(record: PackedRecord): Record<string, unknown> {
  const tenant = Buffer.from(record.tenant).toString('utf8', record.tenantStart, record.tenantEnd);
  const { assignment, sequence, offset, timestampMs, schemaId, invalid, part, parts } = record;
  const [key, headers, value] = [plain(record.key), plain(record.headers), plain(record.value)];
  const words = { assignment, sequence, offset, timestampMs, schemaId, invalid, part, parts };
  return { ...words, tenant, key, headers, value };
}

function readAll(packer: LanePacker): Record<string, unknown>[] {
  const batch = packer.take();
  if (batch === null) return [];
  const reader = new BatchReader(batch.buffer, batch.count);
  const read: Record<string, unknown>[] = [];
  while (reader.next()) {
    const { assignment, sequence, offset, timestampMs, schemaId, invalid, part, parts, tenant } = reader;
    const [key, headers, value] = [
      plain(reader.bytes.key),
      plain(reader.bytes.headers),
      plain(reader.bytes.value),
    ];
    const words = { assignment, sequence, offset, timestampMs, schemaId, invalid, part, parts };
    read.push({ ...words, tenant, key, headers, value });
  }
  return read;
}

test('batches read back as they were packed, batch after batch from one packer', () => {
  const packer = new LanePacker();
  fc.assert(
    fc.property(fc.array(packedRecord, { maxLength: 30 }), (records) => {
      for (const record of records) packer.add(record);
      expect(packer.count).toBe(records.length);
      expect(readAll(packer)).toEqual(records.map(seenOf));
      expect([packer.count, packer.bytes]).toEqual([0, 0]);
    }),
  );
});

test('what the packer counts and what the reader counts is the same: admission and release balance', () => {
  fc.assert(
    fc.property(fc.array(packedRecord, { minLength: 1, maxLength: 30 }), (records) => {
      const packer = new LanePacker();
      for (const record of records) packer.add(record);
      const { bytes: packed } = packer;
      const { buffer, count } = packer.take()!;
      const reader = new BatchReader(buffer, count);
      let sum = 0;
      while (reader.next()) sum += reader.payloadBytes;
      expect(sum).toBe(packed);
    }),
  );
});

const blank: PackedRecord = {
  assignment: 1,
  sequence: 0,
  offset: 0,
  timestampMs: 0,
  schemaId: 0,
  invalid: 0,
  part: 0,
  parts: 1,
  tenant: Buffer.from('acme'),
  tenantStart: 0,
  tenantEnd: 4,
  key: null,
  headers: null,
  value: null,
};

test('more records and more bytes than the packer starts with', () => {
  const packer = new LanePacker();
  const big = Buffer.alloc(3 * 1024 * 1024, 7);
  for (let sequence = 0; sequence < 1_000; sequence++) {
    packer.add({ ...blank, sequence, value: sequence === 500 ? big : Buffer.from(`value ${sequence}`) });
  }
  const { buffer, count } = packer.take()!;
  const reader = new BatchReader(buffer, count);
  for (let sequence = 0; reader.next(); sequence++) {
    expect(reader.sequence).toBe(sequence);
    expect(reader.bytes.value?.equals(sequence === 500 ? big : Buffer.from(`value ${sequence}`))).toBe(true);
  }
});

test('a batch owns its memory exactly, so that it can be transferred while the packer goes on', () => {
  const packer = new LanePacker();
  packer.add({ ...blank, value: Buffer.from('first') });
  const { buffer } = packer.take()!;
  packer.add({ ...blank, value: Buffer.from('other') });
  const reader = new BatchReader(structuredClone(buffer, { transfer: [buffer] }), 1);
  reader.next();
  expect(String(reader.bytes.value)).toBe('first');
  expect(buffer.byteLength).toBe(0);
  expect(readAll(packer)).toHaveLength(1);
});

test('nothing gathered is no batch', () => {
  expect(new LanePacker().take()).toBeNull();
});
