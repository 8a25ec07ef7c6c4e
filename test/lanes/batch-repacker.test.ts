/** Proves that a record keeps every one of its fields when it is copied out of its batch, whichever others stay behind. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LanePacker } from '../../src/ingest/lane-packer.ts';
import { BatchReader } from '../../src/lanes/batch-reader.ts';
import { BatchRepacker } from '../../src/lanes/batch-repacker.ts';

const bytes = fc.option(fc.uint8Array({ maxLength: 40 }), { nil: null });
const record = fc.record({
  assignment: fc.nat(),
  sequence: fc.nat(),
  offset: fc.maxSafeNat(),
  timestampMs: fc.maxSafeNat(),
  schemaId: fc.nat(),
  invalid: fc.nat({ max: 11 }),
  part: fc.nat({ max: 254 }),
  parts: fc.integer({ min: 1, max: 255 }),
  tenant: fc.string({ minLength: 1, maxLength: 20 }),
  key: bytes,
  headers: bytes,
  value: bytes,
  isKept: fc.boolean(),
});

/** All that a reader tells of the record it stands on. */
function seen(batch: BatchReader): unknown {
  const { assignment, sequence, offset, timestampMs, schemaId, invalid, tenant, payloadBytes } = batch;
  const { part: which, parts: ofHowMany } = batch;
  const { key, headers, value } = batch.bytes;
  const parts = [key, headers, value].map((part) => part && Buffer.from(part).toString('hex'));
  const words = [assignment, sequence, offset, timestampMs, schemaId, invalid, which, ofHowMany];
  return [...words, tenant, payloadBytes, ...parts];
}

test('records of many batches are the same in one', () => {
  fc.assert(
    fc.property(fc.array(fc.array(record, { maxLength: 6 }), { maxLength: 5 }), (batches) => {
      const kept: { batch: BatchReader; index: number; start: number; bytes: number }[] = [];
      const expected: unknown[] = [];
      for (const records of batches) {
        const packer = new LanePacker();
        for (const { tenant, isKept: _, ...rest } of records) {
          const name = Buffer.from(tenant);
          packer.add({ ...rest, tenant: name, tenantStart: 0, tenantEnd: name.length });
        }
        const packed = packer.take();
        if (packed === null) continue;
        const batch = new BatchReader(packed.buffer, packed.count);
        for (const { isKept } of records) {
          batch.next();
          if (!isKept) continue;
          kept.push({ batch, index: batch.index, start: batch.payloadStart, bytes: batch.payloadBytes });
          expected.push(seen(batch));
        }
      }
      const repacker = new BatchRepacker(
        kept.length,
        kept.reduce((sum, one) => sum + one.bytes, 0),
      );
      const starts = kept.map(({ batch, index, start, bytes: size }) =>
        repacker.place(batch, index, start, size),
      );
      const { reader } = repacker;
      starts.forEach((start, index) => {
        reader.seek(index, start);
        expect(seen(reader)).toEqual(expected[index]);
      });
    }),
  );
});
