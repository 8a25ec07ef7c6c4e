/** Receivers record each request before they answer, answer as told, and break HTTP in each of the named ways. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { startReceiver } from '../support/receiver.ts';
import type { Receiver, SocketFault } from '../support/receiver.ts';
import { waitFor } from '../support/wait.ts';

function post(url: string, id: string, body = '{"a":"ü"}', signal?: AbortSignal): Promise<Response> {
  return fetch(url, {
    method: 'POST',
    body,
    headers: { 'webhook-id': id, 'webhook-timestamp': '7' },
    ...(signal === undefined ? {} : { signal }),
  });
}

async function statusOf(url: string, id = 'dlv_1'): Promise<number> {
  const response = await post(url, id);
  await response.arrayBuffer();
  return response.status;
}

describe('HTTP receivers', () => {
  let receiver: Receiver;
  beforeAll(async () => {
    receiver = await startReceiver({
      ports: [
        { name: 'full', recording: { headers: ['webhook-timestamp'], body: 'text' } },
        { name: 'hashing' },
        { name: 'sink', recording: { rows: 'none' } },
        { name: 'sequence', behaviour: { statuses: [503, 429, 204] } },
        { name: 'flaky', behaviour: { failPercent: 5 }, seed: 7, recording: { body: 'none' } },
        { name: 'changing' },
        {
          name: 'throttling',
          behaviour: { failPercent: 100, failStatus: 429, failHeaders: { 'retry-after': '2' } },
          recording: { headers: ['webhook-timestamp'] },
        },
      ],
    });
  });
  afterAll(() => receiver.stop());

  test('a recorded request has arrival, path, id, selected headers, body', async () => {
    const before = Number(process.hrtime.bigint() / 1000n);
    await post(`${receiver.url('full')}/hooks/7?x=1`, 'dlv_9');
    const after = Number(process.hrtime.bigint() / 1000n);
    const [request, ...others] = await receiver.requests('full');
    expect(others).toEqual([]);
    expect(request).toMatchObject({
      ...{ path: '/hooks/7', webhookId: 'dlv_9', status: 200, bodyBytes: 10, body: '{"a":"ü"}' },
      headers: { 'webhook-timestamp': '7' },
    });
    expect(request!.monotonicUs).toBeGreaterThanOrEqual(before);
    expect(request!.monotonicUs).toBeLessThanOrEqual(after);
    expect(Math.abs(request!.wallUs / 1000 - Date.now())).toBeLessThan(60_000);
  });

  test('bodies of many chunks are hashed whole', async () => {
    const body = 'é'.repeat(700_000);
    await post(receiver.url('hashing'), 'dlv_1', body);
    const [request] = await receiver.requests('hashing');
    expect(request).toMatchObject({
      bodyBytes: 1_400_000,
      body: createHash('sha256').update(body).digest('hex'),
    });
  });

  test('headers of failing answers go with these alone, and whoever asks hears of the next success', async () => {
    const url = receiver.url('throttling');
    const answered = receiver.nextAnswered('throttling');
    // The question goes another way than the requests.
    await receiver.counts();
    expect((await post(url, 'dlv_1')).headers.get('retry-after')).toBe('2');
    await receiver.setBehaviour('throttling', { failStatus: 429, failHeaders: { 'retry-after': '2' } });
    expect((await post(url, 'dlv_1')).headers.get('retry-after')).toBeNull();
    expect(await answered).toEqual({ 'webhook-timestamp': '7' });
  });

  test('requests can be read on from an index, and counted by path', async () => {
    const url = receiver.url('changing');
    for (let first = 0; first < 3_000; first += 100) {
      await Promise.all(
        Array.from({ length: 100 }, (_, i) => statusOf(`${url}/${(first + i) % 3}`, `dlv_${first + i}`)),
      );
    }
    expect(await receiver.count('changing')).toBe(3_000);
    expect(await receiver.pathCounts('changing')).toEqual({ '/0': 1_000, '/1': 1_000, '/2': 1_000 });
    const all = await receiver.requests('changing');
    expect(new Set(all.map((request) => request.webhookId)).size).toBe(3_000);
    expect(await receiver.requests('changing', 2_990)).toEqual(all.slice(2_990));
    await receiver.clear();
    expect(await receiver.requests('changing')).toEqual([]);
  });

  test('a sink only counts', async () => {
    expect(await statusOf(receiver.url('sink'))).toBe(200);
    expect(await receiver.count('sink')).toBe(1);
    expect(await receiver.requests('sink')).toEqual([]);
  });

  test('statuses go by how often the same id came', async () => {
    const url = receiver.url('sequence');
    const seen: number[] = [];
    for (let time = 0; time < 4; time += 1) seen.push(await statusOf(url, 'dlv_a'));
    expect(seen).toEqual([503, 429, 204, 204]);
    expect(await statusOf(url, 'dlv_b')).toBe(503);
    expect((await receiver.requests('sequence')).map((request) => request.status)).toEqual([
      503, 429, 204, 204, 503,
    ]);
  });

  test('about the given share fails', async () => {
    const url = receiver.url('flaky');
    const statuses = await Promise.all(
      Array.from({ length: 2_000 }, (_, index) => statusOf(url, `dlv_${index}`)),
    );
    const failed = statuses.filter((status) => status === 503).length;
    expect(failed).toBeGreaterThan(60);
    expect(failed).toBeLessThan(140);
  });

  test('behaviour changes at run time, for a port or one path', async () => {
    const url = receiver.url('changing');
    await receiver.setBehaviour('changing', { status: 410, headers: { 'retry-after': '3' }, body: 'gone' });
    await receiver.setBehaviour('changing', { delayMs: 120, status: 202 }, '/slow');
    const gone = await post(`${url}/x`, 'dlv_1');
    expect([gone.status, gone.headers.get('retry-after'), await gone.text()]).toEqual([410, '3', 'gone']);
    const start = performance.now();
    expect(await statusOf(`${url}/slow`)).toBe(202);
    expect(performance.now() - start).toBeGreaterThan(100);
    await receiver.setBehaviour('changing', { hang: true });
    const before = await receiver.count('changing');
    const given = new AbortController();
    const hanging = post(url, 'dlv_h', '{}', given.signal);
    await waitFor(async () => (await receiver.count('changing')) > before, {
      timeoutMs: 5_000,
      what: 'the request',
    });
    given.abort();
    await expect(hanging).rejects.toThrow(/abort/);
    expect((await receiver.requests('changing')).at(-1)).toMatchObject({ webhookId: 'dlv_h', status: 0 });
  });

  test('a Retry-After may be a date, ahead of the request', async () => {
    await receiver.setBehaviour('changing', { status: 503, retryAfterDateMs: 60_000 });
    const before = Date.now();
    const answer = await post(receiver.url('changing'), 'dlv_1');
    const asked = Date.parse(answer.headers.get('retry-after')!);
    expect(asked - before).toBeGreaterThan(59_000 - 1);
    expect(asked - Date.now()).toBeLessThanOrEqual(60_000);
  });

  test('a killed receiver refuses', async () => {
    const short = await startReceiver({ ports: [{ name: 'one' }] });
    const url = short.url('one');
    expect(await statusOf(url)).toBe(200);
    await short.kill();
    await expect(statusOf(url)).rejects.toThrow();
  });
});

describe('fault receivers', () => {
  const faults: SocketFault[] = [
    ...([
      'refuse',
      'reset-on-connect',
      'close-on-connect',
      'reset-after-request',
      'close-after-request',
    ] as const),
    ...(['hang', 'header-drip', 'body-drip', 'error-body-drip', 'endless-body', 'garbage'] as const),
    ...(['informational-drip', 'informational-flood'] as const),
    ...(['oversize-headers', 'length-and-chunked', 'truncated-body', 'extra-response'] as const),
  ];
  let receiver: Receiver;
  beforeAll(async () => {
    receiver = await startReceiver({ ports: faults.map((fault) => ({ name: fault, fault })) });
  });
  afterAll(() => receiver.stop());

  /** Sends a request on a raw socket and collects what comes until the other side ends it or `enough` bytes came. */
  async function exchange(fault: SocketFault, enough: number): Promise<{ received: string; end: string }> {
    const socket = connect(Number(new URL(receiver.url(fault)).port), '127.0.0.1');
    let received = '';
    let end = 'open';
    socket.setEncoding('latin1');
    socket.on('data', (chunk: string) => {
      received += chunk;
      if (received.length >= enough) socket.destroy();
    });
    socket.on('error', (error: NodeJS.ErrnoException) => (end = error.code ?? 'error'));
    socket.on('end', () => (end = 'FIN'));
    socket.write('POST /p HTTP/1.1\r\nhost: x\r\nWebhook-Id: dlv_1\r\ncontent-length: 5\r\n\r\nhello');
    await once(socket, 'close').catch(() => undefined);
    return { received, end };
  }

  test.each([
    ['refuse', 1, '', 'ECONNREFUSED'],
    ['reset-on-connect', 1, '', 'ECONNRESET'],
    ['reset-after-request', 1, '', 'ECONNRESET'],
    ['close-after-request', 1, '', 'FIN'],
    ['header-drip', 30, 'x-drip: 1\r\n', 'open'],
    ['body-drip', 70, 'content-length: 1000000\r\n\r\nx', 'open'],
    ['error-body-drip', 90, 'content-length: 1000000\r\n\r\nx', 'open'],
    ['endless-body', 3_000_000, 'xxxx', 'open'],
    ['informational-drip', 60, '102 Processing\r\n\r\nHTTP/1.1 102', 'open'],
    ['informational-flood', 1_000_000, '102 Processing\r\n\r\nHTTP/1.1 102', 'open'],
    ['garbage', 1e9, 'this is not HTTP', 'FIN'],
    ['oversize-headers', 1e9, 'x-big: xxxx', 'FIN'],
    ['length-and-chunked', 1e9, 'transfer-encoding: chunked', 'FIN'],
    ['truncated-body', 1e9, 'content-length: 100\r\n\r\nonly this', 'FIN'],
    ['extra-response', 76, '\r\n\r\nHTTP/1.1 200 OK', 'open'],
  ] as const)('%s', async (fault, enough, contains, end) => {
    const result = await exchange(fault, enough);
    expect(result.received).toContain(contains);
    expect(result.end).toBe(end);
    const wasRead = fault !== 'refuse' && fault !== 'reset-on-connect';
    expect((await receiver.requests(fault)).map((request) => request.webhookId)).toEqual(
      wasRead ? ['dlv_1'] : [],
    );
    expect(await receiver.connections(fault)).toBe(fault === 'refuse' ? 0 : 1);
  });

  test('close-on-connect', async () => {
    const { received } = await exchange('close-on-connect', 1);
    expect(received).toBe('');
    expect(await receiver.count('close-on-connect')).toBe(0);
  });

  test('hang', async () => {
    const given = new AbortController();
    const answer = post(receiver.url('hang'), 'dlv_1', 'x', given.signal);
    await waitFor(async () => (await receiver.count('hang')) === 1, {
      timeoutMs: 5_000,
      what: 'the request',
    });
    given.abort();
    await expect(answer).rejects.toThrow(/abort/);
  });
});
