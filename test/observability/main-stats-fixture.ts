import type { MainStats } from '../../src/observability/main-stats.ts';

/** A main thread with every number different, so that a reader that takes the wrong one shows. */
export function mainStats(changes: Partial<MainStats> = {}): MainStats {
  return {
    recordsPolled: 1001,
    polls: 1002,
    pollSeconds: 1.5,
    partitions: [
      { topic: 'orders', partition: 0, lagRecords: 11, frontierGapRecords: 12, paused: false },
      { topic: 'orders', partition: 1, lagRecords: null, frontierGapRecords: 13, paused: true },
    ],
    openRecords: 1003,
    openBytes: 1004,
    commits: 1005,
    commitFailures: 1006,
    rebalances: 1007,
    lanesAlive: 1008,
    laneRestarts: 1009,
    tenantsOnSeveralPartitions: 1010,
    ledger: {
      rows: 2001,
      bytes: 2002,
      inserts: 2003,
      insertFailures: 2004,
      insertSeconds: 2.5,
      pendingRows: 2005,
      pendingBytes: 2006,
    },
    overflow: {
      batches: 2101,
      rows: 2102,
      failures: 2103,
      drainedBatches: 2104,
      drainedRows: 2105,
      drainFailures: 2106,
      waitingBatches: 2107,
    },
    deadLetters: { produced: 3001, failed: 3002, pending: 3003 },
    badEvents: { produced: 3004, failed: 3005, pending: 3006 },
    retries: { produced: 3007, failed: 3008, pending: 3009 },
    retryCopies: 3010,
    rekey: { moved: 3010, failed: 3011, pending: 3012 },
    schemaLookups: { found: 4001, unknown: 4002, failed: 4003 },
    ...changes,
  };
}
