import { afterEach, expect, it } from 'vitest';

import { ensurePipelineTopics } from '../../src/kafka/pipeline-topics.ts';
import { openProducer, type KafkaProducer } from '../../src/kafka/producer.ts';
import { KafkaTopicAdmin } from '../../src/kafka/topic-admin.ts';
import type { SourceRecord } from '../../src/domain/record.ts';
import { waitFor } from '../support/wait.ts';
import { GroupMember, produce } from './group-member.ts';

const RECORDS = 200;
const TIMEOUT_MS = 30_000;

/** A broker to hold against the suite, with topics and groups that nobody else uses. */
export interface BrokerUnderTest {
  brokers(): string;
  uniqueName(prefix: string): string;
}

/** What ingest and hand-over rely on, whatever broker is behind: one suite for the embedded and the real one. */
export function brokerConformance(broker: BrokerUnderTest): void {
  const open: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const close of open.splice(0).reverse()) await close();
  });

  const producer = async (): Promise<KafkaProducer> => {
    const opened = await openProducer({
      'bootstrap.servers': broker.brokers(),
      'enable.idempotence': true,
      acks: 'all',
    });
    open.push(() => opened.close());
    return opened;
  };
  const member = async (topic: string | readonly string[], group: string): Promise<GroupMember> => {
    const topics = typeof topic === 'string' ? [topic] : topic;
    const opened = await GroupMember.join(broker.brokers(), topics, group);
    open.push(() => opened.leave());
    return opened;
  };

  it('acknowledges each record with its place, and gives back key, value and headers as they were', async () => {
    const topic = broker.uniqueName('bytes');
    const sender = await producer();
    const key = Buffer.from([0, 1, 255]);
    const value = Buffer.from('välue');
    const place = await produce(sender, topic, key, value, [['trace', Buffer.from('a')]]);
    const tombstone = await produce(sender, topic, key, null, []);
    expect(tombstone).toEqual({ partition: place.partition, offset: place.offset + 1 });

    const reader = await member(topic, broker.uniqueName('group'));
    const [first, second] = await reader.read(2);
    expect(first).toMatchObject({ topic, partition: place.partition, offset: place.offset, key, value });
    expect(first?.headers).toEqual([{ trace: Buffer.from('a') }]);
    expect(second?.value).toBeNull();
  });

  it('keeps the order of a partition, and gives a paused one nothing until it is resumed', async () => {
    const topic = broker.uniqueName('order');
    const sender = await producer();
    for (let i = 0; i < RECORDS; i++)
      await produce(sender, topic, Buffer.from('one-key'), Buffer.from(String(i)), []);
    const reader = await member(topic, broker.uniqueName('group'));
    await reader.read(RECORDS);
    expect(reader.records.map((record) => String(record.value))).toEqual(
      Array.from({ length: RECORDS }, (_, i) => String(i)),
    );

    const { partition } = reader.records[0] as SourceRecord;
    reader.consumer.pause([{ topic, partition }]);
    const later = await produce(sender, topic, Buffer.from('one-key'), Buffer.from('later'), []);
    const polls = reader.polls;
    await waitFor(() => reader.polls > polls + 20, {
      timeoutMs: TIMEOUT_MS,
      what: 'polls of a paused partition',
    });
    expect(reader.records).toHaveLength(RECORDS);
    reader.consumer.resume([{ topic, partition }]);
    await reader.read(RECORDS + 1);
    expect(reader.records.at(-1)?.offset).toBe(later.offset);
  });

  it('reads a paused partition from where it was sought, again and again, and loses nothing of it or another', async () => {
    const topic = broker.uniqueName('seek');
    const sender = await producer();
    const values = Array.from({ length: RECORDS }, (_, i) => String(i));
    const sent: Promise<unknown>[] = [];
    for (const value of values) {
      sent.push(produce(sender, topic, Buffer.from('k'), Buffer.from(value), [], 0));
      sent.push(produce(sender, topic, Buffer.from('k'), Buffer.from(value), [], 1));
    }
    await Promise.all(sent);
    const reader = await member(topic, broker.uniqueName('group'));
    const place = { topic, partition: 0 };
    const taken: string[] = [];
    let held = false;
    // A head that is not due, as intake treats it: held, forgotten with all behind it, sought, read again.
    reader.onRecord = (record) => {
      if (record.partition !== 0 || held) return;
      if (taken.length % 8 === 7 && !heads.has(record.offset)) {
        heads.add(record.offset);
        held = true;
        reader.consumer.pause([place]);
        setTimeout(() => {
          reader.consumer.seek({ ...place, offset: record.offset }, (error) => {
            expect(error).toBeNull();
            held = false;
            reader.consumer.resume([place]);
          });
        }, 5);
        return;
      }
      taken.push(String(record.value));
    };
    const heads = new Set<number>();
    await waitFor(() => taken.length >= RECORDS, {
      timeoutMs: TIMEOUT_MS,
      what: () => `the records of the held partition, have ${taken.length}`,
    });
    expect(taken).toEqual(values);
    expect(heads.size).toBeGreaterThan(20);
    const others = reader.records.filter(({ partition }) => partition === 1);
    expect(others.map(({ value }) => String(value))).toEqual(values);
  });

  it('makes the topics that are missing with the partitions of the source, and a group reads all of them', async () => {
    const source = broker.uniqueName('source');
    const prefix = broker.uniqueName('retry');
    const delays = new Map([
      [`${prefix}.1s`, 1_000],
      [`${prefix}.1h`, 3_600_000],
    ]);
    const sender = await producer();
    await produce(sender, source, Buffer.from('k'), Buffer.from('source'), []);
    const admin = new KafkaTopicAdmin(sender, { 'bootstrap.servers': broker.brokers() });
    open.push(() => {
      admin.close();
      return Promise.resolve();
    });
    const wanted = { sources: [`^${source}$`], delays, others: [`${prefix}.dead`] };
    const made = await ensurePipelineTopics(admin, wanted, 2_000_000);
    expect(made.created).toEqual([...delays.keys(), `${prefix}.dead`]);
    const counts = await sender.topics(TIMEOUT_MS);
    expect([...delays.keys()].map((topic) => counts.get(topic))).toEqual([made.partitions, made.partitions]);
    expect(counts.get(source)).toBe(made.partitions);
    expect((await ensurePipelineTopics(admin, wanted, 2_000_000)).created).toEqual([]);

    await produce(sender, `${prefix}.1s`, Buffer.from('k'), Buffer.from('retry'), [], made.partitions - 1);
    const topics = [`^${source}$`, ...delays.keys()];
    const reader = await member(topics, broker.uniqueName('group'));
    await reader.read(2);
    expect(reader.records.map(({ value }) => String(value)).toSorted()).toEqual(['retry', 'source']);
    expect(reader.records.find(({ topic }) => topic !== source)?.partition).toBe(made.partitions - 1);
  });

  it('resumes a group where it committed', async () => {
    const topic = broker.uniqueName('commit');
    const group = broker.uniqueName('group');
    const sender = await producer();
    for (let i = 0; i < 10; i++) await produce(sender, topic, Buffer.from('k'), Buffer.from(String(i)), []);
    const first = await member(topic, group);
    await first.read(10);
    const { partition, offset } = first.records[4] as SourceRecord;
    first.consumer.commit([{ topic, partition, offset }]);
    await waitFor(() => first.committed.includes(offset), { timeoutMs: TIMEOUT_MS, what: 'the commit' });
    await first.leave();

    const second = await member(topic, group);
    await second.read(6);
    expect(second.records.map((record) => record.offset)).toEqual(
      first.records.slice(4).map((record) => record.offset),
    );
  });

  it('moves only a part of the partitions to a member that joins, and all to the one that stays', async () => {
    const topic = broker.uniqueName('group');
    const group = broker.uniqueName('group');
    const sender = await producer();
    await produce(sender, topic, Buffer.from('k'), Buffer.from('v'), []);
    const first = await member(topic, group);
    await waitFor(() => first.owned.size >= 2, { timeoutMs: TIMEOUT_MS, what: 'the first assignment' });
    const all = [...first.owned].sort();
    const second = await member(topic, group);
    await waitFor(() => second.owned.size > 0 && first.owned.size + second.owned.size === all.length, {
      timeoutMs: TIMEOUT_MS,
      what: () => `both to own a part: ${first.owned.size} and ${second.owned.size} of ${all.length}`,
    });
    expect([...first.owned, ...second.owned].sort()).toEqual(all);
    await second.leave();
    await waitFor(() => first.owned.size === all.length, {
      timeoutMs: TIMEOUT_MS,
      what: 'the partitions to come back',
    });
  });
}
