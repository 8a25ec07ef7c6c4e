import { readFileSync } from 'node:fs';
import path from 'node:path';

import Table from 'cli-table3';

import { recoverDeliveries } from '../src/app/recovery.ts';
import { boundValues } from '../src/cli/query/parameters.ts';
import { systemClock } from '../src/domain/clock.ts';
import type { Ledger } from '../src/ledger/client.ts';
import { parseNamedQuery, type NamedQuery } from '../src/ledger/named-query.ts';
import { deliveryHistory, type LedgerReader } from '../src/ledger/queries.ts';
import { repositoryRoot } from '../test/support/repository.ts';
import { openTestLedger } from '../test/support/ledger.ts';

export interface LedgerBenchOptions {
  readonly rows: number;
  /** How often each question is asked. */
  readonly times: number;
}

interface Question {
  readonly name: string;
  readonly boundMs: number;
  /** @returns how many rows came back. */
  readonly ask: (ledger: LedgerReader) => Promise<number>;
}

export interface QuestionFigures {
  readonly name: string;
  readonly boundMs: number;
  readonly medianMs: number;
  readonly slowestMs: number;
  readonly answerRows: number;
  readonly explain: readonly string[];
}

export interface LedgerFigures {
  readonly rows: number;
  readonly fillSeconds: number;
  readonly bytesPerRow: number;
  readonly questions: readonly QuestionFigures[];
}

const CHUNK_ROWS = 1_000_000;
const DAYS = 30;
const PARTITIONS = 12;
const TOPIC = 'events';
const DELAY_TOPIC = 'eventdispatch.retry.30s';
/** Three deliveries an event. */
const ROWS_PER_EVENT = 3;
/** What a crash leaves at most of one partition: a window of records. */
const WINDOW_RECORDS = 16_384;

/**
 * Fills a ledger and asks it what support, an analyst and a process that takes over a
 * partition ask. Every part is merged first: that is the state in which a read by offset
 * has least to go by.
 */
export async function benchLedger(
  { rows, times }: LedgerBenchOptions,
  say: (line: string) => void,
): Promise<LedgerFigures> {
  const ledger = await openTestLedger({ requestTimeoutMs: 600_000 });
  try {
    await ledger.migrate();
    const startedMs = performance.now();
    for (let from = 0; from < rows; from += CHUNK_ROWS) {
      await fill(ledger, from, Math.min(rows, from + CHUNK_ROWS), rows);
      say(`${Math.min(rows, from + CHUNK_ROWS)} rows`);
    }
    const fillSeconds = (performance.now() - startedMs) / 1000;
    await ledger.query('OPTIMIZE TABLE attempts FINAL');
    say('merged');
    const [size] = await ledger.query<{ bytes: number }>(
      `SELECT sum(bytes_on_disk) AS bytes FROM system.parts
       WHERE active AND database = currentDatabase() AND table = 'attempts'`,
    );
    const questions: QuestionFigures[] = [];
    for (const question of await questionsFor(ledger, rows)) {
      questions.push(await measured(ledger, question, times));
      say(question.name);
    }
    return { rows, fillSeconds, bytesPerRow: (size?.bytes ?? 0) / rows, questions };
  } finally {
    await ledger.close();
  }
}

/**
 * Rows `from` to `to` of a month of work, the last just now: a thousand tenants, the largest with a
 * tenth of all; ids without an order, as most have none; a tenth of the attempts are retries.
 */
async function fill(ledger: Ledger, from: number, to: number, rows: number): Promise<void> {
  await ledger.query(
    `INSERT INTO attempts
       (tenant, event_id, event_type, event_time, correlation_id, topic, partition, offset, produced_at, instance,
        lane, epoch, trace_id, delivery_id, destination_id, channel, attempt, outcome, is_final, reason, status,
        attempted_at, duration_us, next_attempt_at, response, class, ambiguous, hand_over, retry_topic,
        retry_partition, retry_offset, waited_us, first_byte_us, request_bytes, response_bytes)
     WITH
       intDiv(number, ${ROWS_PER_EVENT}) AS event,
       sipHash64(event, 1) AS e,
       sipHash64(number, 2) AS d,
       toUInt32(1000 * pow(e / 18446744073709551616, 3)) AS tenant_number,
       d % 100 AS fate,
       multiIf(fate < 90, 'delivered', fate < 97, 'retrying', fate < 99, 'dead', 'expired') AS ended,
       fate % 10 = 0 AS is_retry,
       now64(3) - toIntervalMillisecond(toInt64(({rows:UInt64} - number) * ${DAYS * 86_400_000} / {rows:UInt64})) AS at
     SELECT
       concat('tenant-', toString(tenant_number)),
       concat('evt_', lower(hex(sipHash128(event)))),
       ['contact.created', 'contact.updated', 'email.sent', 'order.paid'][1 + e % 4],
       at - toIntervalMillisecond(200), concat('cor_', toString(e % 1000000)),
       '${TOPIC}', tenant_number % ${PARTITIONS}, event, at - toIntervalMillisecond(100), concat('host-', toString(tenant_number % 3)),
       tenant_number % 4, 1, '',
       concat('dlv_', lower(hex(sipHash128(event, number % ${ROWS_PER_EVENT})))),
       ['crm', 'mailer', 'texts'][1 + number % ${ROWS_PER_EVENT}],
       ['webhook', 'email', 'sms'][1 + number % ${ROWS_PER_EVENT}],
       if(is_retry, 2, 1), ended, ended != 'retrying',
       multiIf(ended = 'delivered', 'http_200', ended = 'expired', 'expired', 'http_503'),
       multiIf(ended = 'delivered', 200, ended = 'expired', 0, 503),
       at, 1000 + d % 200000, if(ended = 'retrying', at + toIntervalSecond(30), NULL), if(ended = 'delivered', 'ok', 'busy'),
       multiIf(ended = 'delivered', 'delivered', ended = 'expired', '', 'failed_after_send'),
       ended IN ('retrying', 'dead'),
       multiIf(ended = 'retrying', 'retry', ended = 'dead', 'dead_letter', ''),
       if(is_retry, '${DELAY_TOPIC}', ''), if(is_retry, tenant_number % ${PARTITIONS}, 0), if(is_retry, number, 0),
       d % 3000, 800 + d % 100000, 300 + d % 700, 2
     FROM numbers({from:UInt64}, {count:UInt64})`,
    { from, count: to - from, rows },
  );
}

async function questionsFor(ledger: Ledger, rows: number): Promise<Question[]> {
  const [asked] = await ledger.query<{ tenant: string; eventId: string }>(
    `SELECT tenant, event_id AS eventId FROM attempts
     WHERE topic = '${TOPIC}' AND offset = {offset:Int64} LIMIT 1`,
    { offset: Math.floor(rows / ROWS_PER_EVENT / 2) },
  );
  const [largest] = await ledger.query<{ tenant: string }>(
    'SELECT tenant FROM attempts GROUP BY tenant ORDER BY count() DESC LIMIT 1',
  );
  const activity = shippedQuery('tenant-activity');
  const happened = shippedQuery('what-happened');
  const { tenant = '', eventId = '' } = asked ?? {};
  const lately = boundValues(activity, [`tenant=${largest?.tenant ?? ''}`], systemClock.wallMs());
  const lastEvent = Math.floor((rows - 1) / ROWS_PER_EVENT);
  // The window's records are spread over all partitions.
  const committed = Math.max(0, lastEvent - WINDOW_RECORDS * (PARTITIONS / 2));
  const lastRow = Math.max(0, rows - 1 - WINDOW_RECORDS * PARTITIONS * 4);
  return [
    {
      name: 'support: tenant X, event Y',
      boundMs: 50,
      ask: async (on) => (await deliveryHistory(on, tenant, eventId)).length,
    },
    {
      name: 'support: queries/what-happened',
      boundMs: 50,
      ask: async (on) => (await on.query(happened.sql, { tenant, event: eventId })).length,
    },
    {
      name: "the largest tenant's last hour",
      boundMs: 200,
      ask: async (on) => (await on.query(activity.sql, lately)).length,
    },
    recovery('recovery: a source partition', TOPIC, committed),
    recovery('recovery: a delay partition', DELAY_TOPIC, lastRow),
  ];
}

/** By the repository, because this file runs compiled into another folder. */
function shippedQuery(name: string): NamedQuery {
  return parseNamedQuery(name, readFileSync(path.join(repositoryRoot, 'queries', `${name}.sql`), 'utf8'));
}

function recovery(name: string, topic: string, offset: number): Question {
  const place = { topic, partition: 0, offset };
  const consumer = { committed: () => Promise.resolve([place]) };
  return {
    name,
    boundMs: 100,
    ask: async (on) => {
      const parts = { consumer, ledger: on, undrained: null, onLedgerSkipped: null };
      const isDelayTopic = (name: string): boolean => name === DELAY_TOPIC;
      const [found] = await recoverDeliveries({ ...parts, isDelayTopic }, [place]);
      return found?.deliveryIds.size ?? 0;
    },
  };
}

async function measured(
  ledger: Ledger,
  { name, boundMs, ask }: Question,
  times: number,
): Promise<QuestionFigures> {
  const explain = await explained(ledger, ask);
  const answerRows = await ask(ledger);
  const tookMs: number[] = [];
  for (let i = 0; i < times; i++) {
    const startedMs = performance.now();
    await ask(ledger);
    tookMs.push(performance.now() - startedMs);
  }
  tookMs.sort((a, b) => a - b);
  const medianMs = tookMs[Math.floor(times / 2)] ?? Number.NaN;
  return { name, boundMs, medianMs, slowestMs: tookMs.at(-1) ?? Number.NaN, answerRows, explain };
}

/** What the engine says of the statement that a question asks, whoever wrote it. */
async function explained(ledger: Ledger, ask: Question['ask']): Promise<string[]> {
  const lines: string[] = [];
  await ask({
    query: async <T>(sql: string, params?: Readonly<Record<string, unknown>>): Promise<T[]> => {
      const plan = await ledger.query<{ explain: string }>(`EXPLAIN indexes = 1 ${sql}`, params);
      lines.push(...plan.map(({ explain }) => explain));
      return [];
    },
  });
  return lines;
}

export function ledgerText({ rows, fillSeconds, bytesPerRow, questions }: LedgerFigures): string {
  const table = new Table({
    head: ['question', 'median ms', 'slowest ms', 'bound ms', 'answer rows', ''],
    colAligns: ['left', 'right', 'right', 'right', 'right', 'left'],
  });
  for (const { name, medianMs, slowestMs, boundMs, answerRows } of questions)
    table.push([
      name,
      medianMs.toFixed(1),
      slowestMs.toFixed(1),
      boundMs,
      answerRows,
      medianMs <= boundMs ? 'holds' : 'TOO SLOW',
    ]);
  const plans = questions.map(({ name, explain }) => [`\n${name}`, ...explain].join('\n'));
  return [
    ...plans,
    `\n${rows} rows of attempts, ${bytesPerRow.toFixed(0)} bytes each on disk, filled in ${fillSeconds.toFixed(0)} s`,
    table.toString(),
  ].join('\n');
}
