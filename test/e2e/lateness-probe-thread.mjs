// @ts-check
/**
 * The thread of lateness-probe.ts: a request that carries its own time, every few milliseconds, whatever the test's own
 * thread is busy with.
 */
import { once } from 'node:events';
import { connect } from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';

/** @type {{ url: string, path: string, intervalMs: number }} */
const { url, path, intervalMs } = workerData;
const { hostname, port } = new URL(url);
const socket = connect(Number(port), hostname);
await once(socket, 'connect');
socket.resume();
setInterval(() => {
  socket.write(`GET ${path}${process.hrtime.bigint() / 1000n} HTTP/1.1\r\nhost: probe\r\n\r\n`);
}, intervalMs);
parentPort?.postMessage('started');
