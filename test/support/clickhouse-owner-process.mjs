// @ts-check
/**
 * Test support: ONE process that owns an embedded ClickHouse engine and serves ClickHouse's HTTP interface, so that
 * several dispatcher processes share a ledger and the HTTP path of @clickhouse/client is used for real.
 *
 *   node clickhouse-owner-process.mjs DIRECTORY [PORT]
 *
 * prints `clickhouse owner ready on http://127.0.0.1:PORT`, and ends on SIGTERM or when its stdin closes.
 * For tests only: POST /_faults (a Fault as JSON), DELETE /_faults, GET /_stats.
 */
import { createServer } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';

import { Engine } from './clickhouse-owner-engine.mjs';

/**
 * @typedef {import('./clickhouse-owner.ts').ClickHouseFault} Fault
 * @typedef {import('node:http').IncomingMessage} Request
 * @typedef {import('node:http').ServerResponse} Response
 */

const [directory, port = '0'] = process.argv.slice(2);
if (directory === undefined) throw new Error('usage: clickhouse-owner-process.mjs DIRECTORY [PORT]');

/** Of the HTTP interface, not of the engine: of no effect here. */
const HTTP_ONLY =
  /^(query|query_id|database|default_format|session_.*|role|user|password|quota_key|compress|decompress|wait_end_of_query|buffer_size|send_progress_in_http_headers|enable_http_compression|http_.*)$/;
/** As ClickHouse's HTTPHandler maps them; every other code is a 500. */
const STATUS_OF_CODE = new Map([
  ...statuses(400, [6, 16, 20, 26, 27, 36, 38, 41, 43, 53, 62, 72, 117, 130, 131, 456, 457]),
  ...statuses(404, [46, 47, 50, 56, 60, 73, 81, 115]),
  ...statuses(501, [48]),
]);

const engine = new Engine(directory);
const stats = { inserts: 0, insertedBytes: 0, queries: 0, pings: 0, faults: 0 };
/** @type {Fault[]} */
let faults = [];
/** @type {Set<Response>} */
const hanging = new Set();

const server = createServer((request, response) => {
  serve(request, response).catch((error) => {
    if (!response.headersSent && !response.destroyed) sendError(response, error);
  });
});
server.keepAliveTimeout = 30_000;
server.requestTimeout = 0;
server.listen(Number(port), '127.0.0.1', () => {
  const { port: bound } = /** @type {import('node:net').AddressInfo} */ (server.address());
  console.log(`clickhouse owner ready on http://127.0.0.1:${bound}`);
});

process.on('SIGTERM', () => void shutDown());
process.stdin.on('end', () => void shutDown()).resume();

async function shutDown() {
  server.close();
  server.closeAllConnections();
  await engine.close();
  process.exit(0);
}

/**
 * @param {Request} request
 * @param {Response} response
 */
async function serve(request, response) {
  const url = new URL(request.url ?? '/', 'http://owner');
  if (url.pathname === '/_faults') return control(request, response);
  if (url.pathname === '/_stats') return sendText(response, JSON.stringify(stats));
  if (url.pathname === '/ping') {
    stats.pings += 1;
    if (!(await applyFault('ping', 'before', response))) sendText(response, 'Ok.\n');
    return;
  }
  if (url.pathname !== '/') return sendText(response, 'There is no handle here\n', 404);
  await serveStatement(url.searchParams, await readBody(request), response);
}

/**
 * @param {URLSearchParams} search
 * @param {Buffer} body
 * @param {Response} response
 */
async function serveStatement(search, body, response) {
  const query = search.get('query');
  const sql = query ?? body.toString();
  const kind = /^\s*INSERT\s/i.test(sql) ? 'insert' : 'query';
  if (kind === 'insert') stats.inserts += 1;
  else stats.queries += 1;
  if (await applyFault(kind, 'before', response)) return;

  const rows = query === null || body.length === 0 ? undefined : body;
  const nothingToInsert =
    rows === undefined && query !== null && /\sFORMAT\s+\w+\s*$/i.test(sql) && kind === 'insert';
  const answer = nothingToInsert
    ? { bytes: Buffer.alloc(0), writtenRows: 0 }
    : await engine.run({
        sql,
        body: rows,
        database: search.get('database') ?? 'default',
        format: search.get('default_format') ?? 'TabSeparated',
        settings: new Map(
          [...search].filter(([name]) => !HTTP_ONLY.test(name) && !name.startsWith('param_')),
        ),
        params: new Map(
          [...search]
            .filter(([name]) => name.startsWith('param_'))
            .map(([name, value]) => [name.slice(6), value]),
        ),
      });
  if (kind === 'insert') stats.insertedBytes += body.length;

  if (await applyFault(kind, 'after', response)) return;
  response.writeHead(200, {
    'content-type': 'text/plain; charset=UTF-8',
    'content-length': answer.bytes.length,
    'x-clickhouse-query-id': search.get('query_id') ?? '',
    'x-clickhouse-summary': JSON.stringify({ written_rows: String(answer.writtenRows) }),
  });
  response.end(answer.bytes);
}

/** @param {Request} request */
async function readBody(request) {
  const body = await buffer(request);
  return request.headers['content-encoding'] === 'gzip' ? promisify(gunzip)(body) : body;
}

/**
 * Does what the first fault that fits says. True: the request is dealt with.
 *
 * @param {'insert' | 'query' | 'ping'} kind
 * @param {'before' | 'after'} when
 * @param {Response} response
 */
async function applyFault(kind, when, response) {
  const fault = faults.find((one) => (one.on === kind || one.on === 'any') && one.when === when);
  if (fault === undefined) return false;
  stats.faults += 1;
  if (fault.times !== undefined) {
    fault.times -= 1;
    if (fault.times <= 0) faults = faults.filter((one) => one !== fault);
  }
  if (fault.act === 'delay') {
    await new Promise((resolve) => setTimeout(resolve, fault.delayMs));
    return false;
  }
  if (fault.act === 'reset') response.socket?.resetAndDestroy();
  else if (fault.act === 'hang') hanging.add(response);
  else
    sendError(response, new Error(`Code: ${fault.code}. DB::Exception: Planted by a test. (${fault.type})`));
  return true;
}

/**
 * @param {Request} request
 * @param {Response} response
 */
async function control(request, response) {
  if (request.method === 'DELETE') {
    faults = [];
    for (const held of hanging) held.destroy();
    hanging.clear();
  } else {
    faults.push(JSON.parse((await buffer(request)).toString()));
  }
  sendText(response, 'Ok.\n');
}

/**
 * @param {Response} response
 * @param {unknown} error
 */
function sendError(response, error) {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const text = cause instanceof Error ? cause.message : String(cause);
  const code = Number(/Code: (\d+)/.exec(text)?.[1] ?? 1001);
  response.setHeader('x-clickhouse-exception-code', code);
  sendText(response, `${text} (version 26.7.2.1 (official build))\n`, STATUS_OF_CODE.get(code) ?? 500);
}

/**
 * @param {Response} response
 * @param {string} text
 */
function sendText(response, text, status = 200) {
  response.writeHead(status, { 'content-type': 'text/plain; charset=UTF-8' });
  response.end(text);
}

/**
 * @param {number} status
 * @param {number[]} codes
 * @returns {[number, number][]}
 */
function statuses(status, codes) {
  return codes.map((code) => [code, status]);
}
