import type { DuplicatesConfig } from '../config/config.ts';
import type { Recovered, TopicPartition } from '../domain/record.ts';
import { hashEvent, type EventHash } from '../duplicates/seen-events.ts';
import type { KafkaConsumer } from '../kafka/consumer.ts';
import type { Ledger } from '../ledger/client.ts';

const COMMITTED_TIMEOUT_MS = 5_000;
/** Read at an assignment, over all partitions that are asked for: they pass the main thread as objects. */
const MOST_EVENTS = 50_000;
/** Partitions of one topic asked for at once: what they are goes into the statement's parameters, in its URL. */
const PARTITIONS_PER_QUERY = 32;

export interface SeenEventsParts {
  readonly consumer: Pick<KafkaConsumer, 'committed'>;
  readonly ledger: Pick<Ledger, 'query'>;
  /** Null: nothing is asked. */
  readonly duplicates: DuplicatesConfig | null;
  readonly isDelayTopic: (topic: string) => boolean;
  /** Told when the ledger does not answer and nothing is known; null: it rejects then. */
  readonly onLedgerSkipped: ((error: unknown) => void) | null;
  /** Wall clock. */
  readonly nowMs: number;
}

interface SeenRow {
  readonly partition: number;
  readonly tenant: string;
  readonly eventId: string;
  readonly firstOffset: number;
  readonly ageMs: number;
}

/**
 * The events of each partition that the ledger saw lately, so that a producer's duplicate is
 * told across a restart or a move too. A record that was itself a duplicate does not
 * count: the one that was first does, in whatever partition it is.
 *
 * Bounded: the newest events, of the last offsets before the committed one and of those after
 * it. What waits in the overflow topic is not among them.
 *
 * @returns per partition, in their order; nothing for those of delay topics.
 * @throws Error when the broker or the ledger does not answer.
 */
export async function recoverSeenEvents(
  parts: SeenEventsParts,
  partitions: readonly TopicPartition[],
): Promise<Pick<Recovered, 'seen'>[]> {
  const sources = partitions.filter(({ topic }) => !parts.isDelayTopic(topic));
  if (parts.duplicates === null || sources.length === 0) return partitions.map(() => ({}));
  const seen = await seenOf(sources, parts, parts.duplicates).catch((error: unknown) => {
    if (parts.onLedgerSkipped === null) throw error;
    parts.onLedgerSkipped(error);
    return new Map<string, Float64Array>();
  });
  return partitions.map((place) => {
    const before = seen.get(nameOf(place));
    return before === undefined ? {} : { seen: before };
  });
}

/** By the names of the partitions. */
async function seenOf(
  sources: readonly TopicPartition[],
  { consumer, ledger, nowMs }: SeenEventsParts,
  { windowMs, maxRemembered }: DuplicatesConfig,
): Promise<ReadonlyMap<string, Float64Array>> {
  const most = Math.min(maxRemembered, Math.ceil(MOST_EVENTS / sources.length));
  const committed = await consumer.committed(sources, COMMITTED_TIMEOUT_MS);
  const seen = new Map<string, Float64Array>();
  for (const topic of new Set(sources.map((place) => place.topic))) {
    const ofTopic = committed
      .filter((place) => place.topic === topic)
      .map(({ partition, offset }) => ({ partition, offset: Math.max(0, offset - most) }));
    for (let i = 0; i < ofTopic.length; i += PARTITIONS_PER_QUERY) {
      const some = ofTopic.slice(i, i + PARTITIONS_PER_QUERY);
      const rows = await seenOfTopic(ledger, topic, some, { windowMs, nowMs, most });
      for (const { partition } of some) {
        const own = rows.filter((row) => row.partition === partition);
        seen.set(nameOf({ topic, partition }), encoded(own));
      }
    }
  }
  return seen;
}

function nameOf({ topic, partition }: TopicPartition): string {
  return `${partition} ${topic}`;
}

function seenOfTopic(
  ledger: Pick<Ledger, 'query'>,
  topic: string,
  places: readonly { readonly partition: number; readonly offset: number }[],
  { windowMs, nowMs, most }: { windowMs: number; nowMs: number; most: number },
): Promise<SeenRow[]> {
  const ofPartitions = places.map((_, i) => `(partition = {p${i}:UInt32} AND offset >= {o${i}:Int64})`);
  const parameters = places.flatMap(({ partition, offset }, i) => [
    [`p${i}`, partition],
    [`o${i}`, offset],
  ]);
  return ledger.query<SeenRow>(
    `SELECT partition, tenant, event_id AS eventId, min(offset) AS firstOffset,
       {now:Int64} - toUnixTimestamp64Milli(min(attempted_at)) AS ageMs
     FROM attempts
     WHERE retry_topic = '' AND topic = {topic:String} AND (${ofPartitions.join(' OR ')})
       AND attempted_at >= fromUnixTimestamp64Milli({since:Int64})
       AND event_id != '' AND outcome != 'duplicate'
     GROUP BY partition, tenant, event_id
     ORDER BY ageMs
     LIMIT {limit:UInt32} BY partition`,
    {
      ...(Object.fromEntries(parameters) as Record<string, number>),
      topic,
      now: nowMs,
      since: nowMs - windowMs,
      limit: most,
    },
  );
}

/** Oldest first. */
function encoded(rows: readonly SeenRow[]): Float64Array {
  const hash: EventHash = { low: 0, high: 0 };
  const numbers = new Float64Array(rows.length * 4);
  rows.toReversed().forEach(({ tenant, eventId, firstOffset, ageMs }, i) => {
    hashEvent(tenant, eventId, hash);
    numbers.set([hash.low, hash.high, firstOffset, Math.max(0, ageMs)], i * 4);
  });
  return numbers;
}
