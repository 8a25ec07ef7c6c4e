import type { Config, OverflowConfig } from '../config/config.ts';
import { systemClock } from '../domain/clock.ts';
import { messageOf } from '../domain/errors.ts';
import { limits } from '../domain/limits.ts';
import type { TopicPartitionOffset } from '../domain/record.ts';
import { KafkaConsumer } from '../kafka/consumer.ts';
import type { KafkaProducer } from '../kafka/producer.ts';
import { overflowProperties } from '../kafka/properties.ts';
import { TopicReader } from '../kafka/topic-reader.ts';
import type { OverflowBounds } from '../ledger/batcher.ts';
import type { Ledger } from '../ledger/client.ts';
import { columnNames, LEDGER_TABLES, type LedgerTable } from '../ledger/columns.ts';
import { toLedgerError } from '../ledger/errors.ts';
import { retryDelayMs } from '../ledger/retry-delay.ts';
import { hasStoredRow } from '../ledger/stored-row.ts';
import type { OverflowStats } from '../observability/main-stats.ts';
import { OverflowDrainer } from '../overflow/drainer.ts';
import type { HeldDeliveries } from '../overflow/held-deliveries.ts';
import { OverflowProducer } from '../overflow/overflow-producer.ts';
import type { OverflowRows } from '../overflow/overflow-record.ts';
import { rowIdentities } from '../overflow/row-identity.ts';
import { readUndrained } from '../overflow/undrained.ts';
import type { LedgerNotices } from './ledger-notices.ts';

const LEAVE_TIMEOUT_MS = 3_000;
const STOP_TIMEOUT_MS = 2_000;
/** The ledger remembers the tokens of its last 10,000 inserts (`migrations.ts`): of ten processes, those of so long. */
const TOKENS_KNOWN_MS = 5 * 60_000;

export interface OverflowParts {
  readonly config: Config;
  readonly brokers: string;
  readonly instance: string;
  readonly ledger: Ledger;
  readonly producer: KafkaProducer;
  readonly ledgerNotices: LedgerNotices;
}

/** The topic that ledger batches go to while ClickHouse does not take them, both ends of it. */
export interface Overflow {
  /** For the batcher. */
  readonly bounds: OverflowBounds;
  readonly stats: () => OverflowStats;
  /** Which deliveries it holds, from these offsets on, that the ledger may not have. */
  readonly undrained: (places: readonly TopicPartitionOffset[]) => Promise<HeldDeliveries>;
  /** Stops draining and leaves the group; what is left is drained by others, or later. */
  readonly stop: () => Promise<void>;
}

/**
 * Joins the group of those that drain the overflow topic, which must be there; null where there is none.
 * @throws UserError when no broker answers.
 */
export async function openOverflow(parts: OverflowParts): Promise<Overflow | null> {
  const { producer, instance, ledgerNotices } = parts;
  const { overflow } = parts.config;
  if (overflow === null) return null;
  const writer = new OverflowProducer({
    producer,
    topic: overflow.topic,
    writer: instance,
    columnsOf: (table) => columnNames(table as LedgerTable),
    pause,
  });
  const { drainer, consumer } = await openDrainer(parts, overflow);
  drainer.start();
  return {
    bounds: {
      to: writer,
      afterRows: overflow.afterRows,
      afterBytes: overflow.afterBytes,
      afterAgeMs: overflow.afterAgeMs,
      maxPartBytes: limits.recordMaxBytes,
    },
    stats: () => ({
      batches: writer.stats.parts,
      rows: writer.stats.rows,
      failures: writer.stats.failures,
      drainedBatches: drainer.stats.records,
      drainedRows: drainer.stats.rows,
      drainFailures: drainer.stats.failures,
      waitingBatches: drainer.lag(),
    }),
    undrained: async (places) => {
      const { held, records } = await readWith(parts, overflow, places);
      ledgerNotices.undrainedRead(records);
      return held;
    },
    stop: async () => {
      await Promise.race([drainer.stop(), pause(STOP_TIMEOUT_MS)]);
      await consumer.close(LEAVE_TIMEOUT_MS);
    },
  };
}

async function openDrainer(
  { config, brokers, ledger, ledgerNotices }: OverflowParts,
  { topic, groupId, drainShare }: OverflowConfig,
): Promise<{ drainer: OverflowDrainer; consumer: KafkaConsumer }> {
  const consumer = await KafkaConsumer.open(overflowProperties(config.kafka, brokers, groupId), [topic], {
    onAssign: (partitions) => {
      drainer.onAssign(partitions);
      consumer.assign(partitions);
    },
    onRevoke: (partitions) => {
      drainer.onRevoke(partitions);
      try {
        consumer.unassign(partitions);
      } catch (error) {
        // A client that closes hears of a revocation, and may be past answering it.
        ledgerNotices.clientError(`unassign: ${messageOf(error)}`);
      }
    },
    onCommit: (error) => {
      if (error !== null) ledgerNotices.clientError(`commit: ${error}`);
    },
    onError: ledgerNotices.clientError,
    onConnection: () => undefined,
  });
  const drainer = new OverflowDrainer({
    source: consumer,
    store: (rows) => storeOnce(ledger, rows),
    share: drainShare,
    clock: systemClock,
    pause,
    retryDelayMs: (error, failures) => retryDelayMs(toLedgerError(error).kind, failures, Math.random()),
    onFailure: ledgerNotices.drainFailed,
    onForeign: ledgerNotices.foreign,
    onDrained: ledgerNotices.drained,
  });
  return { drainer, consumer };
}

/**
 * Inserts drained rows, once. Their token sees to that for as long as the ledger remembers it, and makes a copy
 * that reached the table and not its rollups reach them too. Of older rows it is asked first whether they are
 * there: an insert that was given up may have arrived, and a drainer may have died between the ledger's ack and
 * its commit.
 */
async function storeOnce(ledger: Ledger, rows: OverflowRows): Promise<void> {
  const { table: name, bytes, columns, token, writtenAtMs } = rows;
  const table = LEDGER_TABLES.find((one) => one === name);
  if (table === undefined)
    throw new Error(`there is no ledger table ${name}: a newer eventdispatch wrote it`);
  const isTokenKnown = systemClock.wallMs() - writtenAtMs < TOKENS_KNOWN_MS;
  if (!isTokenKnown && (await areStored(ledger, table, rows))) return;
  await ledger.insert(table, [bytes], token, columns);
}

async function areStored(
  ledger: Ledger,
  table: LedgerTable,
  { bytes, columns }: OverflowRows,
): Promise<boolean> {
  for (const identity of rowIdentities(bytes, columns)) {
    if (!(await hasStoredRow(ledger, table, identity))) return false;
  }
  return true;
}

async function readWith(
  { config, brokers }: OverflowParts,
  { topic, groupId }: OverflowConfig,
  places: readonly TopicPartitionOffset[],
): Promise<Awaited<ReturnType<typeof readUndrained>>> {
  const reader = await TopicReader.open(overflowProperties(config.kafka, brokers, groupId));
  try {
    return await readUndrained(reader, topic, places, limits.uncommittedRecords);
  } finally {
    // Nothing waits for it: it has joined no group.
    void reader.close();
  }
}

function pause(delayMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, delayMs));
}
