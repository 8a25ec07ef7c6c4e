// @ts-check
/**
 * A receiver's port that breaks HTTP on a raw socket, in one named way. It records each request it has read to the end,
 * and counts connections.
 */
import { hash } from 'node:crypto';
import { connect, createServer } from 'node:net';

import { RequestLog } from './receiver-log.mjs';

/**
 * @typedef {import('./receiver.ts').SocketFault} SocketFault
 * @typedef {import('node:net').Socket} Socket
 */

const OK = 'HTTP/1.1 200 OK\r\n';
const DRIP_MS = 100;
const CHUNK = Buffer.alloc(64 * 1024, 'x');
const INFORMATIONAL = 'HTTP/1.1 102 Processing\r\n\r\n';
const INFORMATIONAL_CHUNK = Buffer.from(INFORMATIONAL.repeat(1_000));

/** What happens when a request was read to its end. @type {Record<SocketFault, (socket: Socket) => void>} */
const AFTER_REQUEST = {
  refuse: () => undefined,
  'reset-on-connect': () => undefined,
  'close-on-connect': () => undefined,
  'reset-after-request': (socket) => socket.resetAndDestroy(),
  'close-after-request': (socket) => socket.end(),
  hang: () => undefined,
  'header-drip': (socket) => {
    socket.write(OK);
    drip(socket, 'x-drip: 1\r\n');
  },
  'body-drip': (socket) => {
    socket.write(`${OK}content-length: 1000000\r\n\r\n`);
    drip(socket, 'x');
  },
  'error-body-drip': (socket) => {
    socket.write('HTTP/1.1 500 Internal Server Error\r\ncontent-length: 1000000\r\n\r\n');
    drip(socket, 'x');
  },
  'endless-body': (socket) => {
    socket.write(`${OK}content-length: 1000000000000\r\n\r\n`);
    flood(socket, CHUNK);
  },
  'informational-drip': (socket) => drip(socket, INFORMATIONAL),
  'informational-flood': (socket) => flood(socket, INFORMATIONAL_CHUNK),
  garbage: (socket) => socket.end('\x16\x03\x01 this is not HTTP \x00\xff\r\n\r\n'),
  'oversize-headers': (socket) =>
    socket.end(`${OK}x-big: ${'x'.repeat(1024 * 1024)}\r\ncontent-length: 0\r\n\r\n`),
  'length-and-chunked': (socket) =>
    socket.end(`${OK}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`),
  'truncated-body': (socket) => socket.end(`${OK}content-length: 100\r\n\r\nonly this`),
  'extra-response': (socket) => socket.write(`${OK}content-length: 0\r\n\r\n${OK}content-length: 0\r\n\r\n`),
};

export class FaultReceiver {
  port = 0;
  log = new RequestLog();
  connections = 0;
  #server = createServer((socket) => this.#accept(socket));
  /** @type {Set<Socket>} */
  #sockets = new Set();
  #fault;

  /** @param {SocketFault} fault */
  constructor(fault) {
    this.#fault = fault;
  }

  /** @param {number} port 0 for any */
  async listen(port) {
    const isRefusing = this.#fault === 'refuse';
    await new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(isRefusing ? 0 : port, '127.0.0.1', () => resolve(undefined));
    });
    const listening = /** @type {import('node:net').AddressInfo} */ (this.#server.address()).port;
    this.port = isRefusing ? await this.#holdPort(port, listening) : listening;
  }

  /**
   * A port at which connecting is refused, and which nobody else is given meanwhile: the local end of a connection
   * from this process to itself holds it. A port that was merely closed may be the very next one handed out.
   *
   * @param {number} localPort 0 for any
   * @param {number} to
   * @returns {Promise<number>}
   */
  async #holdPort(localPort, to) {
    this.#server.removeAllListeners('connection').on('connection', (socket) => this.#sockets.add(socket));
    const holder = connect({ port: to, host: '127.0.0.1', localAddress: '127.0.0.1', localPort });
    this.#sockets.add(holder);
    await new Promise((resolve, reject) =>
      holder.once('connect', () => resolve(undefined)).once('error', reject),
    );
    return /** @type {number} */ (holder.localPort);
  }

  close() {
    if (this.#server.listening) this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  get count() {
    return this.log.count;
  }

  clear() {
    this.log = new RequestLog();
    this.connections = 0;
  }

  /** @param {Socket} socket */
  #accept(socket) {
    this.connections += 1;
    this.#sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => this.#sockets.delete(socket));
    if (this.#fault === 'reset-on-connect') return socket.resetAndDestroy();
    if (this.#fault === 'close-on-connect') return socket.destroy();
    let received = Buffer.alloc(0);
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
      for (let request = firstRequest(received); request !== undefined; request = firstRequest(received)) {
        received = received.subarray(request.end);
        this.#record(request);
        AFTER_REQUEST[this.#fault](socket);
      }
    });
  }

  /** @param {{ path: string, webhookId: string, body: Buffer }} request */
  #record({ path, webhookId, body }) {
    const bodyHash = hash('sha256', body, 'hex');
    this.log.add(performance.now(), path, webhookId, 0, body.length, bodyHash, undefined);
  }
}

/**
 * The first request of the bytes, once it is there to its end. Bodies have a content-length here, as the dispatcher's.
 *
 * @param {Buffer} bytes
 */
function firstRequest(bytes) {
  const headEnd = bytes.indexOf('\r\n\r\n');
  if (headEnd < 0) return undefined;
  const head = bytes.toString('latin1', 0, headEnd);
  const length = Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0);
  const end = headEnd + 4 + length;
  if (bytes.length < end) return undefined;
  return {
    path: head.split(' ', 2)[1] ?? '',
    webhookId: /^webhook-id: *(.*?) *$/im.exec(head)?.[1] ?? '',
    body: bytes.subarray(headEnd + 4, end),
    end,
  };
}

/**
 * @param {Socket} socket
 * @param {string} piece written again and again until the other side is gone
 */
function drip(socket, piece) {
  const timer = setInterval(() => socket.write(piece), DRIP_MS);
  socket.once('close', () => clearInterval(timer));
}

/**
 * @param {Socket} socket
 * @param {Buffer} chunk written again and again, as fast as the other side takes it
 */
function flood(socket, chunk) {
  const writeAll = () => {
    while (!socket.destroyed && socket.write(chunk));
  };
  socket.on('drain', writeAll);
  writeAll();
}
