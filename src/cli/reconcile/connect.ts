import type { Config } from '../../config/config.ts';
import { UserError } from '../../domain/errors.ts';
import type { SourceRecord } from '../../domain/record.ts';
import type { TopicReader } from '../../kafka/topic-reader.ts';
import type { Span } from '../../reconcile/merge.ts';
import type { PartitionPlan, ReconcileParts } from '../../reconcile/reconcile.ts';
import type { WaitingRetry } from '../../reconcile/waiting.ts';
import { delayTopicsOf } from '../../retry/delay-topics.ts';
import { decodeRetryHeaders } from '../../retry/retry-headers.ts';
import { openConnected } from '../connect.ts';
import { ledgerRecords } from './ledger-records.ts';
import type { Bound } from './options.ts';

export interface Range {
  readonly topic: string;
  readonly partition: number | null;
  readonly from: Bound | null;
  readonly to: Bound | null;
  /** What "ago" is counted from, Unix epoch milliseconds. */
  readonly nowMs: number;
}

/** Kafka and the ledger, opened for one run. */
export interface Reconciled extends Omit<ReconcileParts, 'stop' | 'onProgress'> {
  /** As the partitions are now. @throws UserError for a topic or a partition that is not there. */
  plans(range: Range): Promise<readonly PartitionPlan[]>;
  readonly close: () => Promise<void>;
}

/** @throws UserError when the configuration names no system that is there without a dispatcher's process. */
export async function openReconciled(config: Config, topic: string): Promise<Reconciled> {
  const delayTopics = delayTopicsOf(config.retry);
  if (delayTopics.has(topic))
    throw new UserError([
      `--topic ${topic}: it is a delay topic; its retries are reconciled with the source topic that they come from`,
    ]);
  const { brokers, reader, ledger, close } = await openConnected(config, 'nothing to reconcile');
  return {
    plans: async (range) => {
      const plans = await plansOf(reader, range);
      const isLedgerWhole = await isDrained(config, brokers);
      return plans.map((plan) => ({ ...plan, isLedgerWhole }));
    },
    topic: {
      offsets: (span, onOffsets) =>
        reader.read(topic, span, (records) => {
          onOffsets(records.map(({ offset }) => offset));
          return Promise.resolve(true);
        }),
    },
    ledger: { records: (span) => ledgerRecords(ledger, topic, span) },
    delayTopics: {
      scan: (partition, onRetry) =>
        scanDelayTopics(reader, [...delayTopics.keys()], topic, partition, onRetry),
    },
    close,
  };
}

/** Whether the overflow topic, if there is one, holds nothing that the ledger does not have. */
async function isDrained({ kafka, overflow }: Config, brokers: string): Promise<boolean> {
  if (overflow === null) return true;
  const [{ TopicReader }, { overflowProperties }] = await Promise.all([
    import('../../kafka/topic-reader.ts'),
    import('../../kafka/properties.ts'),
  ]);
  const reader = await TopicReader.open(overflowProperties(kafka, brokers, overflow.groupId));
  try {
    const count = await reader.partitions(overflow.topic);
    const drained = await reader.committed(overflow.topic, count);
    const bounds = await Promise.all(drained.map((_, partition) => reader.bounds(overflow.topic, partition)));
    return bounds.every(({ partition, from, end }) => end === from || (drained[partition] ?? -1) >= end);
  } finally {
    await reader.close();
  }
}

async function plansOf(reader: TopicReader, range: Range): Promise<Omit<PartitionPlan, 'isLedgerWhole'>[]> {
  const { topic } = range;
  const count = await reader.partitions(topic);
  if (count === 0) throw new UserError([`--topic ${topic}: there is no such topic`]);
  if (range.partition !== null && range.partition >= count)
    throw new UserError([`--partition ${range.partition}: ${topic} has 0 to ${count - 1}`]);
  const committed = await reader.committed(topic, count);
  const partitions =
    range.partition === null ? Array.from({ length: count }, (_, partition) => partition) : [range.partition];
  return Promise.all(
    partitions.map(async (partition) => {
      const { from: low, end: high } = await reader.bounds(topic, partition);
      const offsetOf = (bound: Bound): Promise<number> => boundOffset(reader, range, partition, bound);
      const from = range.from === null ? low : await offsetOf(range.from);
      const to = range.to === null ? high : await offsetOf(range.to);
      const end = Math.min(to, high);
      return { partition, from: Math.min(from, end), end, low, committed: committed[partition] ?? -1 };
    }),
  );
}

async function boundOffset(
  reader: TopicReader,
  { topic, nowMs }: Range,
  partition: number,
  bound: Bound,
): Promise<number> {
  if ('offset' in bound) return bound.offset;
  return reader.offsetAt(topic, partition, 'atMs' in bound ? bound.atMs : nowMs - bound.agoMs);
}

/** What waits is at and beyond the committed offset; a retry is in the partition with its source partition's number. */
async function scanDelayTopics(
  reader: TopicReader,
  delayTopics: readonly string[],
  sourceTopic: string,
  sourcePartition: number,
  onRetry: (retry: WaitingRetry) => void,
): Promise<void> {
  for (const delayTopic of delayTopics) {
    const count = await reader.partitions(delayTopic);
    if (count === 0) continue;
    const partition = sourcePartition % count;
    const committed = (await reader.committed(delayTopic, count))[partition] ?? -1;
    const { from, end } = await reader.bounds(delayTopic, partition);
    const span: Span = { partition, from: Math.max(from, committed), end };
    await reader.read(delayTopic, span, (records) => {
      for (const record of records) tellRetry(record, sourceTopic, sourcePartition, onRetry);
      return Promise.resolve(true);
    });
  }
}

function tellRetry(
  record: SourceRecord,
  sourceTopic: string,
  sourcePartition: number,
  onRetry: (retry: WaitingRetry) => void,
): void {
  const headers = (record.headers ?? []).flatMap((header) =>
    Object.entries(header).map(
      ([name, value]) => [name, typeof value === 'object' ? value : Buffer.from(String(value))] as const,
    ),
  );
  const retry = decodeRetryHeaders(headers);
  if ('problem' in retry) return;
  if (retry.sourceTopic !== sourceTopic || retry.sourcePartition !== sourcePartition) return;
  onRetry({ deliveryId: retry.deliveryId, sourceOffset: retry.sourceOffset });
}
