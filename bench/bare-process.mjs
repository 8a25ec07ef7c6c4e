/**
 * The yardstick: what undici's bare `dispatch` costs on this machine, now. POSTs
 * a fixed body with the headers a delivery has, on 64 connections, and prints
 * what it took as one JSON line. Its CPU time is the whole process's, between the
 * warm-up and the end.
 */
import { Pool } from 'undici';

const [url, countText, bodyBytesText] = process.argv.slice(2);
const CONNECTIONS = 64;
const WARM_UP = 20_000;
const count = Number(countText);
const body = Buffer.alloc(Number(bodyBytesText), 'x');
const pool = new Pool(url, { connections: CONNECTIONS, pipelining: 1, headersTimeout: 0, bodyTimeout: 0 });

let started = 0;
let finished = 0;
let cpu = process.cpuUsage();
let startedMs = performance.now();

class Handler {
  onConnect() {}
  onHeaders(status) {
    if (status !== 200) throw new Error(`status ${status}`);
    return true;
  }
  onData() {
    return true;
  }
  onComplete() {
    finished++;
    if (finished === WARM_UP) {
      cpu = process.cpuUsage();
      startedMs = performance.now();
    }
    if (finished === WARM_UP + count) report();
    else if (started < WARM_UP + count) queueMicrotask(send);
  }
  onError(error) {
    throw error;
  }
}

function send() {
  started++;
  const headers = [
    'content-type',
    'application/json',
    'user-agent',
    'bare',
    'webhook-id',
    'dlv_0123456789abcdefghijkl',
  ];
  pool.dispatch({ path: '/in', method: 'POST', headers, body }, new Handler());
}

function report() {
  const { user, system } = process.cpuUsage(cpu);
  const seconds = (performance.now() - startedMs) / 1000;
  console.log(
    JSON.stringify({ deliveriesPerSecond: count / seconds, cpuMicrosPerDelivery: (user + system) / count }),
  );
  void pool.destroy();
}

for (let i = 0; i < CONNECTIONS; i++) send();
