import type { MainStats, OverflowStats, PartitionStats } from '../observability/main-stats.ts';
import type { SchemaLookupCounts } from './counted-registry.ts';
import type { Pipeline } from './pipeline.ts';

const NO_OVERFLOW: OverflowStats = {
  batches: 0,
  rows: 0,
  failures: 0,
  drainedBatches: 0,
  drainedRows: 0,
  drainFailures: 0,
  waitingBatches: 0,
};
const NO_REKEY = { moved: 0, failed: 0, pending: 0 };
const NO_HANDOVERS = { produced: 0, failed: 0, pending: 0 };

/** Before the pipeline is open. */
export const IDLE_STATS: MainStats = {
  recordsPolled: 0,
  polls: 0,
  pollSeconds: 0,
  partitions: [],
  openRecords: 0,
  openBytes: 0,
  commits: 0,
  commitFailures: 0,
  rebalances: 0,
  lanesAlive: 0,
  laneRestarts: 0,
  tenantsOnSeveralPartitions: 0,
  ledger: {
    rows: 0,
    bytes: 0,
    inserts: 0,
    insertFailures: 0,
    insertSeconds: 0,
    pendingRows: 0,
    pendingBytes: 0,
  },
  overflow: NO_OVERFLOW,
  deadLetters: NO_HANDOVERS,
  badEvents: NO_HANDOVERS,
  retries: NO_HANDOVERS,
  retryCopies: 0,
  rekey: NO_REKEY,
  schemaLookups: { found: 0, unknown: 0, failed: 0 },
};

/** Gathers what the main thread's stages count, at scrape. */
export function readMainStats(pipeline: Pipeline, schemaLookups: SchemaLookupCounts): MainStats {
  const { intake, assignments, gate, ownership, committer, lanes, batcher, handovers, retryDoor } = pipeline;
  return {
    recordsPolled: intake.stats.recordsPolled,
    polls: intake.stats.polls,
    pollSeconds: intake.stats.pollSeconds,
    partitions: readPartitions(pipeline),
    openRecords: assignments.openRecords,
    openBytes: gate.totalBytes,
    commits: committer.stats.commits,
    commitFailures: committer.stats.failures,
    rebalances: ownership.rebalances,
    lanesAlive: lanes.alive,
    laneRestarts: lanes.restarts,
    tenantsOnSeveralPartitions: pipeline.tenantPartitions.split,
    ledger: batcher.stats,
    overflow: pipeline.overflow?.stats() ?? NO_OVERFLOW,
    deadLetters: handovers.stats.deadLetters,
    badEvents: handovers.stats.badEvents,
    retries: handovers.stats.retries,
    retryCopies: retryDoor.copies,
    rekey: pipeline.rekey?.rekeyer.stats ?? NO_REKEY,
    schemaLookups,
  };
}

function readPartitions({ assignments, reader, intake }: Pipeline): PartitionStats[] {
  return Array.from(assignments.all(), (assignment) => {
    const end = reader.highWatermark(assignment.topic, assignment.partition);
    const position = assignment.frontier.position;
    return {
      topic: assignment.topic,
      partition: assignment.partition,
      lagRecords: end < 0 || position < 0 ? null : Math.max(0, end - position),
      frontierGapRecords: assignment.frontier.span,
      paused: intake.isPaused(assignment),
    };
  });
}
