/**
 * Faults H1, H2, H3 and H5: endpoints that refuse, break off, hang, drip, talk nonsense or say no. What is tried again
 * goes by Kafka, never before its back-off, until its attempts are used up; a dead letter tells why; a status that was
 * seen stands; the ledger and the receiver's own log tell the same.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { SourceRecord } from '../../src/domain/record.ts';
import type { KafkaTools } from '../support/kafka-tools.ts';
import type { DispatcherProcess } from '../support/dispatcher.ts';
import type { ReceivedRequest } from '../support/receiver.ts';
import { waitFor } from '../support/wait.ts';
import { describeWithKafka } from '../support/with-real-parts.ts';
import {
  backoffMs,
  CLOCK_STEP_MS,
  FaultRun,
  gapsOf,
  headersOf,
  lettersOf,
  MAX_ATTEMPTS,
  rowsOf,
  type AttemptRow,
} from './fault-run.ts';
import type { DestinationOptions } from './scenario.ts';

/** More than `consecutiveFailures`, so that a breaker that ought to be off would show. */
const EVENTS_EACH = 6;
const TIMEOUT_MS = 1_000;
/** How much later than its deadline an attempt may end on a busy machine. */
const DEADLINE_SLACK_MS = 1_000;

interface Fault extends DestinationOptions {
  readonly ends: 'delivered' | 'rejected' | 'dead';
  readonly class: string | RegExp;
  readonly reason: string | RegExp;
  readonly status?: number;
  /** Whether requests reach the receiver to their end, so that its log has them. */
  readonly isReceived?: false;
  /** Each attempt lasts its whole timeout. */
  readonly lastsToDeadline?: true;
}

const BEFORE = 'failed_before_send';
const AFTER = 'failed_after_send';

const H1: Readonly<Record<string, Fault>> = {
  refuses: { fault: 'refuse', ends: 'dead', class: BEFORE, reason: 'connect_refused', isReceived: false },
  'resets-on-connect': {
    ...{ fault: 'reset-on-connect', ends: 'dead', isReceived: false },
    class: /^failed_(before|after)_send$/,
    reason: /^(reset|closed)$/,
  },
  'closes-on-connect': {
    ...{ fault: 'close-on-connect', ends: 'dead', isReceived: false },
    class: /^failed_(before|after)_send$/,
    reason: /^(reset|closed)$/,
  },
  'resets-after-request': { fault: 'reset-after-request', ends: 'dead', class: AFTER, reason: 'reset' },
  'closes-after-request': { fault: 'close-after-request', ends: 'dead', class: AFTER, reason: 'closed' },
};

const H2: Readonly<Record<string, Fault>> = {
  hangs: { fault: 'hang', ends: 'dead', class: AFTER, reason: 'deadline', lastsToDeadline: true },
  'drips-headers': {
    ...{ fault: 'header-drip', ends: 'dead', class: AFTER, reason: 'deadline' },
    lastsToDeadline: true,
  },
  'drips-informational': {
    ...{ fault: 'informational-drip', ends: 'dead', class: AFTER, reason: 'deadline' },
    lastsToDeadline: true,
  },
  'floods-informational': {
    ...{ fault: 'informational-flood', ends: 'dead', class: AFTER, reason: 'deadline' },
    lastsToDeadline: true,
  },
  'drips-body': {
    ...{ fault: 'body-drip', ends: 'delivered', class: 'delivered', reason: 'http_200', status: 200 },
    lastsToDeadline: true,
  },
  'drips-error-body': {
    ...{ fault: 'error-body-drip', ends: 'dead', class: AFTER, reason: 'http_500', status: 500 },
    lastsToDeadline: true,
  },
  'endless-body': {
    ...{ fault: 'endless-body', ends: 'delivered', class: 'delivered', reason: 'http_200', status: 200 },
  },
};

const H3: Readonly<Record<string, Fault>> = {
  garbage: { fault: 'garbage', ends: 'dead', class: AFTER, reason: 'response_malformed' },
  'oversize-headers': {
    ...{ fault: 'oversize-headers', ends: 'dead', class: AFTER, reason: 'response_headers_too_large' },
  },
  'length-and-chunked': {
    ...{ fault: 'length-and-chunked', ends: 'dead', class: AFTER, reason: 'response_malformed' },
  },
  truncated: {
    ...{ fault: 'truncated-body', ends: 'delivered', class: 'delivered', reason: 'http_200', status: 200 },
  },
  'extra-response': {
    ...{ fault: 'extra-response', ends: 'delivered', class: 'delivered', reason: 'http_200', status: 200 },
  },
};

const HTML = '<!doctype html><title>We are fine</title>';

const H5: Readonly<Record<string, Fault>> = {
  'not-found': answers(404, 'rejected'),
  'bad-request': answers(400, 'rejected'),
  unprocessable: answers(422, 'rejected'),
  moved: answers(301, 'rejected'),
  found: answers(302, 'rejected'),
  'internal-error': answers(500, 'dead'),
  'bad-gateway': answers(502, 'dead'),
  'no-content': answers(204, 'delivered'),
  html: {
    ...answers(200, 'delivered'),
    behaviour: { body: HTML, headers: { 'content-type': 'text/html' } },
  },
};

function answers(status: number, ends: Fault['ends']): Fault {
  const attemptClass = ends === 'dead' ? AFTER : ends;
  return { behaviour: { status }, ends, class: attemptClass, reason: `http_${status}`, status };
}

interface Results {
  run: FaultRun;
  dispatcher: DispatcherProcess;
  rows: Map<string, AttemptRow[]>;
  requests: Map<string, ReceivedRequest[]>;
  letters: SourceRecord[];
}

/** Runs the faults, and shows what holds for all of them alike. */
function describeFaults(
  title: string,
  faults: Readonly<Record<string, Fault>>,
  more: (results: Results) => void,
  prepare: (run: FaultRun) => Promise<void> = () => Promise.resolve(),
): void {
  describeWithKafka(title, (kafka) => {
    const results = {} as Results;
    beforeAll(async () => {
      Object.assign(results, await runFaults(kafka, faults, prepare));
    });
    afterAll(() => results.run.close());
    for (const [id, fault] of Object.entries(faults)) {
      describe(id, () => {
        checkFault(results, id, fault);
      });
    }
    it('puts nothing else on the dead-letter topic, and drains', async () => {
      const ended = Object.values(faults).filter(({ ends }) => ends !== 'delivered');
      expect(results.letters).toHaveLength(ended.length * EVENTS_EACH);
      const { dispatcher } = results;
      expect(await dispatcher.stop(), dispatcher.child.output()).toEqual({ code: 0, signal: null });
    });
    more(results);
  });
}

async function runFaults(
  kafka: KafkaTools,
  faults: Readonly<Record<string, Fault>>,
  prepare: (run: FaultRun) => Promise<void>,
): Promise<Results> {
  const run = await FaultRun.open({
    kafka,
    destinations: Object.fromEntries(
      Object.entries(faults).map(([id, { behaviour, fault, settings }]) => [
        id,
        {
          ...(behaviour && { behaviour }),
          ...(fault && { fault }),
          // With a breaker, an attempt more or less would depend on which failures come first.
          settings: { timeout: `${TIMEOUT_MS}ms`, breaker: 'off', ...settings },
        },
      ]),
    ),
  });
  await prepare(run);
  const dispatcher = await run.start();
  await run.send(EVENTS_EACH);
  await run.quiet();
  const rows = new Map<string, AttemptRow[]>();
  const requests = new Map<string, ReceivedRequest[]>();
  for (const id of Object.keys(faults)) {
    rows.set(id, await run.rows(id));
    requests.set(id, await run.requests(id));
  }
  return { run, dispatcher, rows, requests, letters: await run.deadLetters() };
}

function checkFault(results: Results, id: string, fault: Fault): void {
  const { ends, reason, status = 0 } = fault;
  const attempts = ends === 'dead' ? MAX_ATTEMPTS : 1;

  it(`ends ${ends} after ${attempts} attempts (${String(reason)})`, () => {
    const events = results.run.events(id);
    expect(events).toHaveLength(EVENTS_EACH);
    expect(results.rows.get(id)).toHaveLength(EVENTS_EACH * attempts);
    for (const { deliveryId } of events) {
      const rows = rowsOf(results.rows.get(id)!, deliveryId);
      expect(rows.map(({ attempt }) => attempt)).toEqual(Array.from({ length: attempts }, (_, i) => i + 1));
      for (const [index, row] of rows.entries()) {
        const isLast = index === attempts - 1;
        expect(row).toMatchObject({
          outcome: isLast ? ends : 'retrying',
          is_final: isLast,
          status,
          reason: expect.stringMatching(reason) as string,
          class: expect.stringMatching(fault.class) as string,
          // A retry left by Kafka and came back by it.
          hand_over: isLast ? { delivered: '', rejected: 'dead_letter', dead: 'dead_letter' }[ends] : 'retry',
          retry_topic: index === 0 ? '' : (expect.stringMatching(/\.(200ms|1s|3s)$/) as string),
        });
        // Only what may have been sent may have been taken.
        expect(row.ambiguous).toBe(row.class === AFTER);
      }
    }
  });

  if (attempts > 1)
    it('is tried again, never before its back-off', () => {
      for (const { deliveryId } of results.run.events(id)) {
        const rows = rowsOf(results.rows.get(id)!, deliveryId);
        for (const [index, row] of rows.slice(0, -1).entries()) {
          const endedMs = row.attempted_ms + row.duration_ms;
          expect(row.next_ms! - endedMs).toBeGreaterThanOrEqual(backoffMs(index + 1) - CLOCK_STEP_MS);
          expect(rows[index + 1]!.attempted_ms).toBeGreaterThanOrEqual(row.next_ms!);
        }
        for (const [index, gapMs] of gapsOf(results.requests.get(id)!, deliveryId).entries())
          expect(gapMs).toBeGreaterThanOrEqual(backoffMs(index + 1));
      }
    });

  if (ends !== 'delivered')
    it('is a dead letter once, with the bytes as they came and the attempts', () => {
      for (const { deliveryId, record, sample } of results.run.events(id)) {
        const letters = lettersOf(results.letters, deliveryId);
        expect(letters).toHaveLength(1);
        const [letter] = letters as [SourceRecord];
        expect([letter.key, letter.value]).toEqual([record.key, record.value]);
        const last = rowsOf(results.rows.get(id)!, deliveryId).at(-1)!;
        expect(headersOf(letter)).toMatchObject({
          trace: sample.eventId,
          'eventdispatch-outcome': ends,
          'eventdispatch-reason': last.reason,
          'eventdispatch-status': String(status),
          'eventdispatch-attempts': String(attempts),
          'eventdispatch-tenant': sample.tenant,
          'eventdispatch-event-id': sample.eventId,
          'eventdispatch-destination-id': id,
          'eventdispatch-source-topic': record.topic,
          'eventdispatch-source-partition': String(record.partition),
          'eventdispatch-source-offset': String(record.offset),
        });
      }
    });

  it('sent just what the ledger tells', () => {
    const requests = results.requests.get(id)!;
    if (fault.isReceived === false) expect(requests).toEqual([]);
    else {
      expect(requests).toHaveLength(EVENTS_EACH * attempts);
      for (const { deliveryId } of results.run.events(id))
        expect(requests.filter(({ webhookId }) => webhookId === deliveryId)).toHaveLength(attempts);
    }
  });
}

describeFaults('H1: an endpoint refuses, or breaks off before or after the request', H1, (results) => {
  it('connects once for each attempt of those that break off before the request', async () => {
    const { receiver } = results.run.scenario;
    for (const id of ['resets-on-connect', 'closes-on-connect'])
      expect(await receiver.connections(id), id).toBe(EVENTS_EACH * MAX_ATTEMPTS);
  });
});

describeFaults('H2: an endpoint hangs, drips, floods, or never stops', H2, (results) => {
  it('ends every attempt by its deadline', () => {
    for (const [id, { lastsToDeadline }] of Object.entries(H2)) {
      for (const { duration_ms } of results.rows.get(id)!) {
        expect(duration_ms, id).toBeLessThan(TIMEOUT_MS + DEADLINE_SLACK_MS);
        if (lastsToDeadline) expect(duration_ms, id).toBeGreaterThanOrEqual(TIMEOUT_MS);
      }
    }
  });
});

describeFaults('H3: an endpoint breaks HTTP', withOneAtATime(H3), (results) => {
  it('never uses such a connection again', async () => {
    const { receiver } = results.run.scenario;
    for (const id of Object.keys(H3)) {
      const requests = results.requests.get(id)!.length;
      expect(await receiver.connections(id), id).toBe(requests);
    }
  });
});

describeFaults(
  'H5: an endpoint says no, elsewhere, or yes in an odd way',
  { ...H5, trap: { ends: 'delivered', class: 'delivered', reason: 'http_200', status: 200 } },
  (results) => {
    it('never follows a redirect', () => {
      const own = new Set(results.run.events('trap').map(({ deliveryId }) => deliveryId));
      for (const { webhookId } of results.requests.get('trap')!) expect(own).toContain(webhookId);
    });

    it('keeps what the receiver answered', () => {
      expect(new Set(results.rows.get('html')!.map(({ response }) => response))).toEqual(new Set([HTML]));
    });
  },
  async ({ scenario: { receiver } }) => {
    const elsewhere = { location: `${receiver.url('trap')}/elsewhere` };
    await receiver.setBehaviour('moved', { status: 301, headers: elsewhere });
    await receiver.setBehaviour('found', { status: 302, headers: { location: receiver.url('found') } });
  },
);

describeWithKafka('H5: an endpoint says that it is gone', (kafka) => {
  const GONE = 'gone';
  const GONE_LATER = 'gone-later';
  let run: FaultRun;
  let dispatcher: DispatcherProcess;
  const rows = new Map<string, AttemptRow[]>();

  beforeAll(async () => {
    run = await FaultRun.open({
      kafka,
      destinations: {
        [GONE]: { behaviour: { status: 410 }, settings: { maxInFlight: 1 } },
        [GONE_LATER]: { behaviour: { statuses: [503, 410] }, settings: { maxInFlight: 1, breaker: 'off' } },
      },
    });
    dispatcher = await run.start();
    await run.send(EVENTS_EACH);
    await waitFor(async () => (await answered(GONE, 410)) > 0 && (await answered(GONE_LATER, 410)) > 0, {
      timeoutMs: 60_000,
      what: () => `a 410 of each in the ledger\n${dispatcher.child.output()}`,
    });
    await run.send(EVENTS_EACH);
    await run.quiet();
    for (const id of [GONE, GONE_LATER]) rows.set(id, await run.rows(id));
  });
  afterAll(() => run.close());

  it('gets one request, which is not tried again', async () => {
    expect((await run.requests(GONE)).map(({ status }) => status)).toEqual([410]);
    const sent = rows.get(GONE)!.filter((row) => row.class !== '');
    expect(sent).toMatchObject([
      { outcome: 'rejected', reason: 'http_410', attempt: 1, is_final: true, hand_over: 'dead_letter' },
    ]);
  });

  it('gets nothing later, neither first attempts nor retries', async () => {
    const requests = await run.requests(GONE_LATER);
    expect(requests.filter(({ status }) => status === 410)).toHaveLength(1);
    expect(requests.at(-1)!.status).toBe(410);
    const retried = new Set(
      requests.filter(({ status }) => status === 503).map(({ webhookId }) => webhookId),
    );
    expect(retried.size).toBeGreaterThan(1);
    const skipped = rows.get(GONE_LATER)!.filter(({ outcome }) => outcome === 'skipped_disabled');
    expect(skipped.filter((row) => retried.has(row.delivery_id))).toHaveLength(retried.size - 1);
  });

  it('has every other delivery end skipped_disabled, unsent', () => {
    for (const id of [GONE, GONE_LATER]) {
      const finals = rows.get(id)!.filter((row) => row.is_final);
      expect(new Set(finals.map((row) => row.delivery_id)).size).toBe(2 * EVENTS_EACH);
      const skipped = finals.filter(({ outcome }) => outcome === 'skipped_disabled');
      expect(skipped).toHaveLength(2 * EVENTS_EACH - 1);
      for (const row of skipped)
        expect(row).toMatchObject({ class: '', status: 0, reason: 'destination_disabled', hand_over: '' });
    }
  });

  it('leaves a dead letter of what it refused only, and the operator hears of it once', async () => {
    expect((await run.deadLetters()).map((letter) => headersOf(letter)['eventdispatch-reason'])).toEqual([
      'http_410',
      'http_410',
    ]);
    const told = dispatcher.child.output().match(/"event":"destination_disabled"/g);
    expect(told).toHaveLength(2);
  });

  async function answered(destination: string, status: number): Promise<number> {
    return (await run.rows(destination)).filter((row) => row.status === status).length;
  }
});

/** One request at a time, so that a connection that could be used again would be. */
function withOneAtATime(faults: Readonly<Record<string, Fault>>): Record<string, Fault> {
  return Object.fromEntries(
    Object.entries(faults).map(([id, fault]) => [id, { ...fault, settings: { maxInFlight: 1 } }]),
  );
}
