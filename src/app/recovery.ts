import type { Config } from '../config/config.ts';
import { systemClock } from '../domain/clock.ts';
import { limits } from '../domain/limits.ts';
import { NOTHING_RECOVERED } from '../domain/record.ts';
import type { Recovered, TopicPartition, TopicPartitionOffset } from '../domain/record.ts';
import type { KafkaConsumer } from '../kafka/consumer.ts';
import type { Ledger } from '../ledger/client.ts';
import type { LedgerNotices } from './ledger-notices.ts';
import type { Notices } from './notices.ts';
import { checkOffsetLoss } from './offset-loss.ts';
import type { Overflow } from './overflow.ts';
import { recoverSeenEvents } from './seen-events.ts';

const COMMITTED_TIMEOUT_MS = 5_000;
/** Partitions of one topic asked for at once: what they are goes into the statement's parameters, in its URL. */
const PARTITIONS_PER_QUERY = 32;
/** Of the ledger's connections, one stays for inserts whatever is asked. */
const QUERIES_AT_ONCE = 4;

type DeliveryIds = ReadonlyMap<number, ReadonlySet<string>>;

/** Deliveries by the offset of their record, of a partition that was asked for. */
interface Held {
  of(place: TopicPartition): DeliveryIds;
}

interface RecoveryParts {
  readonly consumer: Pick<KafkaConsumer, 'committed'>;
  readonly ledger: Pick<Ledger, 'query'>;
  /** What the overflow topic holds, from these offsets on, and the ledger has not got yet; null without one. */
  readonly undrained: ((places: readonly TopicPartitionOffset[]) => Promise<Held>) | null;
  /** Tells the two kinds of topics apart. */
  readonly isDelayTopic: (topic: string) => boolean;
  /** Told when the ledger does not answer and recovery goes on without it; null: it rejects then. */
  readonly onLedgerSkipped: ((error: unknown) => void) | null;
}

/** What of a pipeline's parts recovery needs. */
interface RecoverySettings {
  readonly config: Pick<Config, 'duplicates' | 'kafka'>;
  readonly ledger: Ledger;
  readonly overflow: Pick<Overflow, 'undrained'> | null;
  readonly delayTopics: ReadonlyMap<string, number>;
  readonly allowDuplicates: boolean;
  readonly ledgerNotices: LedgerNotices;
  readonly notices: Pick<Notices, 'recordsSkipped'>;
}

/** `recoverDeliveries` as a pipeline does it. */
export async function recoverFor(
  { config, ledger, overflow, delayTopics, allowDuplicates, ledgerNotices, notices }: RecoverySettings,
  consumer: Pick<KafkaConsumer, 'committed' | 'watermarks'>,
  partitions: readonly TopicPartition[],
): Promise<Recovered[]> {
  const { groupId, lostRecords } = config.kafka;
  const parts: RecoveryParts = {
    consumer: {
      committed: async (asked, timeoutMs) => {
        const committed = await consumer.committed(asked, timeoutMs);
        await checkOffsetLoss(
          { consumer, groupId, policy: lostRecords, onSkipped: notices.recordsSkipped },
          committed,
        );
        return committed;
      },
    },
    ledger,
    undrained: overflow === null ? null : (places) => overflow.undrained(places),
    isDelayTopic: (topic) => delayTopics.has(topic),
    onLedgerSkipped: allowDuplicates ? ledgerNotices.skipped : null,
  };
  const recovered = await recoverDeliveries(parts, partitions);
  const question = { ...parts, duplicates: config.duplicates, nowMs: systemClock.wallMs() };
  const seen = await recoverSeenEvents(question, partitions);
  ledgerNotices.answered();
  return recovered.map((known, i) => ({ ...known, ...seen[i] }));
}

/**
 * What the ledger, and what waits to be drained into it, says has ended, or was handed over to Kafka, from
 * each partition's committed offset on: the ledger is the memory of a process that died, or that gave a
 * partition up before all of it was committed. Deliveries are told by their id, so
 * records of a topic that was made anew are not taken for the old ones, and by their
 * offset, so that a producer's duplicate gets an outcome of its own. A record that ended
 * without a delivery is there under the empty id.
 *
 * A row about a hand-over is written only after the broker has acknowledged it
 * (`Settler`), so such a row means that the retry or the dead letter is in its topic
 * and nothing is lost by skipping the delivery. The other way round, a crash between
 * that ack and the row makes a second hand-over, never none.
 *
 * A partition of a delay topic is asked for by the place of the retry record. The
 * rows of its attempts carry the source record's place too, so those of a source
 * partition are the rows that name no delay topic.
 *
 * The overflow is read before the ledger, so that what is drained meanwhile is in
 * both answers.
 *
 * A crash leaves no more records behind than may be uncommitted. Where there
 * are more, somebody has set the group's offsets back to deliver again, and
 * nothing is skipped.
 *
 * @returns per partition, in their order.
 * @throws Error when the broker or the ledger does not answer.
 */
export async function recoverDeliveries(
  { consumer, ledger, undrained, isDelayTopic, onLedgerSkipped }: RecoveryParts,
  partitions: readonly TopicPartition[],
): Promise<Recovered[]> {
  if (partitions.length === 0) return [];
  const committed = await consumer.committed(partitions, COMMITTED_TIMEOUT_MS);
  const places = partitions.map(({ topic, partition }) => {
    const found = committed.find((place) => place.topic === topic && place.partition === partition);
    return { topic, partition, offset: Math.max(0, found?.offset ?? 0) };
  });
  const overflow = (await undrained?.(places)) ?? null;
  const settled = await settledFrom(ledger, places, isDelayTopic).catch((error: unknown) => {
    if (onLedgerSkipped === null) throw error;
    onLedgerSkipped(error);
    return null;
  });
  return places.map((place) => recoveredOf([settled?.of(place), overflow?.of(place)]));
}

function recoveredOf(sources: readonly (DeliveryIds | undefined)[]): Recovered {
  const deliveryIds = new Map<number, ReadonlySet<string>>();
  for (const source of sources) {
    for (const [offset, ids] of source ?? []) {
      const known = deliveryIds.get(offset);
      deliveryIds.set(offset, known === undefined ? ids : new Set([...known, ...ids]));
    }
  }
  return deliveryIds.size > limits.uncommittedRecords ? NOTHING_RECOVERED : { deliveryIds };
}

/** Which rows are about a record of a source topic, and which about one of a delay topic. */
const SOURCE_ROWS = `retry_topic = ''`;
const RETRY_ROWS = `retry_topic != ''`;

/** Of one partition; column by column, since thousands of rows as objects take longer to read than to find. */
interface SettledRow {
  readonly partition: number;
  readonly places: readonly number[];
  /** Of each place. */
  readonly ids: readonly (readonly string[])[];
}

async function settledFrom(
  ledger: Pick<Ledger, 'query'>,
  places: readonly TopicPartitionOffset[],
  isDelayTopic: (topic: string) => boolean,
): Promise<Held> {
  const byPlace = new Map<string, Map<number, ReadonlySet<string>>>();
  const nameOf = ({ topic, partition }: TopicPartition): string => `${partition} ${topic}`;
  const questions = questionsOf(places);
  const ask = async (): Promise<void> => {
    for (let some = questions.shift(); some !== undefined; some = questions.shift()) {
      const { topic } = some[0] as TopicPartitionOffset;
      const rows = await settledOfTopic(ledger, some, isDelayTopic(topic) ? RETRY_ROWS : SOURCE_ROWS);
      for (const { partition, places: offsets, ids } of rows) {
        byPlace.set(
          nameOf({ topic, partition }),
          new Map(offsets.map((offset, i) => [offset, new Set(ids[i])])),
        );
      }
    }
  };
  await Promise.all(Array.from({ length: QUERIES_AT_ONCE }, ask));
  return { of: (place) => byPlace.get(nameOf(place)) ?? new Map<number, ReadonlySet<string>>() };
}

/** Each with places of one topic. */
function questionsOf(places: readonly TopicPartitionOffset[]): TopicPartitionOffset[][] {
  const byTopic = new Map<string, TopicPartitionOffset[]>();
  for (const place of places) byTopic.set(place.topic, [...(byTopic.get(place.topic) ?? []), place]);
  return [...byTopic.values()].flatMap((ofTopic) =>
    Array.from({ length: Math.ceil(ofTopic.length / PARTITIONS_PER_QUERY) }, (_, i) =>
      ofTopic.slice(i * PARTITIONS_PER_QUERY, (i + 1) * PARTITIONS_PER_QUERY),
    ),
  );
}

function settledOfTopic(
  ledger: Pick<Ledger, 'query'>,
  places: readonly TopicPartitionOffset[],
  rows: typeof SOURCE_ROWS | typeof RETRY_ROWS,
): Promise<SettledRow[]> {
  // All of it from the projection `by_place`, which is in this order; each partition with its own offset.
  const ofPartitions = places.map(
    (_, i) => `(place_partition = {p${i}:UInt32} AND place_offset >= {o${i}:Int64})`,
  );
  const parameters = places.flatMap(({ partition, offset }, i) => [
    [`p${i}`, partition],
    [`o${i}`, offset],
  ]);
  return ledger.query<SettledRow>(
    `SELECT partition, groupArray(place) AS places, groupArray(place_ids) AS ids
     FROM (
       SELECT place_partition AS partition, place_offset AS place, groupUniqArray(delivery_id) AS place_ids
       FROM attempts
       WHERE ${rows} AND place_topic = {topic:String} AND (${ofPartitions.join(' OR ')})
         AND (is_final OR hand_over != '')
       GROUP BY partition, place
       LIMIT {limit:UInt32} BY partition
     )
     GROUP BY partition`,
    {
      ...(Object.fromEntries(parameters) as Record<string, number>),
      topic: places[0]?.topic,
      limit: limits.uncommittedRecords + 1,
    },
  );
}
