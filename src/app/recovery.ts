import { limits } from '../domain/limits.ts';
import type { Recovered, TopicPartition, TopicPartitionOffset } from '../domain/record.ts';
import type { KafkaConsumer } from '../kafka/consumer.ts';
import type { Ledger } from '../ledger/client.ts';

const COMMITTED_TIMEOUT_MS = 5_000;
const NOTHING: Recovered = { deliveryIds: new Map(), lastOffset: -1 };

/**
 * What the ledger says was delivered, or handed over to Kafka, from each partition's
 * committed offset on: the ledger is the memory of a process that died, or that gave a
 * partition up before all of it was committed. Deliveries are told by their id, so
 * records of a topic that was made anew are not taken for the old ones, and by their
 * offset, so that a producer's duplicate gets an outcome of its own.
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
 * A crash leaves no more records than a partition's window behind. Where there
 * are more, somebody has set the group's offsets back to deliver again, and
 * nothing is skipped.
 *
 * @param isDelayTopic tells the two kinds of topics apart.
 * @returns per partition, in their order.
 * @throws Error when the broker or the ledger does not answer.
 */
export async function recoverDeliveries(
  consumer: Pick<KafkaConsumer, 'committed'>,
  ledger: Pick<Ledger, 'query'>,
  partitions: readonly TopicPartition[],
  isDelayTopic: (topic: string) => boolean,
): Promise<Recovered[]> {
  const committed = await consumer.committed(partitions, COMMITTED_TIMEOUT_MS);
  const recovered: Recovered[] = [];
  for (const { topic, partition } of partitions) {
    const found = committed.find((place) => place.topic === topic && place.partition === partition);
    recovered.push(
      await settledFrom(
        ledger,
        { topic, partition, offset: Math.max(0, found?.offset ?? 0) },
        isDelayTopic(topic) ? RETRY_PLACE : SOURCE_PLACE,
      ),
    );
  }
  return recovered;
}

/** The columns that say which record of a partition a row is about. */
interface Place {
  readonly offset: string;
  readonly filter: string;
}

const SOURCE_PLACE: Place = {
  offset: 'offset',
  filter: `topic = {topic:String} AND partition = {partition:UInt32} AND offset >= {offset:Int64}
       AND retry_topic = ''`,
};

const RETRY_PLACE: Place = {
  offset: 'retry_offset',
  filter:
    'retry_topic = {topic:String} AND retry_partition = {partition:UInt32} AND retry_offset >= {offset:Int64}',
};

async function settledFrom(
  ledger: Pick<Ledger, 'query'>,
  { topic, partition, offset }: TopicPartitionOffset,
  place: Place,
): Promise<Recovered> {
  const rows = await ledger.query<{ place: number; ids: string[] }>(
    `SELECT ${place.offset} AS place, groupUniqArray(delivery_id) AS ids
     FROM attempts
     WHERE ${place.filter} AND (outcome = 'delivered' OR hand_over != '')
     GROUP BY place
     LIMIT {limit:UInt32}`,
    { topic, partition, offset, limit: limits.partitionWindowRecords + 1 },
  );
  if (rows.length > limits.partitionWindowRecords) return NOTHING;
  return {
    deliveryIds: new Map(rows.map((row) => [row.place, new Set(row.ids)])),
    lastOffset: rows.reduce((last, row) => Math.max(last, row.place), -1),
  };
}
