/** The real registry of the test support registers, resolves, evolves, and demands credentials where told to. */
import { afterAll, beforeAll, expect, test } from 'vitest';

import { startRegistry } from '../support/schema-registry.ts';
import type { RealRegistry } from '../support/schema-registry.ts';
import { describeWithRegistry } from '../support/with-real-parts.ts';

function contact(...fields: object[]): object {
  return { type: 'record', name: 'Contact', fields: [{ name: 'id', type: 'string' }, ...fields] };
}

describeWithRegistry('open registry', () => {
  let registry: RealRegistry;
  beforeAll(async () => {
    registry = await startRegistry();
  });
  afterAll(() => registry.stop());

  test('gives ids, the same for the same schema, and resolves them', async () => {
    const id = await registry.register('contact-value', contact());
    expect(await registry.register('contact-value', contact())).toBe(id);
    const response = await fetch(`${registry.url}/schemas/ids/${id}`);
    const { schema } = (await response.json()) as { schema: string };
    expect(JSON.parse(schema)).toMatchObject(contact());
    const missing = await fetch(`${registry.url}/schemas/ids/999999`);
    expect(missing.status).toBe(404);
  });

  test('refuses a version that breaks the compatibility asked for', async () => {
    const first = await registry.register('strict-value', contact());
    await registry.setCompatibility('strict-value', 'BACKWARD');
    const second = await registry.register('strict-value', contact({ name: 'age', type: 'int', default: 0 }));
    expect(second).not.toBe(first);
    await expect(registry.register('strict-value', contact({ name: 'born', type: 'int' }))).rejects.toThrow(
      /409/,
    );
  });
});

describeWithRegistry('registry with basic auth', () => {
  let registry: RealRegistry;
  beforeAll(async () => {
    registry = await startRegistry({ basicAuth: { username: 'dispatch', password: 's3cret' } });
  });
  afterAll(() => registry.stop());

  test('answers 401 without, or with wrong credentials', async () => {
    const id = await registry.register('contact-value', contact());
    const ask = (headers: Record<string, string>) => fetch(`${registry.url}/schemas/ids/${id}`, { headers });
    const basic = (text: string) => ({ authorization: `Basic ${Buffer.from(text).toString('base64')}` });
    expect((await ask({})).status).toBe(401);
    expect((await ask(basic('dispatch:wrong'))).status).toBe(401);
    expect((await ask(basic('dispatch:s3cret'))).status).toBe(200);
  });
});
