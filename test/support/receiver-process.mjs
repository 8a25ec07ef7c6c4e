// @ts-check
/**
 * Test and benchmark support: a process that hosts receivers, each on a port of its own, and a control port.
 *
 *   node receiver-process.mjs '[{"name":"fast"},{"name":"slow","behaviour":{"delayMs":200}}]'
 *
 * takes an array of PortOptions (receiver.ts), prints `receiver ready {"control":PORT,"ports":{"fast":PORT,…}}`, and
 * ends on SIGTERM or when its stdin closes. Control, on 127.0.0.1:
 *   GET  /counts                       requests by receiver
 *   GET  /paths?name=                  requests by path
 *   GET  /connections?name=            connections accepted, of a fault receiver
 *   GET  /requests?name=&from=         requests from the given one on, a JSON array a line
 *   GET  /next-answered?name=          the recorded headers of the next request that is answered with 2xx, after its answer
 *   POST /behaviour?name=[&path=]      a Behaviour
 *   POST /recording?name=              a Recording
 *   POST /clear                        forgets all requests
 */
import { createServer } from 'node:http';
import { json } from 'node:stream/consumers';

import { FaultReceiver } from './receiver-fault.mjs';
import { HttpReceiver } from './receiver-http.mjs';

/** @typedef {import('./receiver.ts').PortOptions} PortOptions */

const LINES_A_WRITE = 2_000;

/** @type {PortOptions[]} */
const options = JSON.parse(process.argv[2] ?? '[]');
/** @type {Map<string, HttpReceiver | FaultReceiver>} */
const receivers = new Map();
for (const [
  index,
  { name, port = 0, fault, behaviour = {}, recording = {}, seed = index + 1 },
] of options.entries()) {
  const receiver =
    fault === undefined
      ? new HttpReceiver(behaviour, withDefaults(recording), seed)
      : new FaultReceiver(fault);
  await receiver.listen(port);
  receivers.set(name, receiver);
}

const control = createServer((request, response) => {
  serve(request, response).catch((/** @type {Error} */ error) => {
    response.writeHead(400).end(error.message);
  });
});
control.listen(0, '127.0.0.1', () => {
  const { port } = /** @type {import('node:net').AddressInfo} */ (control.address());
  const ports = Object.fromEntries([...receivers].map(([name, receiver]) => [name, receiver.port]));
  console.log(`receiver ready ${JSON.stringify({ control: port, ports })}`);
});

process.on('SIGTERM', () => process.exit(0));
process.stdin.on('end', () => process.exit(0)).resume();

/**
 * @param {import('node:http').IncomingMessage} request
 * @param {import('node:http').ServerResponse} response
 */
async function serve(request, response) {
  const url = new URL(request.url ?? '/', 'http://control');
  const name = url.searchParams.get('name') ?? '';
  const action = `${request.method} ${url.pathname}`;
  if (action === 'GET /counts') {
    const counts = Object.fromEntries([...receivers].map(([one, receiver]) => [one, receiver.count]));
    response.end(JSON.stringify(counts));
  } else if (action === 'GET /paths') {
    response.end(JSON.stringify(receiverOf(name).log.pathCounts()));
  } else if (action === 'GET /connections') {
    const receiver = receiverOf(name);
    response.end(JSON.stringify(receiver instanceof FaultReceiver ? receiver.connections : 0));
  } else if (action === 'GET /requests') {
    await sendRequests(receiverOf(name), Number(url.searchParams.get('from') ?? 0), response);
  } else if (action === 'GET /next-answered') {
    httpReceiverOf(name).onceAnswered((headers) => response.end(headers));
  } else if (action === 'POST /clear') {
    for (const receiver of receivers.values()) receiver.clear();
    response.end();
  } else if (action === 'POST /behaviour') {
    const behaviour = /** @type {import('./receiver.ts').Behaviour} */ (await json(request));
    httpReceiverOf(name).setBehaviour(behaviour, url.searchParams.get('path') ?? undefined);
    response.end();
  } else if (action === 'POST /recording') {
    const recording = /** @type {import('./receiver.ts').RecordingOptions} */ (await json(request));
    httpReceiverOf(name).setRecording(withDefaults(recording));
    response.end();
  } else {
    response.writeHead(404).end();
  }
}

/**
 * @param {HttpReceiver | FaultReceiver} receiver
 * @param {number} from
 * @param {import('node:http').ServerResponse} response
 */
async function sendRequests(receiver, from, response) {
  const { log } = receiver;
  const end = log.count;
  for (let at = from; at < end; at += LINES_A_WRITE) {
    let text = '';
    for (let row = at; row < Math.min(end, at + LINES_A_WRITE); row += 1) text += log.line(row);
    if (!response.write(text))
      await new Promise((resolve) => response.once('drain', () => resolve(undefined)));
  }
  response.end();
}

/** @param {string} name */
function receiverOf(name) {
  const receiver = receivers.get(name);
  if (receiver === undefined) throw new Error(`no receiver ${name}`);
  return receiver;
}

/** @param {string} name */
function httpReceiverOf(name) {
  const receiver = receiverOf(name);
  if (receiver instanceof HttpReceiver) return receiver;
  throw new Error(`${name} is a fault receiver`);
}

/**
 * @param {import('./receiver.ts').RecordingOptions} recording
 * @returns {import('./receiver.ts').Recording}
 */
function withDefaults(recording) {
  return { rows: 'all', body: 'sha256', headers: [], ...recording };
}
