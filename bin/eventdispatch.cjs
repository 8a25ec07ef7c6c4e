#!/usr/bin/env node
// librdkafka's polls, the embedded engine and file reads hold libuv pool threads, and libuv reads
// the pool's size at its first use: before any ES module is loaded.
process.env.UV_THREADPOOL_SIZE ??= '16';

const { existsSync } = require('node:fs');
const path = require('node:path');

const main = path.join(__dirname, '..', 'dist', 'cli', 'main.js');
if (existsSync(main)) {
  import('../dist/cli/main.js').catch((error) => {
    console.error(`error: ${process.env.EVENTDISPATCH_DEBUG ? error.stack : error.message}`);
    process.exitCode = 1;
  });
} else {
  console.error('error: dist/ is not there: run `npm run build` first');
  process.exitCode = 1;
}
