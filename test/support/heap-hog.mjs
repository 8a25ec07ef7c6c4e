// @ts-check
/**
 * Lets a process reach its heap cap, on its main thread, when somebody says so:
 *
 *   node --max-old-space-size=128 --import 'file:///…/heap-hog.mjs' program
 *
 * fills the heap on SIGUSR2 until V8 ends the process.
 */
import { isMainThread } from 'node:worker_threads';

if (isMainThread) {
  process.on('SIGUSR2', () => {
    /** @type {number[][]} */
    const held = [];
    for (;;) held.push(new Array(10_000).fill(held.length));
  });
}
