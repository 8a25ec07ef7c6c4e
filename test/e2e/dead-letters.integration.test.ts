/**
 * `eventdispatch dead` on a real Kafka and a ledger: what is on the dead-letter topic is listed and shown, redriven
 * once as the same delivery, dropped, and told by state afterwards; the records stay where they are.
 */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';

import { runProgram } from '../../src/cli/program.ts';
import type { RecordHeader } from '../../src/domain/record.ts';
import type { Ledger } from '../../src/ledger/client.ts';
import { decodeRetryHeaders } from '../../src/retry/retry-headers.ts';
import { startClickHouseOwner, type ClickHouseOwner } from '../support/clickhouse-owner.ts';
import { temporaryDirectory, type TemporaryDirectory } from '../support/temp.ts';
import { describeWithKafka } from '../support/with-real-parts.ts';
import { Sender } from './sender.ts';
import { readTopic } from './topic-records.ts';
import { migratedLedger } from '../support/ledger.ts';

const PARTITIONS = 3;
const LETTERS = 30;
/** Delivery 29 died twice on paper: a crash had its dead letter written again. */
const TWIN = 29;

interface Result {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

interface Listed {
  readonly total: number;
  readonly reasons: Record<string, number>;
  readonly deadLetters: readonly { place: string; deliveryId: string; state: string; kind: string }[];
}

describeWithKafka('dead letters', (kafka) => {
  let folder: TemporaryDirectory;
  let owner: ClickHouseOwner;
  let ledger: Ledger;
  let configFile: string;
  const topic = kafka.uniqueName('dead');
  const prefix = kafka.uniqueName('retry');
  const delayTopic = `${prefix}.1s`;

  beforeAll(async () => {
    folder = await temporaryDirectory('dead-letters');
    owner = await startClickHouseOwner();
    ledger = await migratedLedger({ url: owner.url });
    configFile = path.join(folder.path, 'eventdispatch.yaml');
    await configure(prefix);
    await kafka.createTopics([
      { name: topic, partitions: PARTITIONS },
      { name: delayTopic, partitions: PARTITIONS },
    ]);
    const sender = await Sender.open(kafka.brokers);
    for (let i = 0; i <= LETTERS; i++) await sender.send(topic, [letterNumber(i)]);
    await sender.close();
  });
  afterAll(async () => {
    await ledger.close();
    await owner.stop();
    await folder.remove();
  });

  async function configure(topicPrefix: string): Promise<void> {
    const config = {
      kafka: { brokers: kafka.brokers, groupId: `${topic}-group`, deadLetterTopic: topic },
      retry: { topicPrefix },
      clickhouse: { url: owner.url },
      destinations: ['crm', 'erp'].map((id) => ({ id, tenant: '*', url: 'https://hooks.example.com/in' })),
    };
    await writeFile(configFile, JSON.stringify(config));
  }

  /** 10 for each kind, one in two for `crm`; the last one is a twin. */
  function letterNumber(i: number) {
    const number = i === LETTERS ? TWIN : i;
    const [reason, status] = [
      ['http_503', 503],
      ['http_404', 404],
      ['worker_crash', 0],
    ][number % 3] as [string, number];
    const ours: Record<string, string | number> = {
      outcome: status === 404 ? 'rejected' : 'dead',
      reason,
      status,
      attempts: 5,
      tenant: `tenant-${number % 5}`,
      'event-id': `evt-${number}`,
      'event-type': 'contact.created',
      'delivery-id': `dlv_${number}`,
      'destination-id': number % 2 === 0 ? 'crm' : 'erp',
      'source-topic': 'events',
      'source-partition': (number + 1) % PARTITIONS,
      'source-offset': number,
      'source-timestamp': 1_700_000_000_000,
    };
    return {
      partition: number % PARTITIONS,
      key: Buffer.from(`key-${number}`),
      value: Buffer.from(`value-${number}`),
      headers: [
        ['trace', Buffer.from('\u001b[2J')] as RecordHeader,
        ...Object.entries(ours).map(([name, value]): RecordHeader => [
          `eventdispatch-${name}`,
          Buffer.from(String(value)),
        ]),
      ],
    };
  }

  async function dead(...args: string[]): Promise<Result> {
    let out = '';
    let err = '';
    const said = vi.spyOn(console, 'log').mockImplementation((line) => void (out += `${line}\n`));
    const wrong = vi.spyOn(console, 'error').mockImplementation((line) => void (err += `${line}\n`));
    try {
      const code = await runProgram(['node', 'eventdispatch', 'dead', ...args, '--config', configFile], {});
      return { code, out, err };
    } finally {
      said.mockRestore();
      wrong.mockRestore();
    }
  }

  async function listed(...args: string[]): Promise<Listed> {
    const { code, out, err } = await dead('list', '--json', ...args);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    return JSON.parse(out) as Listed;
  }

  it('are listed, the newest last, with the counts by reason', async () => {
    const { code, out } = await dead('list', '--limit', '4');
    expect(code).toBe(0);
    const rows = out.split('\n').filter((line) => line.includes('contact.created'));
    expect(rows).toHaveLength(4);
    expect(rows.at(-1)).toMatch(/2:10 .*tenant-4 .*erp .*contact\.created .*pipeline .*worker_crash .*5/);
    expect(out).toMatch(
      /\n31 dead letters match, the newest 4 shown: worker_crash 11, http_404 10, http_503 10\n$/,
    );
  });

  it('are chosen by what is known of them', async () => {
    expect((await listed('--kind', 'refused')).reasons).toEqual({ http_404: 10 });
    expect((await listed('--status', '5xx', '--destination', 'crm')).total).toBe(5);
    expect((await listed('--tenant', 'nobody')).deadLetters).toEqual([]);
    expect((await listed('--since', '1h', '--type', 'contact.*')).total).toBe(LETTERS + 1);
    expect((await listed('--until', '1h')).total).toBe(0);
  });

  it('one is shown whole, its control characters spelled out', async () => {
    const { code, out } = await dead('show', '0:1');
    expect(code).toBe(0);
    expect(out).toMatch(/^dead letter 0:1, open, died 20/);
    expect(out).toContain('delivery     dlv_3 of event evt-3 (contact.created)');
    expect(out).toContain('  eventdispatch-source-offset: 3\n');
    expect(out).toContain('  trace: \\u001b[2J\n');
    expect(out).toContain('attempts: the ledger has none');
    expect(out).toContain('76 61 6c 75 65 2d 33');
  });

  it('one that is not there is told in one line', async () => {
    const { code, err } = await dead('show', '0:999');
    expect(code).toBe(2);
    expect(err).toBe(`error: 0:999: no dead letter there; partition 0 of ${topic} holds 0 to 9\n`);
    expect((await dead('redrive', '7:0', '--yes')).err).toBe(`error: 7:0: ${topic} has 3 partitions\n`);
  });

  it('are not redriven without a terminal to ask, or --yes', async () => {
    const { code, out, err } = await dead('redrive', '--kind', 'endpoint');
    expect(code).toBe(2);
    expect(out).toContain('http_503');
    expect(err).toMatch(/^error: Redrive 10 dead letters\? Nothing was done: .*--yes\n$/);
    expect(await readTopic(kafka, delayTopic)).toEqual([]);
  });

  it('are redriven once, to the partition number of their source, as the same delivery', async () => {
    const first = await dead('redrive', '--kind', 'pipeline', '--yes', '--rate', '1000/s');
    expect(first).toMatchObject({ code: 0, err: '' });
    expect(first.out).toMatch(/\n11 dead letters redriven: 10 deliveries handed over\n$/);
    const second = await dead('redrive', '--kind', 'pipeline', '--yes');
    expect(second).toEqual({ code: 0, out: 'nothing to redrive: no open dead letter matches\n', err: '' });

    const retries = await readTopic(kafka, delayTopic);
    const facts = retries.map((record) => {
      const headers = (record.headers ?? []).flatMap((header) => Object.entries(header) as RecordHeader[]);
      return {
        ...(decodeRetryHeaders(headers) as { deliveryId: string; sourceOffset: number }),
        record,
        headers,
      };
    });
    expect(facts.map(({ deliveryId }) => deliveryId).sort()).toEqual(
      Array.from({ length: 10 }, (_, i) => `dlv_${i * 3 + 2}`).sort(),
    );
    for (const { sourceOffset: number, record, headers } of facts) {
      expect(record.partition).toBe((number + 1) % PARTITIONS);
      expect([String(record.key), String(record.value)]).toEqual([`key-${number}`, `value-${number}`]);
      expect(headers[0]).toEqual(['trace', Buffer.from('\u001b[2J')]);
    }
    expect(facts[0]).toMatchObject({ attempts: 0, reason: 'worker_crash', status: 0 });
  });

  it('that were redriven are listed no more, but with --all', async () => {
    expect((await listed()).reasons).toEqual({ http_404: 10, http_503: 10 });
    const all = await listed('--all', '--kind', 'pipeline');
    expect(all.deadLetters.map(({ state }) => state)).toEqual(Array(11).fill('redriven'));
    expect((await dead('redrive', '2:0', '--yes')).out).toMatch(
      /^left out: 1 dead letter of those named, redriven/,
    );
  });

  it('are dropped by name, and only those', async () => {
    const { code, out } = await dead('drop', '1:0', '1:2', '--yes');
    expect(code).toBe(0);
    expect(out).toMatch(/\n2 dead letters dropped\n$/);
    expect((await listed()).total).toBe(18);
    const rows = await ledger.query(
      `SELECT outcome, is_final AS isFinal, attempt, retry_topic AS topic, count() AS rows,
         uniqExact(retry_partition, retry_offset) AS places
       FROM attempts GROUP BY ALL ORDER BY outcome`,
    );
    expect(rows).toEqual([
      { outcome: 'dropped', isFinal: true, attempt: 0, topic, rows: 2, places: 2 },
      { outcome: 'redriven', isFinal: false, attempt: 0, topic, rows: 11, places: 11 },
    ]);
    expect((await dead('show', '1:2')).out).toMatch(/^dead letter 1:2, dropped, .*[^]*dropped .*http_404/);
  });

  it('stay on their topic, all of them', async () => {
    expect(await readTopic(kafka, topic)).toHaveLength(LETTERS + 1);
  });

  it('wait while there is no delay topic to redrive to', async () => {
    await configure(`${prefix}.none`);
    const { code, err } = await dead('redrive', '--yes');
    expect(code).toBe(2);
    expect(err).toMatch(/^error: delay topic .*\.none\.1s is not there: a dispatcher that starts .*\n$/);
  });
});
