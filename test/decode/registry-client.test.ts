import type { RequestListener, ServerResponse } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import { RegistryUnavailable } from '../../src/decode/errors.ts';
import { RegistryClient } from '../../src/decode/registry-client.ts';
import { limits } from '../../src/domain/limits.ts';
import { startRegistryStub, type RegistryStub } from './registry-stub.ts';

/*
 * Proves how each answer of a registry is understood. Only its own "not found"
 * may say that a schema does not exist: a record is given up for that, while
 * everything else leaves it waiting.
 */

let stub: RegistryStub | null = null;

afterEach(async () => {
  await stub?.close();
  stub = null;
});

async function registry(answer: RequestListener): Promise<RegistryStub> {
  stub = await startRegistryStub(answer);
  return stub;
}

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/vnd.schemaregistry.v1+json' });
  response.end(JSON.stringify(body));
}

const SCHEMA = '{"type":"record","name":"R","fields":[]}';

describe('a schema', () => {
  it('comes by its id, below the path of the base URL', async () => {
    const { config, requests } = await registry((_, response) => json(response, 200, { schema: SCHEMA }));
    expect(await new RegistryClient(config()).schemaById(17)).toEqual({ state: 'found', texts: [SCHEMA] });
    expect(requests[0]!.url).toBe('/base/schemas/ids/17');
    expect(requests[0]!.headers.accept).toBe('application/vnd.schemaregistry.v1+json');
    expect(requests[0]!.headers.authorization).toBeUndefined();
  });

  it('is asked for with the credentials', async () => {
    const { config, requests } = await registry((_, response) => json(response, 200, { schema: SCHEMA }));
    await new RegistryClient(config({ username: 'ed', password: 'pä:ss' })).schemaById(1);
    expect(requests[0]!.headers.authorization).toBe(`Basic ${Buffer.from('ed:pä:ss').toString('base64')}`);
  });

  it('does not exist when the registry says so', async () => {
    const { config } = await registry((_, response) =>
      json(response, 404, { error_code: 40403, message: 'Schema 5 not found' }),
    );
    expect(await new RegistryClient(config()).schemaById(5)).toEqual({ state: 'absent' });
  });

  it.each([
    ['of another type', { schema: 'syntax = "proto3";', schemaType: 'PROTOBUF' }, /PROTOBUF/],
    ['longer than the bound', { schema: 'x'.repeat(limits.schemaMaxBytes + 1) }, /longer than/],
    ['in an endless body', { schema: 'x'.repeat(3 * limits.schemaMaxBytes) }, /longer than/],
    ['with references that are none', { schema: SCHEMA, references: [{ subject: 1 }] }, /references/],
  ])('%s is unusable', async (_, body, reason) => {
    const { config } = await registry((__, response) => json(response, 200, body));
    expect(await new RegistryClient(config()).schemaById(5)).toEqual({
      state: 'unusable',
      reason: expect.stringMatching(reason),
    });
  });
});

describe('references', () => {
  const reference = (subject: string, version = 1): unknown => ({ name: subject, subject, version });

  function subjects(bySubject: Readonly<Record<string, unknown>>): RequestListener {
    return (request, response) => {
      const subject = /subjects\/([^/]+)\/versions/.exec(request.url!)?.[1] ?? 'root';
      const body = bySubject[decodeURIComponent(subject)];
      if (body === undefined) json(response, 404, { error_code: 40401 });
      else json(response, 200, body);
    };
  }

  it('are collected before what refers to them, each once', async () => {
    const { config, requests } = await registry(
      subjects({
        root: { schema: 'ROOT', references: [reference('a/b', 3), reference('c')] },
        'a/b': { schema: 'A', references: [reference('c')] },
        c: { schema: 'C' },
      }),
    );
    expect(await new RegistryClient(config()).schemaById(1)).toEqual({
      state: 'found',
      texts: ['C', 'A', 'ROOT'],
    });
    expect(requests.map((request) => request.url)).toEqual([
      '/base/schemas/ids/1',
      '/base/subjects/a%2Fb/versions/3',
      '/base/subjects/c/versions/1',
    ]);
  });

  it('that do not exist, or are not Avro, make the schema unusable', async () => {
    const { config } = await registry(
      subjects({
        root: { schema: 'ROOT', references: [reference('json')] },
        json: { schema: '{}', schemaType: 'JSON' },
      }),
    );
    expect(await new RegistryClient(config()).schemaById(1)).toMatchObject({ state: 'unusable' });
    await stub!.close();
    const missing = await registry(
      subjects({ root: { schema: 'ROOT', references: [reference('gone', 4)] } }),
    );
    expect(await new RegistryClient(missing.config()).schemaById(1)).toEqual({
      state: 'unusable',
      reason: 'refers to gone version 4, which does not exist',
    });
  });

  it('that go in circles or never end are cut off', async () => {
    const circle = await registry(
      subjects({
        root: { schema: 'ROOT', references: [reference('a')] },
        a: { schema: 'A', references: [reference('b')] },
        b: { schema: 'B', references: [reference('a')] },
      }),
    );
    expect(await new RegistryClient(circle.config()).schemaById(1)).toMatchObject({ state: 'found' });
    await stub!.close();
    let next = 0;
    const endless = await registry((_, response) => {
      json(response, 200, { schema: 'S', references: [reference(`s${next++}`)] });
    });
    expect(await new RegistryClient(endless.config()).schemaById(1)).toEqual({
      state: 'unusable',
      reason: 'refers to more than 64 schemas',
    });
  });

  it('leave the question open when the registry fails half-way', async () => {
    const { config } = await registry((request, response) => {
      if (request.url!.includes('subjects')) json(response, 500, {});
      else json(response, 200, { schema: 'ROOT', references: [reference('a')] });
    });
    await expect(new RegistryClient(config()).schemaById(1)).rejects.toThrow(RegistryUnavailable);
  });
});

describe('the question stays open', () => {
  it.each([
    ['401', 401, { error_code: 401 }, /401, check schemas.registry username and password/],
    ['403', 403, {}, /403, check/],
    ['500', 500, { error_code: 50001 }, /500/],
    ['a redirect', 302, {}, /redirects are not followed/],
    [
      'a 404 of something else',
      404,
      { error_code: 404, message: 'HTTP 404 Not Found' },
      /check schemas.registry url/,
    ],
    ['a 200 of something else', 200, { hello: 'world' }, /not a schema registry's/],
    ['a 200 that is null', 200, null, /not a schema registry's/],
  ])('on %s', async (_, status, body, reason) => {
    const { config } = await registry((__, response) => json(response, status, body));
    const asked = new RegistryClient(config({ username: 'ed', password: 's3cret' })).schemaById(1);
    await expect(asked).rejects.toThrow(RegistryUnavailable);
    await expect(asked).rejects.toThrow(reason);
    await expect(asked).rejects.not.toThrow(/s3cret/);
  });

  it('on a page instead of JSON', async () => {
    const { config } = await registry((_, response) => response.end('<html>sign in</html>'));
    await expect(new RegistryClient(config()).schemaById(1)).rejects.toThrow(/not a schema registry's/);
  });

  it.each<[string, RequestListener]>([
    ['never answers', () => {}],
    ['stops within the headers', (request) => void request.socket.write('HTTP/1.1 200 OK\r\ncontent-')],
    ['stops within the body', (_, response) => void response.writeHead(200).write('{"schema":')],
  ])('when the registry %s, at the deadline', async (_, answer) => {
    const { config } = await registry(answer);
    const asked = new RegistryClient(config({ timeoutMs: 150 })).schemaById(1);
    await expect(asked).rejects.toThrow(/no answer within 150 ms/);
  });

  it('when a body drips past the deadline', async () => {
    const { config } = await registry((_, response) => {
      response.writeHead(200);
      const drip = setInterval(() => response.write(' '), 20);
      response.on('close', () => clearInterval(drip));
    });
    const asked = new RegistryClient(config({ timeoutMs: 200 })).schemaById(1);
    await expect(asked).rejects.toThrow(/no answer within 200 ms/);
  });

  it('when the connection breaks, or nobody listens', async () => {
    const { config } = await registry((request) => request.socket.destroy());
    const broken = config();
    await expect(new RegistryClient(broken).schemaById(1)).rejects.toThrow(RegistryUnavailable);
    await stub!.close();
    stub = null;
    await expect(new RegistryClient(broken).schemaById(1)).rejects.toThrow(/ECONNREFUSED/);
  });

  it('when the name does not exist', async () => {
    const { config } = await registry(() => {});
    const asked = new RegistryClient(config({ url: 'http://registry.invalid', timeoutMs: 3_000 })).schemaById(
      1,
    );
    await expect(asked).rejects.toThrow(RegistryUnavailable);
  });
});
