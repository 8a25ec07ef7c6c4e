import { afterEach, expect, it } from 'vitest';
import type { SourceRecord } from '../../src/domain/record.ts';
import { PartitionReader } from '../../src/kafka/partition-reader.ts';
import { openProducer, type KafkaProducer } from '../../src/kafka/producer.ts';
import { waitFor } from '../support/wait.ts';
import type { BrokerUnderTest } from './broker.suite.ts';
import { GroupMember, produce } from './group-member.ts';

const RECORDS = 50;
const TIMEOUT_MS = 30_000;

/** What a pipeline relies on where its delay topics are read by a reader of their own, whatever broker is behind. */
export function pipelineReaderConformance(broker: BrokerUnderTest): void {
  const open: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const close of open.splice(0).reverse()) await close();
  });

  /** A source and a delay topic with as many records each on every partition, the offset as their value. */
  const scene = async (): Promise<Scene> => {
    const sender = await openProducer({ 'bootstrap.servers': broker.brokers(), 'enable.idempotence': true });
    open.push(() => sender.close());
    const source = broker.uniqueName('source');
    const delay = broker.uniqueName('delay');
    await Promise.all([send(sender, source), send(sender, delay)]);
    const group = broker.uniqueName('group');
    const join = async (): Promise<GroupMember> => {
      const member = await GroupMember.join(broker.brokers(), [source, delay], group, [delay]);
      open.push(() => member.leave());
      return member;
    };
    return { sender, source, delay, join };
  };

  it('reads each record of a source and of a delay topic once, in order', async () => {
    const { source, delay, join } = await scene();
    const member = await join();
    await member.read(4 * RECORDS);
    for (const topic of [source, delay]) {
      for (const partition of [0, 1]) expect(offsetsOf(member, topic, partition)).toEqual(upTo(RECORDS));
    }
    expect(member.errors).toEqual([]);
    const { reader } = member;
    expect([reader.highWatermark(source, 0), reader.highWatermark(delay, 1)]).toEqual([RECORDS, RECORDS]);
  });

  it('gives nothing of a paused partition of a delay topic, and all others go on', async () => {
    const { sender, source, delay, join } = await scene();
    const member = await join();
    await member.read(4 * RECORDS);
    member.reader.pause([{ topic: delay, partition: 0 }]);
    await Promise.all([send(sender, source, 1), send(sender, delay, 1)]);
    await member.read(4 * RECORDS + 3);
    const { polls } = member;
    await waitFor(() => member.polls > polls + 20, { timeoutMs: TIMEOUT_MS, what: 'polls beside a pause' });
    expect(member.records).toHaveLength(4 * RECORDS + 3);
    member.reader.resume([{ topic: delay, partition: 0 }]);
    await member.read(4 * RECORDS + 4);
    expect(offsetsOf(member, delay, 0)).toEqual(upTo(RECORDS + 1));
  });

  it('reads a delay topic again from where it was sought', async () => {
    const { delay, join } = await scene();
    const member = await join();
    await member.read(4 * RECORDS);
    const place = { topic: delay, partition: 1 };
    member.reader.pause([place]);
    const sought = await new Promise((resolve) => {
      member.reader.seek({ ...place, offset: 40 }, resolve);
    });
    member.reader.resume([place]);
    await member.read(4 * RECORDS + 10);
    expect(sought).toBeNull();
    expect(offsetsOf(member, delay, 1)).toEqual([...upTo(RECORDS), ...upTo(RECORDS).slice(40)]);
  });

  it('begins a delay topic where its member has committed it', async () => {
    const { source, delay, join } = await scene();
    const first = await join();
    await first.read(4 * RECORDS);
    first.consumer.commit([
      { topic: delay, partition: 0, offset: 30 },
      { topic: delay, partition: 1, offset: RECORDS },
      { topic: source, partition: 0, offset: RECORDS },
      { topic: source, partition: 1, offset: RECORDS - 1 },
    ]);
    await waitFor(() => first.committed.length === 4, { timeoutMs: TIMEOUT_MS, what: 'the commits' });
    await first.leave();
    const second = await join();
    await second.read(21);
    expect(offsetsOf(second, delay, 0)).toEqual(upTo(RECORDS).slice(30));
    expect(offsetsOf(second, source, 1)).toEqual([RECORDS - 1]);
  });

  it('takes on what it has, and gives up what it has not, without harm', async () => {
    const { delay } = await scene();
    const reader = await PartitionReader.open(
      { 'bootstrap.servers': broker.brokers(), 'group.id': broker.uniqueName('group') },
      () => undefined,
    );
    open.push(() => reader.close(TIMEOUT_MS));
    const both = [0, 1].map((partition) => ({ topic: delay, partition }));
    reader.remove(both);
    reader.add(both.slice(0, 1));
    reader.add(both);
    reader.remove(both.slice(1));
    reader.remove(both.slice(1));
    const records: SourceRecord[] = [];
    const poll = (): Promise<void> =>
      new Promise((resolve) => {
        reader.poll(100, (_error, polled) => {
          records.push(...polled);
          resolve();
        });
      });
    while (offsetsOf({ records }, delay, 0).length < RECORDS) await poll();
    expect(offsetsOf({ records }, delay, 0)).toEqual(upTo(RECORDS));
  });

  it('reads what comes back from a member that left, of sources and of delay topics', async () => {
    const { sender, source, delay, join } = await scene();
    const first = await join();
    await first.read(4 * RECORDS);
    const second = await join();
    await waitFor(() => second.owned.size > 0, { timeoutMs: TIMEOUT_MS, what: 'a part for the second' });
    const moved = [...second.owned][0]!;
    const has = (member: GroupMember, topic: string, value: string): boolean =>
      member.records.some(
        (one) => one.topic === topic && one.partition === moved && String(one.value) === value,
      );
    const arrives = async (member: GroupMember, value: string): Promise<void> => {
      for (const topic of [source, delay]) {
        await produce(sender, topic, Buffer.from('k'), Buffer.from(value), [], moved);
      }
      await waitFor(() => has(member, source, value) && has(member, delay, value), {
        timeoutMs: TIMEOUT_MS,
        what: `${value} in both topics`,
      });
    };
    await arrives(second, 'moved');
    expect([has(first, source, 'moved'), has(first, delay, 'moved')]).toEqual([false, false]);
    await second.leave();
    await arrives(first, 'back');
  });
}

interface Scene {
  readonly sender: KafkaProducer;
  readonly source: string;
  readonly delay: string;
  join(): Promise<GroupMember>;
}

async function send(sender: KafkaProducer, topic: string, records = RECORDS): Promise<void> {
  const sent: Promise<unknown>[] = [];
  for (let i = 0; i < records; i++) {
    for (const partition of [0, 1]) {
      sent.push(produce(sender, topic, Buffer.from('k'), Buffer.from(String(i)), [], partition));
    }
  }
  await Promise.all(sent);
}

function offsetsOf(
  { records }: { readonly records: readonly SourceRecord[] },
  topic: string,
  partition: number,
): number[] {
  return records
    .filter((one) => one.topic === topic && one.partition === partition)
    .map(({ offset }) => offset);
}

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}
