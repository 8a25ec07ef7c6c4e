// @ts-check
/**
 * What a receiver saw, in columns: numbers in typed arrays that double when full, so that a million requests cost some
 * 100 MB of strings and few objects. Plain JavaScript, since Node 20 has to run it as it is.
 */

/** Microseconds of the machine's monotonic clock (the same in every process) at performance.now() === 0. */
const MONOTONIC_START_US = Number(process.hrtime.bigint() / 1000n) - performance.now() * 1000;
/** Microseconds since 1970 at performance.now() === 0. */
const WALL_START_US = performance.timeOrigin * 1000;

const FIRST_CAPACITY = 1024;

export class RequestLog {
  #count = 0;
  #arrivedMs = new Float64Array(FIRST_CAPACITY);
  #status = new Uint16Array(FIRST_CAPACITY);
  #bodyBytes = new Uint32Array(FIRST_CAPACITY);
  #path = new Uint32Array(FIRST_CAPACITY);
  /** @type {string[]} */
  #webhookIds = [];
  /** @type {(string | undefined)[]} header values as JSON */
  #headers = [];
  /** @type {(string | undefined)[]} hash or text */
  #bodies = [];
  /** @type {string[]} */
  #paths = [];
  /** @type {Map<string, number>} */
  #pathNumbers = new Map();
  /** @type {number[]} */
  #pathCounts = [];

  get count() {
    return this.#count;
  }

  /**
   * @param {number} arrivedMs by performance.now()
   * @param {string} path
   * @param {string} webhookId
   * @param {number} status that will be answered; 0 for none
   * @param {number} bodyBytes
   * @param {string | undefined} body hash or text
   * @param {string | undefined} headers as JSON
   */
  add(arrivedMs, path, webhookId, status, bodyBytes, body, headers) {
    const at = this.#count;
    if (at === this.#arrivedMs.length) this.#grow();
    this.#arrivedMs[at] = arrivedMs;
    this.#status[at] = status;
    this.#bodyBytes[at] = bodyBytes;
    this.#path[at] = this.#countPath(path);
    this.#webhookIds.push(webhookId);
    this.#bodies.push(body);
    this.#headers.push(headers);
    this.#count = at + 1;
  }

  /** @returns {Record<string, number>} requests by path */
  pathCounts() {
    return Object.fromEntries(this.#paths.map((path, number) => [path, this.#pathCounts[number] ?? 0]));
  }

  /**
   * One request as the line of JSON that receiver.ts reads back.
   *
   * @param {number} at
   */
  line(at) {
    const ms = this.#arrivedMs[at] ?? 0;
    const fields = [
      Math.round(MONOTONIC_START_US + ms * 1000),
      Math.round(WALL_START_US + ms * 1000),
      this.#paths[this.#path[at] ?? 0],
      this.#webhookIds[at],
      this.#status[at],
      this.#bodyBytes[at],
      this.#bodies[at] ?? null,
    ];
    const text = JSON.stringify(fields);
    return `${text.slice(0, -1)},${this.#headers[at] ?? 'null'}]\n`;
  }

  /** @param {string} path */
  #countPath(path) {
    let number = this.#pathNumbers.get(path);
    if (number === undefined) {
      number = this.#paths.push(path) - 1;
      this.#pathNumbers.set(path, number);
      this.#pathCounts.push(0);
    }
    this.#pathCounts[number] = (this.#pathCounts[number] ?? 0) + 1;
    return number;
  }

  #grow() {
    this.#arrivedMs = doubled(this.#arrivedMs, Float64Array);
    this.#status = doubled(this.#status, Uint16Array);
    this.#bodyBytes = doubled(this.#bodyBytes, Uint32Array);
    this.#path = doubled(this.#path, Uint32Array);
  }
}

/**
 * @template {Float64Array | Uint16Array | Uint32Array} T
 * @param {T} array
 * @param {new (length: number) => T} Type
 * @returns {T}
 */
function doubled(array, Type) {
  const larger = new Type(array.length * 2);
  larger.set(array);
  return larger;
}
