import type { SourceRecord } from '../../src/domain/record.ts';
import { KafkaConsumer } from '../../src/kafka/consumer.ts';
import type { KafkaTools } from '../support/kafka-tools.ts';
import { waitFor } from '../support/wait.ts';

const READ_TIMEOUT_MS = 30_000;
const LEAVE_TIMEOUT_MS = 5_000;
const RECORDS_A_POLL = 500;

/** Everything that is on a topic now, by a consumer group of its own. */
export async function readTopic(kafka: KafkaTools, topic: string): Promise<SourceRecord[]> {
  const [ends, starts] = await Promise.all([kafka.endOffsets(topic), kafka.startOffsets(topic)]);
  const expected = ends.reduce((sum, end, partition) => sum + end - (starts[partition] ?? 0), 0);
  if (expected === 0) return [];
  const records: SourceRecord[] = [];
  const consumer = await openReader(kafka, topic);
  try {
    await waitFor(
      async () => {
        records.push(...(await poll(consumer)));
        return records.length >= expected;
      },
      {
        timeoutMs: READ_TIMEOUT_MS,
        intervalMs: 0,
        what: () => `${expected} records of ${topic}, ${records.length} came`,
      },
    );
  } finally {
    await consumer.close(LEAVE_TIMEOUT_MS);
  }
  return records;
}

/** A header's values, in their order. */
export function headerValues(record: SourceRecord, name: string): string[] {
  return (record.headers ?? []).flatMap((header) => {
    const value = header[name];
    return value === undefined ? [] : [Buffer.from(value as Buffer).toString('utf8')];
  });
}

async function openReader(kafka: KafkaTools, topic: string): Promise<KafkaConsumer> {
  const consumer = await KafkaConsumer.open(
    {
      'bootstrap.servers': kafka.brokers,
      'group.id': kafka.uniqueName('reader'),
      'group.protocol': 'consumer',
      'enable.auto.commit': false,
      'auto.offset.reset': 'earliest',
      'fetch.wait.max.ms': 50,
    },
    [topic],
    {
      onAssign: (partitions) => {
        consumer.assign(partitions);
      },
      onRevoke: (partitions) => {
        consumer.unassign(partitions);
      },
      onCommit: () => undefined,
      onError: () => undefined,
      onConnection: () => undefined,
    },
  );
  return consumer;
}

function poll(consumer: KafkaConsumer): Promise<readonly SourceRecord[]> {
  return new Promise((resolve, reject) => {
    consumer.poll(RECORDS_A_POLL, (error, records) => {
      if (error === null) resolve(records);
      else reject(new Error(error));
    });
  });
}
