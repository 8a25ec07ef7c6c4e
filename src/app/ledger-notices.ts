import type { Clock } from '../domain/clock.ts';
import { messageOf } from '../domain/errors.ts';
import type { TopicPartitionOffset } from '../domain/record.ts';
import type { Log } from '../observability/log.ts';

/** A wait for the ledger is told at once, then so often. */
const TOLD_EVERY_MS = 30_000;
/** A question is given up after `clickhouse.requestTimeout`, and asked again at once. */
const FORGOTTEN_AFTER_MS = 120_000;

/** What becomes of rows and questions while the ledger does not take or answer them: log lines, and why that holds up the start. */
export interface LedgerNotices {
  /** Why something waits for the ledger before anything is sent; null when nothing does. */
  readonly awaitedBecause: string | null;
  /** The ledger does not answer, and is asked again. */
  readonly awaited: (error: unknown) => void;
  readonly answered: () => void;
  /** The ledger does not answer, and what it holds is delivered again. */
  readonly skipped: (error: unknown) => void;
  /** Batches go to the overflow topic from now on, or no more. */
  readonly diverting: (isDiverting: boolean) => void;
  readonly overflowFailed: (error: unknown) => void;
  /** The Kafka client of the drainer. */
  readonly clientError: (message: string) => void;
  readonly drainFailed: (error: unknown) => void;
  /** So many rows were drained, and no more wait, as far as this process knows. */
  readonly drained: (rows: number) => void;
  /** A record of the overflow topic that nobody of us wrote. */
  readonly foreign: (place: TopicPartitionOffset) => void;
  /** Records of the overflow topic that were read to know what is delivered. */
  readonly undrainedRead: (records: number) => void;
}

export function logLedgerNotices(log: Log, clock: Clock): LedgerNotices {
  let awaitedBecause: string | null = null;
  let toldMs = 0;
  let latestMs = 0;
  return {
    get awaitedBecause() {
      // Partitions that were taken away again are not waited for any more, of which nobody tells.
      return clock.monotonicMs() - latestMs > FORGOTTEN_AFTER_MS ? null : awaitedBecause;
    },
    awaited: (error) => {
      const nowMs = clock.monotonicMs();
      latestMs = nowMs;
      const isDue = awaitedBecause === null || nowMs - toldMs >= TOLD_EVERY_MS;
      awaitedBecause = messageOf(error);
      if (!isDue) return;
      toldMs = nowMs;
      log.write('ledger_awaited', { error: awaitedBecause });
    },
    answered: () => {
      if (awaitedBecause !== null) log.write('ledger_answers');
      awaitedBecause = null;
    },
    skipped: (error) => {
      log.write('ledger_skipped', { error: messageOf(error) });
    },
    diverting: (isDiverting) => {
      log.write(isDiverting ? 'ledger_overflow_started' : 'ledger_overflow_ended');
    },
    overflowFailed: (error) => {
      log.write('ledger_overflow_failed', { error: messageOf(error) });
    },
    clientError: (message) => {
      log.write('kafka_error', { error: message, client: 'overflow' });
    },
    drainFailed: (error) => {
      log.write('ledger_drain_failed', { error: messageOf(error) });
    },
    drained: (rows) => {
      log.write('ledger_drained', { rows });
    },
    foreign: ({ topic, partition, offset }) => {
      log.write('ledger_overflow_foreign', { topic, partition, offset });
    },
    undrainedRead: (records) => {
      if (records > 0) log.write('ledger_overflow_read', { records });
    },
  };
}
