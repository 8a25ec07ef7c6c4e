/**
 * Fault H4: 429, and 503 with Retry-After, in seconds, as a date, enormous, negative or junk. What was asked for is
 * kept to, up to its cap, by the deliveries that were told and by all others of the destination; throttling is no
 * failure, so no breaker opens.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { DispatcherProcess } from '../support/dispatcher.ts';
import type { Behaviour, ReceivedRequest } from '../support/receiver.ts';
import { waitFor } from '../support/wait.ts';
import { describeWithKafka } from '../support/with-real-parts.ts';
import {
  FaultRun,
  gapsOf,
  headersOf,
  INITIAL_DELAY_MS,
  MAX_ATTEMPTS,
  rowsOf,
  type AttemptRow,
} from './fault-run.ts';

/** More than the failures in a row that would open a breaker. */
const EVENTS_EACH = 8;
const CONSECUTIVE_FAILURES = 3;
const MAX_RETRY_AFTER_MS = 2_500;
const DATE_AHEAD_MS = 4_000;
const SECOND_MS = 1_000;
/** The receiver's log takes its times from two clocks, which are read one after the other. */
const CLOCKS_DIFFER_BY_MS = 20;
const WAIT = { timeoutMs: 60_000 };

interface Throttled extends Behaviour {
  /** The first answer; the second one is a 200. */
  readonly first: number;
  /** How long after the request the next one may come. */
  readonly askedMs: number;
}

const THROTTLED: Readonly<Record<string, Throttled>> = {
  'seconds-429': { first: 429, headers: { 'retry-after': '2' }, askedMs: 2_000 },
  'seconds-503': { first: 503, headers: { 'retry-after': '2' }, askedMs: 2_000 },
  // A date has whole seconds only, so up to one less than it was ahead. Within what the dispatcher waits at most.
  'date-429': { first: 429, retryAfterDateMs: 2_400, askedMs: 1_400 },
  'date-503': { first: 503, retryAfterDateMs: 2_400, askedMs: 1_400 },
  'past-date': { first: 429, retryAfterDateMs: -60_000, askedMs: INITIAL_DELAY_MS },
  'far-date': { first: 429, retryAfterDateMs: 1e10, askedMs: MAX_RETRY_AFTER_MS },
  enormous: { first: 429, headers: { 'retry-after': '1000000000' }, askedMs: MAX_RETRY_AFTER_MS },
  'enormous-503': { first: 503, headers: { 'retry-after': '1000000000' }, askedMs: MAX_RETRY_AFTER_MS },
  negative: { first: 429, headers: { 'retry-after': '-5' }, askedMs: INITIAL_DELAY_MS },
  zero: { first: 503, headers: { 'retry-after': '0' }, askedMs: INITIAL_DELAY_MS },
  junk: { first: 429, headers: { 'retry-after': 'soon' }, askedMs: INITIAL_DELAY_MS },
  'no-header': { first: 429, askedMs: INITIAL_DELAY_MS },
};

/** Is told to wait while others of it wait to be sent. */
const PAUSED = 'paused';
/** Never takes anything. */
const HOPELESS = 'hopeless';

describeWithKafka('H4: an endpoint throttles', (kafka) => {
  let run: FaultRun;
  let dispatcher: DispatcherProcess;
  const rows = new Map<string, AttemptRow[]>();
  const requests = new Map<string, ReceivedRequest[]>();
  let breakerOpened: number;

  beforeAll(async () => {
    const settings = {
      breaker: { consecutiveFailures: CONSECUTIVE_FAILURES },
      retry: { maxRetryAfter: `${MAX_RETRY_AFTER_MS}ms` },
    };
    run = await FaultRun.open({
      kafka,
      destinations: {
        ...Object.fromEntries(
          Object.entries(THROTTLED).map(([id, { first, askedMs: _, ...behaviour }]) => [
            id,
            { behaviour: { ...behaviour, statuses: [first, 200] }, settings },
          ]),
        ),
        [PAUSED]: {
          behaviour: { status: 429, retryAfterDateMs: DATE_AHEAD_MS },
          settings: { ...settings, retry: { maxRetryAfter: '1m' } },
        },
        [HOPELESS]: { behaviour: { status: 429, headers: { 'retry-after': '1' } }, settings },
      },
    });
    dispatcher = await run.start();
    await run.send(EVENTS_EACH);
    await waitFor(async () => (await run.rows(PAUSED)).length >= EVENTS_EACH, {
      ...WAIT,
      what: () => `the first answers of ${PAUSED}\n${dispatcher.child.output()}`,
    });
    await run.scenario.receiver.setBehaviour(PAUSED, {});
    await run.send(EVENTS_EACH, [PAUSED]);
    await run.quiet();
    for (const id of [...Object.keys(THROTTLED), PAUSED, HOPELESS]) {
      rows.set(id, await run.rows(id));
      requests.set(id, await run.requests(id));
    }
    breakerOpened = dispatcher.child.output().match(/"event":"breaker_opened"/g)?.length ?? 0;
  });
  afterAll(() => run.close());

  for (const [id, { first, askedMs }] of Object.entries(THROTTLED)) {
    describe(id, () => {
      it(`is tried again no sooner than ${askedMs} ms after its ${first}`, () => {
        for (const { deliveryId } of run.events(id)) {
          const gaps = gapsOf(requests.get(id)!, deliveryId);
          expect(gaps).toHaveLength(1);
          expect(gaps[0]).toBeGreaterThanOrEqual(askedMs);
        }
      });

      it('is delivered by the second attempt, and by Kafka', () => {
        for (const { deliveryId } of run.events(id)) {
          const sent = rowsOf(rows.get(id)!, deliveryId).filter((row) => row.class !== '');
          expect(sent).toMatchObject([
            { attempt: 1, outcome: 'retrying', class: 'throttled', status: first, hand_over: 'retry' },
            { attempt: 2, outcome: 'delivered', class: 'delivered', status: 200, hand_over: '' },
          ]);
          expect(sent.map(({ ambiguous }) => ambiguous)).toEqual([false, false]);
        }
      });
    });
  }

  it('keeps to a date, by the wall clock', () => {
    for (const id of ['date-429', 'date-503']) {
      const aheadMs = THROTTLED[id]!.retryAfterDateMs!;
      for (const { deliveryId } of run.events(id)) {
        const [told, again] = requests.get(id)!.filter(({ webhookId }) => webhookId === deliveryId);
        const date =
          Math.floor((told!.wallUs / 1000 - CLOCKS_DIFFER_BY_MS + aheadMs) / SECOND_MS) * SECOND_MS;
        expect(again!.wallUs / 1000).toBeGreaterThanOrEqual(date);
      }
    }
  });

  it('sends nothing else to a destination that asked for a pause before that is over', () => {
    const all = requests.get(PAUSED)!;
    const told = all.filter(({ status }) => status === 429);
    expect(told.length).toBeGreaterThan(0);
    const lastToldMs = told.at(-1)!.wallUs / 1000 - CLOCKS_DIFFER_BY_MS;
    const pausedUntilMs = Math.floor((lastToldMs + DATE_AHEAD_MS) / SECOND_MS) * SECOND_MS;
    const later = all.filter(({ status }) => status !== 429);
    expect(later.length).toBe(2 * EVENTS_EACH);
    for (const { wallUs } of later) expect(wallUs / 1000).toBeGreaterThanOrEqual(pausedUntilMs);
  });

  it('charges nothing for a delivery that was held back unsent', () => {
    const unsent = [...rows.values()].flat().filter((row) => row.class === '');
    for (const row of unsent)
      expect(row).toMatchObject({ outcome: 'retrying', reason: 'paused_by_receiver', hand_over: 'retry' });
    for (const { deliveryId } of run.events(PAUSED)) {
      const final = rowsOf(rows.get(PAUSED)!, deliveryId).filter((row) => row.is_final);
      const sent = requests.get(PAUSED)!.filter(({ webhookId }) => webhookId === deliveryId).length;
      expect(final).toMatchObject([{ outcome: 'delivered', attempt: sent }]);
    }
  });

  it('ends dead where throttling never ends', async () => {
    const letters = await run.deadLetters();
    expect(letters).toHaveLength(EVENTS_EACH);
    for (const letter of letters)
      expect(headersOf(letter)).toMatchObject({
        'eventdispatch-destination-id': HOPELESS,
        'eventdispatch-reason': 'http_429',
        'eventdispatch-attempts': String(MAX_ATTEMPTS),
      });
    for (const { deliveryId } of run.events(HOPELESS))
      for (const gapMs of gapsOf(requests.get(HOPELESS)!, deliveryId))
        expect(gapMs).toBeGreaterThanOrEqual(SECOND_MS);
  });

  it('opens no breaker', () => {
    expect([...rows.values()].flat().filter(({ outcome }) => outcome === 'breaker_open')).toEqual([]);
    expect(breakerOpened).toBe(0);
  });

  it('drains', async () => {
    expect(await dispatcher.stop(), dispatcher.child.output()).toEqual({ code: 0, signal: null });
  });
});
