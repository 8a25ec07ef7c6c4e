/**
 * Faults H1, H2, H5 and K10: failed attempts are made again after their back-off, which they wait out in a delay topic,
 * with the offsets of their source committed and nothing of it in the process, so that kill -9 takes nothing from the
 * count; what is used up or refused for good is on the dead-letter topic once, as it was, with the reason; and no offset
 * is committed before the broker has what was handed over.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { deliveryId } from '../../src/domain/ids.ts';
import type { RecordHeader, SourceRecord } from '../../src/domain/record.ts';
import type { RetryHeaders } from '../../src/domain/retry-headers.ts';
import { decodeRetryHeaders } from '../../src/retry/retry-headers.ts';
import type { Sample } from '../../src/samples/generator.ts';
import type { DispatcherProcess } from '../support/dispatcher.ts';
import { waitFor } from '../support/wait.ts';
import { describeWithKafka } from '../support/with-real-parts.ts';
import { sampleRecords } from './sample-records.ts';
import { Scenario, type DestinationOptions, type Sections } from './scenario.ts';
import { Sender, type SentRecord } from './sender.ts';
import { headerValues, readTopic } from './topic-records.ts';

const EVENTS_EACH = 30;
const INITIAL_DELAY_MS = 200;
/** Enough for a request to be on its way on a busy machine, also the first one on a new connection. */
const TIMEOUT_MS = 1_000;
/** The breaker would send them away unsent, which is for other tests. */
const NO_BREAKER = { breaker: 'off' };
const TENANTS = 3;
const RETRY = { maxAttempts: 3, initialDelay: `${INITIAL_DELAY_MS}ms`, maxDelay: '2s' };

interface Expectation extends DestinationOptions {
  /** The one event type this destination gets. */
  readonly type: string;
  /** Outcome and reason of each attempt. */
  readonly attempts: readonly (readonly [outcome: string, reason: string])[];
  /** Seen in the last attempt; 0 for none. */
  readonly status: number;
}

const DESTINATIONS: Readonly<Record<string, Expectation>> = {
  recovers: {
    type: 'contact.created',
    behaviour: { statuses: [503, 503, 200] },
    attempts: [
      ['retrying', 'http_503'],
      ['retrying', 'http_503'],
      ['delivered', 'http_200'],
    ],
    status: 200,
  },
  unavailable: {
    type: 'contact.updated',
    behaviour: { status: 503, body: 'try later' },
    attempts: [
      ['retrying', 'http_503'],
      ['retrying', 'http_503'],
      ['dead', 'http_503'],
    ],
    status: 503,
  },
  'not-found': {
    type: 'contact.deleted',
    behaviour: { status: 404 },
    attempts: [['rejected', 'http_404']],
    status: 404,
  },
  moved: {
    type: 'email.opened',
    behaviour: { status: 301 },
    attempts: [['rejected', 'http_301']],
    status: 301,
  },
  hangs: {
    type: 'email.clicked',
    behaviour: { hang: true },
    settings: { timeout: `${TIMEOUT_MS}ms`, maxInFlight: EVENTS_EACH },
    attempts: [
      ['retrying', 'deadline'],
      ['retrying', 'deadline'],
      ['dead', 'deadline'],
    ],
    status: 0,
  },
  refuses: {
    type: 'user.created',
    fault: 'refuse',
    attempts: [
      ['retrying', 'connect_refused'],
      ['retrying', 'connect_refused'],
      ['dead', 'connect_refused'],
    ],
    status: 0,
  },
  resets: {
    type: 'user.updated',
    fault: 'reset-after-request',
    attempts: [
      ['retrying', 'reset'],
      ['retrying', 'reset'],
      ['dead', 'reset'],
    ],
    status: 0,
  },
};

const GONE = ['gone', 'email.sent'] as const;

interface AttemptRow {
  readonly delivery_id: string;
  readonly attempt: number;
  readonly outcome: string;
  readonly reason: string;
  readonly status: number;
  readonly is_final: boolean;
  readonly duration_ms: number;
  /** From the end of the attempt to the next one; null when none follows. */
  readonly wait_ms: number | null;
  readonly response: string;
}

describeWithKafka('receivers that fail', (kafka) => {
  let scenario: Scenario;
  let dispatcher: DispatcherProcess;
  const samples = new Map<string, Sample[]>();
  const sent = new Map<string, SentRecord[]>();
  const rows = new Map<string, AttemptRow[]>();
  let deadLetters: SourceRecord[];

  beforeAll(async () => {
    scenario = await Scenario.open({
      kafka,
      partitions: 3,
      destinations: {
        ...Object.fromEntries(
          Object.entries(DESTINATIONS).map(([id, { type, behaviour, fault, settings }]) => [
            id,
            {
              ...(behaviour && { behaviour }),
              ...(fault && { fault }),
              settings: { events: [type], retry: RETRY, ...NO_BREAKER, ...settings },
            },
          ]),
        ),
        gone: { behaviour: { status: 410 }, settings: { events: [GONE[1]], maxInFlight: 1 } },
        trap: { settings: { tenant: 'nobody' } },
      },
    });
    const location = `${scenario.receiver.url('trap')}/moved`;
    await scenario.receiver.setBehaviour('moved', { status: 301, headers: { location } });
    dispatcher = await scenario.startDispatcher();
    const sender = await Sender.open(kafka.brokers);
    const types = [...Object.entries(DESTINATIONS).map(([id, { type }]) => [id, type] as const), GONE];
    for (const [index, [id, type]] of types.entries()) {
      const made = sampleRecords({ count: EVENTS_EACH, tenants: TENANTS, types: [type], seed: index + 1 });
      const records = made.map(({ key, value, eventId }) => {
        return { partition: null, key, value, headers: [['trace', Buffer.from(eventId)] as const] };
      });
      samples.set(id, made);
      sent.set(id, await sender.send(scenario.topic, records));
    }
    await sender.close();
    await scenario.settled();
    for (const [id] of types) rows.set(id, await attemptRows(id));
    deadLetters = await readTopic(kafka, scenario.deadLetterTopic);
  });
  afterAll(() => scenario.close());

  for (const [id, { attempts, status, fault }] of Object.entries(DESTINATIONS)) {
    describe(id, () => {
      const expected = attempts.map(([outcome, reason], index) => {
        const isLast = index === attempts.length - 1;
        return {
          attempt: index + 1,
          outcome,
          reason,
          status: isLast || status === 0 ? status : 503,
          is_final: isLast,
        };
      });
      const [finalOutcome, finalReason] = attempts.at(-1)!;
      const leavesDeadLetters = finalOutcome !== 'delivered';

      it(`has in the ledger: ${attempts.map(([outcome, reason]) => `${outcome} (${reason})`).join(', ')}`, () => {
        for (const sample of samples.get(id)!) {
          const found = rows.get(id)!.filter((row) => row.delivery_id === idOf(sample, id));
          expect(found).toMatchObject(expected);
        }
        expect(rows.get(id)).toHaveLength(EVENTS_EACH * attempts.length);
      });

      it('waits at least the back-off before each further attempt', () => {
        for (const { attempt, wait_ms } of rows.get(id)!) {
          if (attempt === attempts.length) expect(wait_ms).toBeNull();
          else expect(wait_ms).toBeGreaterThanOrEqual(backoffMs(attempt) - CLOCK_STEP_MS);
        }
      });

      if (leavesDeadLetters)
        it('leaves each event on the dead-letter topic once, as it was', () => {
          for (const [index, record] of sent.get(id)!.entries()) {
            const { tenant, eventId, type } = samples.get(id)![index]!;
            const found = deadLetters.filter((letter) => isFrom(letter, record));
            expect(found).toHaveLength(1);
            expect([found[0]!.key, found[0]!.value]).toEqual([record.key, record.value]);
            expect(headersOf(found[0]!)).toEqual({
              trace: eventId,
              'eventdispatch-outcome': finalOutcome,
              'eventdispatch-reason': finalReason,
              'eventdispatch-status': String(status),
              'eventdispatch-attempts': String(attempts.length),
              'eventdispatch-first-seen': expect.stringMatching(/^\d{13}$/),
              'eventdispatch-due': '0',
              'eventdispatch-hops': '0',
              'eventdispatch-tenant': tenant,
              'eventdispatch-event-id': eventId,
              'eventdispatch-event-type': type,
              'eventdispatch-delivery-id': idOf({ tenant, eventId }, id),
              'eventdispatch-destination-id': id,
              'eventdispatch-source-topic': record.topic,
              'eventdispatch-source-partition': String(record.partition),
              'eventdispatch-source-offset': String(record.offset),
              'eventdispatch-source-timestamp': expect.stringMatching(/^\d{13}$/),
            });
          }
        });

      if (fault !== 'refuse')
        it('gets just the requests the ledger tells of, the back-off apart', async () => {
          const requests = await scenario.receiver.requests(id);
          expect(requests).toHaveLength(EVENTS_EACH * attempts.length);
          for (const sample of samples.get(id)!) {
            const times = requests
              .filter((request) => request.webhookId === idOf(sample, id))
              .map((request) => request.monotonicUs / 1000);
            expect(times).toHaveLength(attempts.length);
            for (let attempt = 1; attempt < times.length; attempt++) {
              expect(times[attempt]! - times[attempt - 1]!).toBeGreaterThanOrEqual(backoffMs(attempt));
            }
          }
        });
    });
  }

  it('puts nothing else on the dead-letter topic', () => {
    const dead = Object.values(DESTINATIONS).filter(({ attempts }) => attempts.at(-1)![0] !== 'delivered');
    expect(deadLetters).toHaveLength(dead.length * EVENTS_EACH + TENANTS);
  });

  it('hands each retry over to a delay topic, and keeps none in a lane', async () => {
    const retries = Object.values(DESTINATIONS).flatMap(({ attempts }) => attempts.slice(1));
    expect(await dispatcher.metric('eventdispatch_handovers_total', { to: 'retry', result: 'ok' })).toBe(
      retries.length * EVENTS_EACH,
    );
    const [counts] = await scenario.ledger.query<{ left: number; came: number }>(
      `SELECT countIf(hand_over = 'retry') AS left, countIf(retry_topic != '') AS came
       FROM attempts WHERE destination_id != 'gone'`,
    );
    expect(counts).toEqual({ left: retries.length * EVENTS_EACH, came: retries.length * EVENTS_EACH });
  });

  it('sends nothing more to who answered 410, and says so of each delivery', async () => {
    const outcomes = rows
      .get('gone')!
      .map(({ attempt, outcome, reason }) => [attempt, outcome, reason].join());
    expect(outcomes.toSorted()).toEqual([
      ...Array<string>(EVENTS_EACH - TENANTS).fill('0,skipped_disabled,destination_disabled'),
      ...Array<string>(TENANTS).fill('1,rejected,http_410'),
    ]);
    expect(await scenario.receiver.count('gone')).toBe(TENANTS);
    expect(await dispatcher.metric('eventdispatch_destinations_disabled_total')).toBe(TENANTS);
  });

  it('never follows a redirect', async () => {
    expect(await scenario.receiver.count('trap')).toBe(0);
  });

  it('ends a hanging attempt at its deadline', () => {
    for (const { duration_ms } of rows.get('hangs')!) {
      expect(duration_ms).toBeGreaterThanOrEqual(TIMEOUT_MS);
      expect(duration_ms).toBeLessThan(TIMEOUT_MS + 1_000);
    }
  });

  it('sends nothing to a port that refuses, and counts it so', async () => {
    const refused = EVENTS_EACH * RETRY.maxAttempts;
    expect(await dispatcher.metric('eventdispatch_attempts_total', { class: 'failed_before_send' })).toBe(
      refused,
    );
  });

  it('keeps what the receiver answered', () => {
    expect(new Set(rows.get('unavailable')!.map(({ response }) => response))).toEqual(new Set(['try later']));
  });

  it('drains', async () => {
    expect(await dispatcher.stop(), dispatcher.child.output()).toEqual({ code: 0, signal: null });
  });

  function attemptRows(destination: string): Promise<AttemptRow[]> {
    return scenario.ledger.query<AttemptRow>(
      `SELECT delivery_id, attempt, outcome, reason, status, is_final, response,
         duration_us / 1000 AS duration_ms,
         dateDiff('millisecond', attempted_at, next_attempt_at) - duration_us / 1000 AS wait_ms
       FROM attempts WHERE destination_id = {destination:String} ORDER BY delivery_id, attempt`,
      { destination },
    );
  }
});

describeWithKafka('a retry that waits', (kafka) => {
  /** Fits the longest delay topic of a scenario, with time to look and to kill. */
  const WAIT_MS = 10_000;
  const GOOD = 50;
  let scenario: Scenario;
  let sample: Sample;
  let source: SentRecord;
  let waiting: SourceRecord;
  let headers: RetryHeaders;
  let second: DispatcherProcess;

  beforeAll(async () => {
    scenario = await Scenario.open({
      kafka,
      partitions: 3,
      destinations: {
        crm: { settings: { events: ['email.sent'] } },
        later: {
          behaviour: { status: 503 },
          settings: { events: ['contact.created'], retry: { schedule: [`${WAIT_MS}ms`], maxAttempts: 3 } },
        },
      },
    });
    [sample] = sampleRecords({ count: 1, tenants: 1, types: ['contact.created'], seed: 1 }) as [Sample];
    const good = sampleRecords({ count: GOOD, tenants: 1, types: ['email.sent'], seed: 2 });
    const first = await scenario.startDispatcher();
    const sender = await Sender.open(kafka.brokers);
    [source] = (await sender.send(
      scenario.topic,
      [sample, ...good].map(({ key, value }) => ({ partition: 2, key, value, headers: [TRACE] })),
    )) as [SentRecord];
    await sender.close();
    await scenario.sourceSettled();
    [waiting] = (await readTopic(kafka, scenario.delayTopics.at(-1)!)) as [SourceRecord];
    headers = decodeRetryHeaders(packed(waiting)) as RetryHeaders;
    await first.kill();
    await scenario.receiver.setBehaviour('later', {});
    second = await scenario.startDispatcher();
    await scenario.settled();
  });
  afterAll(() => scenario.close());

  it('is in a delay topic, in the partition of its source, as it was, with its count and its due time', () => {
    expect([waiting.partition, waiting.key, waiting.value]).toEqual([2, source.key, source.value]);
    expect(headerValues(waiting, 'trace')).toEqual(['as it was']);
    expect(headers).toMatchObject({
      sourceTopic: source.topic,
      sourcePartition: 2,
      sourceOffset: source.offset,
      tenant: sample.tenant,
      eventId: sample.eventId,
      deliveryId: idOf(sample, 'later'),
      destinationId: 'later',
      attempts: 1,
      reason: 'http_503',
      status: 503,
    });
    expect(headers.dueMs - headers.firstSeenMs).toBeGreaterThanOrEqual(WAIT_MS);
  });

  it('is made after a kill -9 and a restart, once, not before it is due, and counted on', async () => {
    const requests = await scenario.receiver.requests('later');
    expect(requests.map(({ webhookId }) => webhookId)).toEqual([headers.deliveryId, headers.deliveryId]);
    const rows = await scenario.ledger.query<Record<string, unknown>>(
      `SELECT attempt, outcome, hand_over, offset, retry_topic, retry_partition, retry_offset,
         attempted_at >= fromUnixTimestamp64Milli({due:Int64}) AS isDue
       FROM attempts WHERE destination_id = 'later' ORDER BY attempt`,
      { due: headers.dueMs },
    );
    const { offset } = source;
    const first = { retry_topic: '', retry_partition: 0, retry_offset: 0 };
    const place = { retry_topic: waiting.topic, retry_partition: 2, retry_offset: waiting.offset };
    expect(rows.map((row) => ({ ...row, isDue: Boolean(row['isDue']) }))).toEqual([
      { attempt: 1, outcome: 'retrying', hand_over: 'retry', offset, ...first, isDue: false },
      { attempt: 2, outcome: 'delivered', hand_over: '', offset, ...place, isDue: true },
    ]);
  });

  it('held nobody up meanwhile', async () => {
    expect(await scenario.receiver.count('crm')).toBe(GOOD);
    expect(await second.stop(), second.child.output()).toEqual({ code: 0, signal: null });
  });
});

interface Refused {
  readonly to: 'dead_letter' | 'retry';
  /** What makes the receiver's delivery leave by that topic. */
  readonly status: number;
  readonly refusing: (scenario: Scenario) => {
    readonly topics: readonly string[];
    readonly config: Sections;
  };
}

const REFUSED: readonly Refused[] = [
  {
    to: 'dead_letter',
    status: 404,
    refusing: ({ topic }) => ({
      topics: [`${topic}.refused`],
      config: { kafka: { deadLetterTopic: `${topic}.refused` } },
    }),
  },
  {
    to: 'retry',
    status: 503,
    // All of them: what is left of a wait may fit another one when it is offered again.
    refusing: ({ topic, delayTopics }) => ({
      topics: delayTopics.map((name) => name.replace(`${topic}.retry`, `${topic}.refused`)),
      config: { retry: { topicPrefix: `${topic}.refused` } },
    }),
  },
];

for (const { to, status, refusing } of REFUSED)
  describeWithKafka(`a ${to} topic that takes nothing`, (kafka) => {
    const GOOD_BEFORE = 20;
    let scenario: Scenario;
    let refused: ReturnType<Refused['refusing']>;

    beforeAll(async () => {
      scenario = await Scenario.open({
        kafka,
        partitions: 1,
        destinations: {
          crm: { settings: { events: ['email.sent'] } },
          strict: {
            behaviour: { status },
            settings: { events: ['contact.deleted'], retry: { schedule: ['10s'] } },
          },
        },
      });
      refused = refusing(scenario);
      // No batch is as small as that.
      const config = { 'max.message.bytes': '10' };
      await kafka.createTopics(refused.topics.map((name) => ({ name, partitions: 1, config })));
      const good = (seed: number) =>
        sampleRecords({ count: GOOD_BEFORE, tenants: 3, types: ['email.sent'], seed });
      const bad = sampleRecords({ count: 1, tenants: 1, types: ['contact.deleted'], seed: 2 });
      const sender = await Sender.open(kafka.brokers);
      await sender.send(
        scenario.topic,
        [...good(1), ...bad, ...good(3)].map(({ key, value }) => ({ partition: 0, key, value })),
      );
      await sender.close();
    });
    afterAll(() => scenario.close());

    it('holds the offset back at that record, and its row, and the drain says so', async () => {
      const dispatcher = await scenario.startDispatcher({ ...refused.config, shutdown: { deadline: '1s' } });
      await waitFor(async () => (await scenario.ledgerDeliveries('crm')).size === 2 * GOOD_BEFORE, {
        timeoutMs: 30_000,
        what: () => `all others in the ledger\n${dispatcher.child.output()}`,
      });
      await waitFor(async () => (await committed()) === GOOD_BEFORE, {
        timeoutMs: 30_000,
        what: 'a commit of what came before',
      });
      const failed = () => dispatcher.metric('eventdispatch_handovers_total', { to, result: 'failed' });
      await waitFor(async () => (await failed()) > 2, { timeoutMs: 30_000, what: 'further tries' });
      expect(await dispatcher.metric('eventdispatch_handovers_pending', { to })).toBe(1);
      const { code } = await dispatcher.stop();
      expect(code, dispatcher.child.output()).toBe(1);
      expect(await committed()).toBe(GOOD_BEFORE);
      for (const topic of refused.topics) expect(await kafka.endOffsets(topic)).toEqual([0]);
      expect(await scenario.receiver.count('strict')).toBe(1);
      expect((await scenario.ledgerDeliveries('strict')).size).toBe(0);
    });

    it('starts that delivery over after a restart with a topic that takes it, and no other', async () => {
      const dispatcher = await scenario.startDispatcher();
      await scenario.sourceSettled();
      const left = await readTopic(
        kafka,
        to === 'retry' ? scenario.delayTopics.at(-1)! : scenario.deadLetterTopic,
      );
      expect(left.map(sourceOffsetOf)).toEqual([GOOD_BEFORE]);
      expect(await scenario.receiver.count('crm')).toBe(2 * GOOD_BEFORE);
      expect(await dispatcher.stop(), dispatcher.child.output()).toEqual({ code: 0, signal: null });
    });

    async function committed(): Promise<number> {
      return (await kafka.committedOffsets(scenario.group, scenario.topic))[0]!;
    }
  });

/** Times of ledger rows are whole milliseconds. */
const CLOCK_STEP_MS = 1;

const TRACE: RecordHeader = ['trace', Buffer.from('as it was')];

function backoffMs(attempt: number): number {
  return INITIAL_DELAY_MS * 2 ** (attempt - 1);
}

function idOf({ tenant, eventId }: Pick<Sample, 'tenant' | 'eventId'>, destination: string): string {
  return deliveryId(tenant, eventId, destination);
}

function isFrom(letter: SourceRecord, { partition, offset }: SentRecord): boolean {
  return (
    headerValues(letter, 'eventdispatch-source-partition').join() === String(partition) &&
    headerValues(letter, 'eventdispatch-source-offset').join() === String(offset)
  );
}

/** Of a retry, whose one header has it, or of a dead letter. */
function sourceOffsetOf(record: SourceRecord): number {
  const retry = decodeRetryHeaders(packed(record));
  if ('problem' in retry) return Number(headerValues(record, 'eventdispatch-source-offset').join());
  return retry.sourceOffset;
}

function packed({ headers }: SourceRecord): RecordHeader[] {
  return headers!.flatMap((header) =>
    Object.entries(header).map(([name, value]): RecordHeader => [name, Buffer.from(value as Buffer)]),
  );
}

function headersOf(record: SourceRecord): Record<string, string> {
  const pairs = record.headers!.flatMap((header) =>
    Object.entries(header).map(([name, value]) => [name, String(value)]),
  );
  return Object.fromEntries(pairs) as Record<string, string>;
}
