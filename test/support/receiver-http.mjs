// @ts-check
/**
 * A receiver's HTTP port on uWebSockets.js: decides an answer, records the request, answers. Recording "none" touches
 * nothing of a request, for benchmarks.
 */
import { hash } from 'node:crypto';
import uWS from 'uWebSockets.js';

import { RequestLog } from './receiver-log.mjs';

/**
 * @typedef {import('./receiver.ts').Behaviour} Behaviour
 * @typedef {import('./receiver.ts').Recording} Recording
 * @typedef {{ arrivedMs: number, path: string, webhookId: string, headers: string | undefined }} Head
 * @typedef {{ status: number, body: string, headers: [string, string][], delayMs: number, hang: boolean }} Answer
 */

const STATUS_TEXT = new Map([
  [200, '200 OK'],
  [204, '204 No Content'],
]);

export class HttpReceiver {
  port = 0;
  log = new RequestLog();
  #app = uWS.App();
  /** @type {Behaviour} */
  #behaviour;
  /** @type {Recording} */
  #recording;
  /** @type {Map<string, Behaviour>} */
  #ofPath = new Map();
  /** Times each webhook-id came, where a sequence of statuses needs it. @type {Map<string, number>} */
  #times = new Map();
  #random;
  #unrecorded = 0;
  /** Asked for the next request that is answered with 2xx. @type {((headers: string) => void)[]} */
  #asked = [];
  /** @type {any} */
  #socket;

  /**
   * @param {Behaviour} behaviour
   * @param {Recording} recording
   * @param {number} seed
   */
  constructor(behaviour, recording, seed) {
    this.#behaviour = behaviour;
    this.#recording = recording;
    this.#random = seededRandom(seed);
    this.#app.any('/*', (response, request) => {
      if (this.#recording.rows === 'none' && this.#ofPath.size === 0 && isPlain(this.#behaviour)) {
        this.#unrecorded += 1;
        response.end();
      } else {
        this.#receive(response, request);
      }
    });
  }

  /** @param {number} port */
  listen(port) {
    return new Promise((resolve, reject) => {
      this.#app.listen('127.0.0.1', port, (/** @type {any} */ socket) => {
        if (!socket) return reject(new Error(`port ${port} is in use`));
        this.#socket = socket;
        this.port = uWS.us_socket_local_port(socket);
        resolve(undefined);
      });
    });
  }

  close() {
    uWS.us_listen_socket_close(this.#socket);
    this.#app.close();
  }

  clear() {
    this.log = new RequestLog();
    this.#times.clear();
    this.#unrecorded = 0;
  }

  get count() {
    return this.#unrecorded + this.log.count;
  }

  /**
   * @param {Behaviour} behaviour
   * @param {string | undefined} path
   */
  setBehaviour(behaviour, path) {
    if (path === undefined) this.#behaviour = behaviour;
    else this.#ofPath.set(path, behaviour);
  }

  /** @param {(headers: string) => void} tell as JSON */
  onceAnswered(tell) {
    this.#asked.push(tell);
  }

  /** @param {Recording} recording */
  setRecording(recording) {
    this.#recording = recording;
  }

  /**
   * @param {any} response
   * @param {any} request
   */
  #receive(response, request) {
    const arrivedMs = performance.now();
    const path = request.getUrl();
    const head = {
      arrivedMs,
      path,
      webhookId: request.getHeader('webhook-id'),
      headers: this.#selected(request),
    };
    const state = { aborted: false };
    response.onAborted(() => {
      state.aborted = true;
    });
    if (this.#recording.body === 'none' && this.#recording.rows === 'all') {
      // The size is known without the body, which uWebSockets.js reads and drops by itself.
      this.#settle(response, head, Number(request.getHeader('content-length')), undefined, state);
      return;
    }
    /** @type {Buffer[]} */
    const chunks = [];
    response.onData((/** @type {ArrayBuffer} */ chunk, /** @type {boolean} */ isLast) => {
      // The memory is uWebSockets' own and gone after this call: copied, unless it is read now.
      if (isLast && chunks.length === 0) return this.#withBody(response, head, Buffer.from(chunk), state);
      chunks.push(Buffer.from(new Uint8Array(chunk)));
      if (isLast) this.#withBody(response, head, Buffer.concat(chunks), state);
    });
  }

  /**
   * @param {any} response
   * @param {Head} head
   * @param {Buffer} body
   * @param {{ aborted: boolean }} state
   */
  #withBody(response, head, body, state) {
    /** @type {string | undefined} */
    let recorded;
    if (this.#recording.body === 'sha256') recorded = hash('sha256', body, 'hex');
    else if (this.#recording.body === 'text') recorded = body.toString('utf8');
    this.#settle(response, head, body.length, recorded, state);
  }

  /**
   * @param {any} response
   * @param {Head} head
   * @param {number} bodyBytes
   * @param {string | undefined} body
   * @param {{ aborted: boolean }} state
   */
  #settle(response, head, bodyBytes, body, state) {
    const answer = this.#decide(head);
    if (this.#recording.rows === 'all') {
      const status = answer.hang ? 0 : answer.status;
      this.log.add(head.arrivedMs, head.path, head.webhookId, status, bodyBytes, body, head.headers);
    } else {
      this.#unrecorded += 1;
    }
    if (answer.hang) return;
    if (answer.delayMs === 0) return this.#answer(response, answer, state, head);
    setTimeout(() => {
      this.#answer(response, answer, state, head);
    }, answer.delayMs);
  }

  /**
   * @param {any} response
   * @param {Answer} answer
   * @param {{ aborted: boolean }} state
   * @param {Head} head
   */
  #answer(response, answer, state, head) {
    send(response, answer, state);
    if (this.#asked.length === 0 || answer.status < 200 || answer.status > 299) return;
    const asked = this.#asked;
    this.#asked = [];
    for (const tell of asked) tell(head.headers ?? '{}');
  }

  /**
   * @param {Head} head
   * @returns {Answer}
   */
  #decide(head) {
    const behaviour = this.#ofPath.get(head.path) ?? this.#behaviour;
    const { delayMs = 0, body = '', hang = false } = behaviour;
    const headers = Object.entries(behaviour.headers ?? {});
    if (behaviour.retryAfterDateMs !== undefined) {
      headers.push(['retry-after', new Date(Date.now() + behaviour.retryAfterDateMs).toUTCString()]);
    }
    const status = this.#status(behaviour, head.webhookId);
    if (status === behaviour.failStatus) headers.push(...Object.entries(behaviour.failHeaders ?? {}));
    return { status, body, headers, delayMs, hang };
  }

  /**
   * @param {Behaviour} behaviour
   * @param {string} webhookId
   */
  #status(behaviour, webhookId) {
    if (behaviour.statuses !== undefined) {
      const time = this.#times.get(webhookId) ?? 0;
      this.#times.set(webhookId, time + 1);
      return behaviour.statuses[Math.min(time, behaviour.statuses.length - 1)] ?? 200;
    }
    const fails = behaviour.failPercent !== undefined && this.#random() * 100 < behaviour.failPercent;
    return fails ? (behaviour.failStatus ?? 503) : (behaviour.status ?? 200);
  }

  /** @param {any} request */
  #selected(request) {
    const names = this.#recording.headers;
    if (names === 'all') {
      /** @type {Record<string, string>} */
      const all = {};
      request.forEach((/** @type {string} */ name, /** @type {string} */ value) => {
        all[name] = value;
      });
      return JSON.stringify(all);
    }
    if (names === undefined || names.length === 0) return undefined;
    const present = names.map((name) => [name, request.getHeader(name)]).filter(([, value]) => value !== '');
    return JSON.stringify(Object.fromEntries(present));
  }
}

/** @param {Behaviour} behaviour */
function isPlain(behaviour) {
  return Object.keys(behaviour).length === 0;
}

/**
 * @param {any} response
 * @param {Answer} answer
 * @param {{ aborted: boolean }} state
 */
function send(response, answer, state) {
  if (state.aborted) return;
  response.cork(() => {
    response.writeStatus(STATUS_TEXT.get(answer.status) ?? `${answer.status} Status`);
    for (const [name, value] of answer.headers) response.writeHeader(name, value);
    response.end(answer.body);
  });
}

/**
 * The same numbers in [0, 1) for the same seed (mulberry32).
 *
 * @param {number} seed
 */
function seededRandom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
