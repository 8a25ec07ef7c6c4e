import type { Log } from '../observability/log.ts';
import type { Pipeline } from './pipeline.ts';

const COMMIT_TIMEOUT_MS = 5_000;
const LEAVE_TIMEOUT_MS = 8_000;

/**
 * Stops a pipeline from its head: no new records, what is open finishes and
 * becomes durable, its offsets are committed, the lanes end, the group is left.
 * Each step is bounded, and what a step leaves open is read again after the next
 * start, because its offset was not committed.
 *
 * What moves records to the pipeline's own topic stops beside it: what it moved is read by whoever is next.
 *
 * @returns whether everything admitted became durable and was committed.
 */
export async function drainPipeline(pipeline: Pipeline, deadlineMs: number, log: Log): Promise<boolean> {
  const { intake, assignments, ownership, committer, lanes, reader, handovers, schemaWait, batcher } =
    pipeline;
  log.write('draining', { openRecords: assignments.openRecords, deadlineMs });
  intake.stopAdmitting();
  const moved = pipeline.rekey?.drain(deadlineMs) ?? Promise.resolve(true);
  schemaWait.stop();
  const owned = [...assignments.all()];
  const drained = await ownership.drain(owned, deadlineMs);
  const committed = await committer.commitAll(owned, COMMIT_TIMEOUT_MS);
  if (!drained) log.write('drain_deadline_passed', { openRecords: assignments.openRecords });
  for (const assignment of owned) assignments.end(assignment);
  clearInterval(pipeline.commitTimer);
  intake.stop();
  await lanes.close();
  // Leaving holds a thread of the pool until a broker answers, and Node's exit waits for that thread: where no
  // commit was answered, the broker evicts this member later, as it does with one that died.
  const left = committed ? await reader.close(LEAVE_TIMEOUT_MS) : 'not_tried';
  if (left === 'not_tried') log.write('leave_skipped');
  if (left === 'timed_out') log.write('leave_timed_out', { timeoutMs: LEAVE_TIMEOUT_MS });
  handovers.stop();
  batcher.stop();
  return (await moved) && drained && committed;
}
