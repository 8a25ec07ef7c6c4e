import { configDefaults, defineConfig } from 'vitest/config';
import { UnderWayReporter } from './test/support/under-way-reporter.ts';

const integrationFiles = 'test/**/*.integration.test.ts';

/** node-rdkafka loads in a process's main thread only, so every test file is a process of its own. */
const eachFileItsProcess = {
  pool: 'forks',
  isolate: true,
  // librdkafka's polls hold libuv pool threads; libuv reads this once, at the start of the fork.
  env: { UV_THREADPOOL_SIZE: '16' },
} as const;

export default defineConfig({
  test: {
    reporters: ['default', new UnderWayReporter(), ['json', { outputFile: '.cache/test-report.json' }]],
    projects: [
      {
        test: {
          ...eachFileItsProcess,
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: [...configDefaults.exclude, integrationFiles],
          setupFiles: ['test/integrity/leak-check.ts'],
          maxWorkers: 2,
          testTimeout: 20_000,
          hookTimeout: 20_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          ...eachFileItsProcess,
          name: 'integration',
          include: [integrationFiles],
          globalSetup: ['test/support/global-setup.ts'],
          // One file at a time, after the unit tests: they share one real broker and the machine's cores.
          fileParallelism: false,
          testTimeout: 180_000,
          hookTimeout: 180_000,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
