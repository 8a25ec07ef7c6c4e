/**
 * Fault K8: records are deleted before the group has read them. The dispatcher stops and says so, and skips nothing in
 * silence; told to skip, it says that, and delivers what is left.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';

import { produceSamples, type ProducedEvent } from '../support/samples.ts';
import { describeWithKafka } from '../support/with-real-parts.ts';
import { Scenario } from './scenario.ts';
import { failToStart } from './start-failure.ts';

const READ = 200;
const UNREAD = 200;
const PARTITIONS = 2;
const STOP_DEADLINE_MS = 60_000;

describeWithKafka('K8: records that nobody has read are deleted', (kafka) => {
  let scenario: Scenario;
  let late: ProducedEvent[];
  let oldest: number[];

  beforeAll(async () => {
    scenario = await Scenario.open({ kafka, partitions: PARTITIONS, destinations: { crm: {} } });
    const dispatcher = await scenario.startDispatcher();
    await produce(READ);
    await scenario.settled();
    await dispatcher.stop();
    late = await produce(UNREAD);
    const committed = await kafka.committedOffsets(scenario.group, scenario.topic);
    // Of what is unread the older half of each partition.
    const ends = await kafka.endOffsets(scenario.topic);
    oldest = ends.map((end, partition) => Math.ceil((end + committed[partition]!) / 2));
    await kafka.deleteRecords(scenario.topic, new Map(oldest.entries()));
  });
  afterAll(() => scenario.close());

  it('stops with one line per partition, exit code 1, and sends nothing', async () => {
    const { code, output } = await failToStart(scenario.configuration(), STOP_DEADLINE_MS);
    expect(code).toBe(1);
    expect(output).toContain(`of ${scenario.topic}[0], which begins at ${oldest[0]} now`);
    expect(output).toContain('kafka.lostRecords');
    expect(await scenario.receiver.count('crm')).toBe(READ);
  });

  it('told to skip, says so and delivers what is left', async () => {
    const dispatcher = await scenario.startDispatcher({ kafka: { lostRecords: 'skip' } });
    await scenario.settled();
    expect(dispatcher.child.output()).toContain('"event":"records_skipped"');
    const left = late.filter(({ partition, offset }) => offset >= oldest[partition]!);
    const received = new Set((await scenario.receiver.requests('crm')).map(({ webhookId }) => webhookId));
    expect(left.length).toBeGreaterThan(0);
    expect([...scenario.expectedIds(left, 'crm')].filter((id) => !received.has(id))).toEqual([]);
    expect(received.size).toBe(READ + left.length);
    expect(await dispatcher.stop()).toEqual({ code: 0, signal: null });
  });

  function produce(count: number): Promise<ProducedEvent[]> {
    return produceSamples({ brokers: kafka.brokers, topic: scenario.topic, count, tenants: 10 });
  }
});
