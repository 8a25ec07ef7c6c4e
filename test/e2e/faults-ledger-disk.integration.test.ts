/**
 * Faults C5 and C6: the disk under ClickHouse is full, and an embedded ClickHouse dies by kill -9. Rows that it had
 * acknowledged stay, and all others come in later, each once.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';

import { startDispatcherProcess, type DispatcherProcess } from '../support/dispatcher.ts';
import { openTestLedger } from '../support/ledger.ts';
import { produceSamples, type ProducedEvent } from '../support/samples.ts';
import { temporaryDirectory, type TemporaryDirectory } from '../support/temp.ts';
import { waitFor } from '../support/wait.ts';
import { describeWithKafka } from '../support/with-real-parts.ts';
import { Scenario } from './scenario.ts';

const PARTITIONS = 4;
const TENANTS = 10;
const TIMEOUT_MS = 60_000;

describeWithKafka('C5: the disk under ClickHouse is full', (kafka) => {
  const EVENTS = 500;
  /** Of this ClickHouse keeps nothing free, and one insert takes a megabyte of it for a moment. */
  const DISK_BYTES = 64 * 1024 * 1024;
  let scenario: Scenario;
  const events: ProducedEvent[] = [];
  let output: string;
  const rows = { before: 0, whenFull: 0 };

  beforeAll(async () => {
    scenario = await Scenario.open({
      kafka,
      partitions: PARTITIONS,
      destinations: { crm: {} },
      ledger: { diskBytes: DISK_BYTES },
    });
    const dispatcher = await scenario.startDispatcher();
    const { child } = dispatcher;
    events.push(...(await produce(kafka.brokers, scenario.topic, EVENTS, 1)));
    await scenario.settled();
    rows.before = await attemptRows(scenario);
    await scenario.owner.fillDisk();
    events.push(...(await produce(kafka.brokers, scenario.topic, EVENTS, 2)));
    await scenario.arrived('crm', 2 * EVENTS);
    await child.waitForLine(/"event":"ledger_(insert_failed|refused|overflow_started)"/, TIMEOUT_MS);
    rows.whenFull = await attemptRows(scenario);
    await scenario.owner.freeDisk();
    await scenario.settled();
    await waitFor(async () => (await attemptRows(scenario)) >= 2 * EVENTS, {
      timeoutMs: TIMEOUT_MS,
      intervalMs: 100,
      what: () => `all rows in the ledger\n${child.output()}`,
    });
    output = child.output();
    await dispatcher.stop();
  });
  afterAll(() => scenario.close());

  it('is refused as what passes by itself, and deliveries go on', () => {
    expect(output).toContain('ClickHouse error 243 (NOT_ENOUGH_SPACE)');
    expect(output).not.toContain('"event":"ledger_refused"');
  });

  it('keeps the rows that were acknowledged', () => {
    expect(rows).toEqual({ before: EVENTS, whenFull: EVENTS });
  });

  it('has every delivery once when there is room again', async () => {
    const deliveries = await scenario.ledgerDeliveries('crm');
    expect(new Set(deliveries.keys())).toEqual(scenario.expectedIds(events, 'crm'));
    expect([...deliveries.values()].filter(({ attempts, delivered }) => attempts * delivered !== 1)).toEqual(
      [],
    );
  });
});

describeWithKafka('C6: a dispatcher with an embedded ClickHouse dies by kill -9', (kafka) => {
  const EVENTS = 6_000;
  const KILLS = 2;
  let scenario: Scenario;
  let folder: TemporaryDirectory;
  let dispatcher: DispatcherProcess;
  let events: readonly ProducedEvent[];
  /** After each kill: records that were committed, and those of them that the ledger does not have. */
  const afterKill: { committed: number; lacking: readonly string[] }[] = [];
  let delivered: ReadonlySet<string>;

  beforeAll(async () => {
    folder = await temporaryDirectory('embedded');
    scenario = await Scenario.open({
      kafka,
      partitions: PARTITIONS,
      destinations: { crm: { behaviour: { delayMs: 5 }, settings: { maxInFlight: 16 } } },
    });
    events = await produce(kafka.brokers, scenario.topic, EVENTS, 1);
    dispatcher = await start();
    for (let kill = 1; kill <= KILLS; kill++) {
      const before = await committedRecords();
      await scenario.arrived('crm', (await scenario.receiver.count('crm')) + EVENTS / 5);
      await waitFor(async () => (await committedRecords()) > before, {
        timeoutMs: TIMEOUT_MS,
        what: 'a commit',
      });
      await dispatcher.kill();
      afterKill.push(await heldAgainstCommits());
      dispatcher = await start();
    }
    await scenario.settled();
    await dispatcher.stop();
    delivered = await ask(`SELECT delivery_id AS text FROM attempts WHERE outcome = 'delivered'`);
  });
  afterAll(async () => {
    if (dispatcher.child.isRunning()) await dispatcher.kill();
    await scenario.close();
    await folder.remove();
  });

  it('lost no row that it had acknowledged: what was committed is in the ledger', () => {
    expect(afterKill.map(({ lacking }) => lacking)).toEqual(afterKill.map(() => []));
    expect(afterKill.at(-1)?.committed).toBeGreaterThan(0);
  });

  it('has every delivery in the end', () => {
    expect(delivered).toEqual(scenario.expectedIds(events, 'crm'));
  });

  function start(): Promise<DispatcherProcess> {
    return startDispatcherProcess({
      ...scenario.configuration(),
      clickhouse: { embeddedPath: folder.path },
    });
  }

  async function heldAgainstCommits(): Promise<(typeof afterKill)[number]> {
    const held = await ask(`SELECT concat(partition, '/', offset) AS text FROM attempts`);
    const ends = await kafka.committedOffsets(scenario.group, scenario.topic);
    const committed = events
      .filter(({ partition, offset }) => offset < (ends[partition] ?? 0))
      .map(({ partition, offset }) => `${partition}/${offset}`);
    return { committed: committed.length, lacking: committed.filter((place) => !held.has(place)) };
  }

  async function committedRecords(): Promise<number> {
    const ends = await kafka.committedOffsets(scenario.group, scenario.topic);
    return events.filter(({ partition, offset }) => offset < (ends[partition] ?? 0)).length;
  }

  /** While no dispatcher has it open. */
  async function ask(sql: string): Promise<Set<string>> {
    const ledger = await openTestLedger({ embeddedPath: folder.path });
    try {
      return new Set((await ledger.query<{ text: string }>(sql)).map(({ text }) => text));
    } finally {
      await ledger.close();
    }
  }
});

function produce(brokers: string, topic: string, count: number, seed: number): Promise<ProducedEvent[]> {
  return produceSamples({ brokers, topic, count, tenants: TENANTS, seed });
}

async function attemptRows({ ledger }: Scenario): Promise<number> {
  const [row] = await ledger.query<{ rows: number }>('SELECT count() AS rows FROM attempts');
  return Number(row?.rows);
}
