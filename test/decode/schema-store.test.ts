import { describe, expect, it } from 'vitest';
import type { RegistrySchema } from '../../src/decode/registry-client.ts';
import type { SchemaFolder } from '../../src/decode/schema-folder.ts';
import { SchemaStore } from '../../src/decode/schema-store.ts';
import { RegistryUnavailable } from '../../src/decode/errors.ts';
import { limits } from '../../src/domain/limits.ts';

/* Proves what the store knows and for how long, and that the registry is asked no more than needed. */

const text = (name: string): string =>
  JSON.stringify({ type: 'record', name, fields: [{ name: 'tenantId', type: 'string' }] });

const folder: SchemaFolder = new Map([[1, { id: 1, subject: 's', version: 1, text: text('FromFolder') }]]);

class FakeRegistry {
  asked: number[] = [];
  answer: (id: number) => Promise<RegistrySchema> = (id) =>
    Promise.resolve({ state: 'found', texts: [text(`R${id}`)] });

  schemaById(id: number): Promise<RegistrySchema> {
    this.asked.push(id);
    return this.answer(id);
  }
}

function setUp(withFolder: SchemaFolder | null = folder) {
  const registry = new FakeRegistry();
  const time = { nowMs: 0 };
  const clock = { monotonicMs: () => time.nowMs, wallMs: () => 0 };
  return { registry, time, store: new SchemaStore({ folder: withFolder, registry, clock }) };
}

describe('a schema of the folder', () => {
  it('is known at once, and the registry is not asked', async () => {
    const { store, registry } = setUp();
    expect(store.lookup(1)).toMatchObject({ state: 'known', schema: { id: 1 } });
    expect(await store.resolve(1)).toBe(store.lookup(1));
    expect(registry.asked).toEqual([]);
  });

  it('is all there is without a registry', async () => {
    const clock = { monotonicMs: () => 0, wallMs: () => 0 };
    const store = new SchemaStore({ folder, registry: null, clock });
    expect(store.lookup(2).state).toBe('absent');
    expect((await store.resolve(2)).state).toBe('absent');
  });
});

describe('a schema of the registry', () => {
  it('is unresolved until it was asked for, then stays known with the registry down', async () => {
    const { store, registry } = setUp();
    expect(store.lookup(7).state).toBe('unresolved');
    const known = await store.resolve(7);
    expect(known).toMatchObject({ state: 'known', schema: { id: 7 } });
    registry.answer = () => Promise.reject(new RegistryUnavailable('down'));
    expect(store.lookup(7)).toBe(known);
    expect(registry.asked).toEqual([7]);
  });

  it('is asked for once, however many wait', async () => {
    const { store, registry } = setUp();
    const answers = await Promise.all([store.resolve(7), store.resolve(7), store.resolve(8)]);
    expect(answers[0]).toBe(answers[1]);
    expect(registry.asked).toEqual([7, 8]);
  });

  it('walks to the tenant, with what it refers to', async () => {
    const { store, registry } = setUp();
    const outer = { type: 'record', name: 'Outer', fields: [{ name: 'inner', type: 'Inner' }] };
    registry.answer = () =>
      Promise.resolve({ state: 'found', texts: [text('Inner'), JSON.stringify(outer)] });
    const known = await store.resolve(7);
    if (known.state !== 'known') throw new Error(known.state);
    const projection = known.schema.projection(['inner', 'tenantId']);
    const record = Buffer.from([6, 97, 98, 99]);
    expect(projection.walk(record, 0, 4)).toBe(0);
    expect([projection.tenantStart(), projection.tenantEnd(), projection.tenantText(record)]).toEqual([
      1,
      4,
      'abc',
    ]);
    const without = known.schema.projection(null);
    expect([without.walk(record, 0, 4), without.tenantStart()]).toEqual([0, -1]);
    expect(JSON.parse(known.schema.source)).toMatchObject({ fields: [{ type: { name: '.Inner' } }] });
  });

  it('gives the same projection for the same path', () => {
    const { store } = setUp();
    const path = ['tenantId'];
    const found = store.lookup(1);
    if (found.state !== 'known') throw new Error(found.state);
    expect(found.schema.projection(path)).toBe(found.schema.projection(path));
  });
});

describe('a refusal', () => {
  it('holds for a while when there is no such schema', async () => {
    const { store, registry, time } = setUp();
    registry.answer = () => Promise.resolve({ state: 'absent' });
    expect((await store.resolve(9)).state).toBe('absent');
    time.nowMs = 29_999;
    expect(store.lookup(9).state).toBe('absent');
    expect((await store.resolve(9)).state).toBe('absent');
    expect(registry.asked).toEqual([9]);
    time.nowMs = 30_000;
    expect(store.lookup(9).state).toBe('unresolved');
    registry.answer = () => Promise.resolve({ state: 'found', texts: [text('Late')] });
    expect((await store.resolve(9)).state).toBe('known');
  });

  it('holds for good when the schema is unusable, and says why', async () => {
    const { store, registry, time } = setUp();
    registry.answer = () => Promise.resolve({ state: 'found', texts: ['"string"'] });
    expect(await store.resolve(9)).toEqual({
      state: 'unusable',
      reason: 'a record was expected, not string',
    });
    registry.answer = () => Promise.resolve({ state: 'unusable', reason: 'PROTOBUF' });
    expect(await store.resolve(10)).toEqual({ state: 'unusable', reason: 'PROTOBUF' });
    time.nowMs = 1e12;
    expect([store.lookup(9).state, store.lookup(10).state]).toEqual(['unusable', 'unusable']);
  });

  it('meets a schema that would exhaust the stack', async () => {
    const { store, registry } = setUp();
    const chain = Array.from({ length: 20_000 }, (_, i) => ({
      type: 'record',
      name: `D${i}`,
      fields: [{ name: 'f', type: ['null', i === 0 ? 'int' : `D${i - 1}`] }],
    }));
    const top = { type: 'record', name: 'Top', fields: [{ name: 'f', type: 'D19999' }] };
    registry.answer = () =>
      Promise.resolve({ state: 'found', texts: [JSON.stringify(chain), JSON.stringify(top)] });
    expect((await store.resolve(9)).state).toBe('unusable');
  });

  it('is none when the registry is unavailable: the next question goes out again', async () => {
    const { store, registry } = setUp();
    const works = registry.answer;
    registry.answer = () => Promise.reject(new RegistryUnavailable('500'));
    await expect(store.resolve(7)).rejects.toThrow(RegistryUnavailable);
    expect(store.lookup(7).state).toBe('unresolved');
    registry.answer = works;
    expect((await store.resolve(7)).state).toBe('known');
  });

  it('of ever new ids pushes no good schema out', async () => {
    const { store, registry } = setUp();
    const good = await store.resolve(7);
    registry.answer = () => Promise.resolve({ state: 'absent' });
    for (let id = 100; id < 100 + 2 * limits.schemaCacheEntries; id++) await store.resolve(id);
    expect(store.lookup(7)).toBe(good);
  });
});
