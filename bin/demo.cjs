#!/usr/bin/env node
// librdkafka's polls hold libuv pool threads, and libuv reads the pool's size at its first use:
// before any ES module is loaded.
process.env.UV_THREADPOOL_SIZE ??= '16';
import('../dist/demo/main.js').catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
