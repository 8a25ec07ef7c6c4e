import { describe, expect, it } from 'vitest';
import { compileMapping } from '../../src/config/field-mapping.ts';
import { FolderEncoder } from '../../src/decode/avro-encoder.ts';
import { RecordDecoder } from '../../src/decode/record-decoder.ts';
import { readSchemaFolder } from '../../src/decode/schema-folder.ts';
import { SchemaStore } from '../../src/decode/schema-store.ts';
import { readSchemaId } from '../../src/decode/wire.ts';
import { UserError } from '../../src/domain/errors.ts';
import { catalogue, catalogueTypes } from '../../src/samples/catalogue.ts';
import { SampleGenerator, sampleTenants, type SampleOptions } from '../../src/samples/generator.ts';

/* Proves that samples are real events of the catalogue: known schemas, right fields, unique ids, skewed tenants. */

const folder = readSchemaFolder('schemas');
const clock = { wallMs: () => 1_767_225_600_000, monotonicMs: () => 0 };
const store = new SchemaStore({ folder, registry: null, clock });

const mapping = compileMapping({
  id: 'eventId',
  type: 'eventType',
  tenant: 'tenantId',
  time: 'timestamp',
  version: 'version',
  source: 'source',
  key: 'key',
  correlationId: 'correlationId',
});

function generator(changes: Partial<SampleOptions> = {}): SampleGenerator {
  return new SampleGenerator({
    schemas: new FolderEncoder(folder),
    tenants: 20,
    skew: 0,
    seed: 1,
    clock,
    ...changes,
  });
}

function decoded(value: Buffer): Record<string, unknown> {
  const id = readSchemaId(value, 0, value.length);
  const found = store.lookup(id);
  if (found.state !== 'known') throw new Error(`schema ${id} is ${found.state}`);
  const projection = found.schema.projection(['tenantId']);
  expect(projection.walk(value, 5, value.length)).toBe(0);
  const decoder = new RecordDecoder();
  decoder.define(id, found.schema.source);
  const { data } = decoder.decode(id, value, 5, value.length, mapping);
  return JSON.parse(data.toString('utf8')) as Record<string, unknown>;
}

it('the catalogue holds every type of the issue', () => {
  expect([...catalogueTypes].sort()).toEqual(
    [
      ...[
        'contact.created',
        'contact.updated',
        'contact.deleted',
        'email.sent',
        'email.opened',
        'email.clicked',
      ],
      ...['campaign.started', 'campaign.step_executed', 'form.submitted', 'scoring.changed'],
      ...['user.created', 'user.updated', 'user.deleted', 'user.logged_in'],
      ...['transaction.created', 'transaction.completed', 'transaction.failed', 'transaction.cancelled'],
      ...['system.alert', 'system.maintenance', 'system.heartbeat'],
    ].sort(),
  );
});

it('every schema of the folder belongs to a kind of the catalogue', () => {
  expect(folder.size).toBe(catalogue.length);
});

describe.each(catalogueTypes)('%s', (type) => {
  it('carries the common fields and what makes it an event', () => {
    const samples = generator({ types: [type] });
    for (let i = 0; i < 30; i++) {
      const sample = samples.next();
      expect(sample.type).toBe(type);
      expect(sample.key.toString()).toBe(sample.tenant);
      expect(decoded(sample.value)).toMatchObject({
        eventId: sample.eventId,
        eventType: type,
        tenantId: sample.tenant,
        timestamp: clock.wallMs(),
        source: `${type.split('.')[0]}-service`,
        version: expect.any(Number),
      });
    }
  });
});

it('a typical record has 200 to 300 bytes', () => {
  const samples = generator();
  let bytes = 0;
  for (let i = 0; i < 2_000; i++) bytes += samples.next().value.length;
  expect(bytes / 2_000).toBeGreaterThan(230);
  expect(bytes / 2_000).toBeLessThan(300);
});

it('event ids are unique and look like UUIDs', () => {
  const samples = [generator({ seed: 1 }), generator({ seed: 2 })];
  const ids = new Set<string>();
  for (let i = 0; i < 20_000; i++) for (const from of samples) ids.add(from.next().eventId);
  expect(ids.size).toBe(40_000);
  for (const id of [...ids].slice(0, 50)) {
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  }
});

it('the same seed gives the same events, another seed others', () => {
  const first = (seed: number): string[] => {
    const samples = generator({ seed });
    return Array.from({ length: 20 }, () => samples.next().value.toString('hex'));
  };
  expect(first(3)).toEqual(first(3));
  expect(first(3)).not.toEqual(first(4));
});

it('skew makes the first tenants the largest', () => {
  const count = (skew: number): Map<string, number> => {
    const samples = generator({ skew, tenants: 10 });
    const counts = new Map(sampleTenants(10).map((tenant) => [tenant, 0]));
    for (let i = 0; i < 20_000; i++) {
      const { tenant } = samples.next();
      counts.set(tenant, counts.get(tenant)! + 1);
    }
    return counts;
  };
  expect(count(1).get('tenant-1')! / count(1).get('tenant-10')!).toBeGreaterThan(7);
  expect(count(0).get('tenant-1')! / count(0).get('tenant-10')!).toBeLessThan(1.3);
});

it('types that are unknown are refused with what there is', () => {
  expect(() => generator({ types: ['contact.created', 'contact.exploded'] })).toThrow(UserError);
  expect(() => generator({ types: ['contact.exploded'] })).toThrow(/contact\.exploded.*contact\.created/);
  expect(() => generator({ types: [] })).toThrow(UserError);
});

it('a folder without the catalogue’s schemas is refused', () => {
  expect(() => generator({ schemas: new FolderEncoder(new Map()) })).toThrow(
    /version 1 of eventdispatch\.contact/,
  );
});
