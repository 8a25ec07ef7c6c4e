// @ts-check
/**
 * Makes the wall clock of a process jump, in all of its threads and for JavaScript alone:
 *
 *   node --import 'file:///…/wall-clock-jump.mjs?file=/tmp/offset' program
 *
 * adds the milliseconds that stand in the file to what `Date.now` says, and looks there again every few milliseconds.
 */
import { readFileSync } from 'node:fs';

const LOOK_MS = 20;

const file = new URL(import.meta.url).searchParams.get('file') ?? '';
const wallMs = Date.now;
let offsetMs = 0;

Date.now = () => wallMs() + offsetMs;
setInterval(() => {
  offsetMs = Number(readFileSync(file, 'utf8'));
}, LOOK_MS).unref();
