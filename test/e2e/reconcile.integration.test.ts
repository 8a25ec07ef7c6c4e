/**
 * `eventdispatch reconcile` beside a running dispatcher, on a real Kafka with gaps that it explains (a transaction's
 * markers, deleted records): everything that was read is accounted for, retries are found where they wait, and what is
 * then taken out of the ledger, or written into it twice, is told by its place.
 */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import kafkaClient from 'node-rdkafka';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';

import { runProgram } from '../../src/cli/program.ts';
import type { ListedRecord, ReconcileTotals } from '../../src/reconcile/report.ts';
import type { Sample } from '../../src/samples/generator.ts';
import type { DispatcherProcess } from '../support/dispatcher.ts';
import { temporaryDirectory, type TemporaryDirectory } from '../support/temp.ts';
import { waitFor } from '../support/wait.ts';
import { describeWithKafka } from '../support/with-real-parts.ts';
import { sampleRecords } from './sample-records.ts';
import { Scenario } from './scenario.ts';
import { Sender } from './sender.ts';

const PARTITIONS = 2;
const EVENTS = 400;
const WAITING = 30;
const TRANSACTIONS = 5;
const DELETED = 40;
const TIMEOUT_MS = 30_000;

interface Reconciled {
  readonly code: number;
  readonly err: string;
  readonly isWhole: boolean;
  readonly totals: ReconcileTotals;
  readonly missing: readonly ListedRecord[];
  readonly duplicated: readonly ListedRecord[];
  readonly gaps: readonly { partition: number; from: number; end: number; kind: string }[];
}

describeWithKafka('reconcile', (kafka) => {
  let scenario: Scenario;
  let dispatcher: DispatcherProcess;
  let folder: TemporaryDirectory;
  let configFile: string;
  let seed = 0;

  beforeAll(async () => {
    folder = await temporaryDirectory('reconcile');
    scenario = await Scenario.open({
      kafka,
      partitions: PARTITIONS,
      destinations: {
        crm: {},
        // Never answers in time to end within this test: each delivery waits in a delay topic.
        down: {
          behaviour: { status: 503 },
          settings: {
            events: ['contact.deleted'],
            breaker: 'off',
            retry: { maxAttempts: 9, schedule: ['10s'] },
          },
        },
      },
      config: { kafka: { commitInterval: '100ms' } },
    });
    configFile = path.join(folder.path, 'eventdispatch.yaml');
    await writeFile(configFile, JSON.stringify(scenario.configuration()));
    dispatcher = await scenario.startDispatcher();
    // A marker at the end of a partition would be read by nobody, and so never committed.
    await sendInTransactions();
    await send(EVENTS, 'contact.created');
    await scenario.sourceSettled();
  });
  afterAll(async () => {
    await scenario.close();
    await folder.remove();
  });

  it('finds all of it complete, and names the offsets of transaction markers as gaps', async () => {
    const { code, totals, gaps, isWhole } = await reconcile();
    expect(totals).toMatchObject({ records: EVENTS + TRANSACTIONS, complete: EVENTS + TRANSACTIONS });
    expect(totals.gaps).toEqual({ retention: 0, no_record: TRANSACTIONS });
    expect(gaps.every(({ kind, from, end }) => kind === 'no_record' && end > from)).toBe(true);
    expect({ code, isWhole }).toEqual({ code: 0, isWhole: true });
  });

  it('takes offsets and times as bounds', async () => {
    const { totals } = await reconcile('--partition', '0', '--from', '10', '--to', '15');
    expect(totals.records).toBe(5);
    expect((await reconcile('--from', '2h')).totals.records).toBe(EVENTS + TRANSACTIONS);
    expect((await reconcile('--to', '2h')).totals.records).toBe(0);
  });

  it('finds retries in the delay topic where they wait', async () => {
    await send(WAITING, 'contact.deleted');
    await scenario.sourceSettled();
    const { code, totals } = await reconcile();
    expect(totals.pending).toMatchObject({ delay_topic: WAITING });
    expect(totals.complete).toBe(EVENTS + TRANSACTIONS);
    expect(code).toBe(0);
  });

  it('has what nobody has read yet as pending, not as missing', async () => {
    await dispatcher.kill();
    await send(50, 'contact.created');
    const { code, totals } = await reconcile();
    expect(totals.pending).toMatchObject({ uncommitted: 50, delay_topic: WAITING });
    expect(code).toBe(0);
  });

  it('tells of records that Kafka no longer has what the ledger knows, and of others that they are gone', async () => {
    await kafka.deleteRecords(scenario.topic, new Map([[0, DELETED]]));
    const { totals } = await reconcile('--partition', '0', '--from', '0', '--to', String(DELETED));
    expect(totals.completeAndGone).toBe(totals.complete);
    expect(totals.complete + totals.gaps.retention).toBe(DELETED);
  });

  it('names a record that is committed and not in the ledger, and a delivery that came twice', async () => {
    const [twice, lost] = await someOffsets();
    await change(
      `INSERT INTO attempts SELECT * REPLACE('another' AS instance) FROM attempts
       WHERE topic = '${scenario.topic}' AND partition = 1 AND offset = ${twice} AND destination_id = 'crm'`,
    );
    await change(
      `ALTER TABLE attempts DELETE WHERE topic = '${scenario.topic}' AND partition = 1 AND offset = ${lost}
       SETTINGS mutations_sync = 1`,
    );
    const { code, missing, duplicated } = await reconcile();
    expect(missing).toMatchObject([{ partition: 1, offset: lost, what: 'no_row' }]);
    expect(duplicated).toMatchObject([
      { partition: 1, offset: twice, what: 'owner_change', destinationId: 'crm' },
    ]);
    expect(code).toBe(3);
  });

  it('calls a topic that is not there by its name', async () => {
    const { code, err } = await reconcile('--topic', 'not-there');
    expect(err).toContain('--topic not-there: there is no such topic');
    expect(code).toBe(2);
  });

  async function reconcile(...args: string[]): Promise<Reconciled> {
    let out = '';
    let err = '';
    vi.spyOn(console, 'log').mockImplementation((line) => (out += `${line}\n`));
    vi.spyOn(console, 'error').mockImplementation((line) => (err += `${line}\n`));
    const code = await runProgram(
      [
        'node',
        'eventdispatch',
        'reconcile',
        '--config',
        configFile,
        '--topic',
        scenario.topic,
        '--json',
        ...args,
      ],
      {},
    );
    vi.restoreAllMocks();
    return { ...(JSON.parse(out || '{}') as Reconciled), code, err };
  }

  async function send(count: number, type: string): Promise<void> {
    const sender = await Sender.open(kafka.brokers);
    await sender.send(
      scenario.topic,
      samples(count, type).map(({ key, value }, i) => ({ partition: i % PARTITIONS, key, value })),
    );
    await sender.close();
  }

  function samples(count: number, type: string): Sample[] {
    return sampleRecords({ count, tenants: 5, types: [type], seed: ++seed });
  }

  /** One record each, all to partition 1; each leaves its marker behind it. */
  async function sendInTransactions(): Promise<void> {
    const producer = new kafkaClient.Producer({
      'bootstrap.servers': kafka.brokers,
      'transactional.id': kafka.uniqueName('transactions'),
    });
    await new Promise<void>((resolve, reject) => {
      producer.connect({}, (error: kafkaClient.LibrdKafkaError | null) => {
        if (error === null) resolve();
        else reject(new Error(error.message));
      });
    });
    await done((callback) => producer.initTransactions(TIMEOUT_MS, callback));
    for (const { key, value } of samples(TRANSACTIONS, 'contact.created')) {
      await done((callback) => producer.beginTransaction(callback));
      producer.produce(scenario.topic, 1, value, key);
      await done((callback) => producer.commitTransaction(TIMEOUT_MS, callback));
    }
    await new Promise<void>((resolve) => {
      producer.disconnect(() => {
        resolve();
      });
    });
  }

  /** Two offsets of partition 1 that are delivered and nothing else. */
  async function someOffsets(): Promise<[number, number]> {
    const rows = await scenario.ledger.query<{ offset: number }>(
      `SELECT offset FROM attempts WHERE topic = {topic:String} AND partition = 1 AND event_type = 'contact.created'
       ORDER BY offset LIMIT 2`,
      { topic: scenario.topic },
    );
    return [rows[0]!.offset, rows[1]!.offset];
  }

  async function change(statement: string): Promise<void> {
    const answer = await fetch(`${scenario.owner.url}/?database=eventdispatch`, {
      method: 'POST',
      body: statement,
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(text);
    await waitFor(() => scenario.ledger.ping().then(() => true), { timeoutMs: 5_000, what: 'the ledger' });
  }
});

function done(run: (callback: (error: kafkaClient.LibrdKafkaError) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    run((error) => {
      // Given as undefined when all went well, which its types do not say.
      if (error as unknown) reject(new Error(error.message));
      else resolve();
    });
  });
}
