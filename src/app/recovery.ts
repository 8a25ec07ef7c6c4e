import { limits } from '../domain/limits.ts';
import type { Recovered, TopicPartition, TopicPartitionOffset } from '../domain/record.ts';
import type { KafkaConsumer } from '../kafka/consumer.ts';
import type { Ledger } from '../ledger/client.ts';

const COMMITTED_TIMEOUT_MS = 5_000;
const NOTHING: Recovered = { deliveryIds: new Map(), lastOffset: -1 };

/**
 * What the ledger says was delivered from each partition's committed offset on:
 * the ledger is the memory of a process that died, or that gave a partition up
 * before all of it was committed. Deliveries are told by their id, so records of
 * a topic that was made anew are not taken for the old ones, and by their offset, so
 * that a producer's duplicate gets an outcome of its own. Dead letters are not
 * among them, since a row does not tell whether their hand-over reached Kafka.
 *
 * A crash leaves no more records than a partition's window behind. Where there
 * are more, somebody has set the group's offsets back to deliver again, and
 * nothing is skipped.
 *
 * @returns per partition, in their order.
 * @throws Error when the broker or the ledger does not answer.
 */
export async function recoverDeliveries(
  consumer: Pick<KafkaConsumer, 'committed'>,
  ledger: Pick<Ledger, 'query'>,
  partitions: readonly TopicPartition[],
): Promise<Recovered[]> {
  const committed = await consumer.committed(partitions, COMMITTED_TIMEOUT_MS);
  const recovered: Recovered[] = [];
  for (const { topic, partition } of partitions) {
    const found = committed.find((place) => place.topic === topic && place.partition === partition);
    recovered.push(
      await deliveredFrom(ledger, { topic, partition, offset: Math.max(0, found?.offset ?? 0) }),
    );
  }
  return recovered;
}

async function deliveredFrom(
  ledger: Pick<Ledger, 'query'>,
  { topic, partition, offset }: TopicPartitionOffset,
): Promise<Recovered> {
  const rows = await ledger.query<{ offset: number; ids: string[] }>(
    `SELECT offset, groupUniqArray(delivery_id) AS ids
     FROM attempts
     WHERE topic = {topic:String} AND partition = {partition:UInt32} AND offset >= {offset:Int64}
       AND outcome = 'delivered'
     GROUP BY offset
     LIMIT {limit:UInt32}`,
    { topic, partition, offset, limit: limits.partitionWindowRecords + 1 },
  );
  if (rows.length > limits.partitionWindowRecords) return NOTHING;
  return {
    deliveryIds: new Map(rows.map((row) => [row.offset, new Set(row.ids)])),
    lastOffset: rows.reduce((last, row) => Math.max(last, row.offset), -1),
  };
}
