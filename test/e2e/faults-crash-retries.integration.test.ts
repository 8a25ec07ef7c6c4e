/**
 * Faults K7 and H1 together: kill -9 while deliveries fail. How often a delivery was tried is in Kafka, so a crash between
 * attempts makes none start anew: the ledger counts 1, 2, 3 … to the end, and the back-off holds across the crash.
 * In the midst of attempts the window is that of `recovery.ts`: a hand-over that the broker has and the ledger does
 * not is made once more, so an outcome that the crash has swallowed may begin the rest of its attempts a second time.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';

import type { SourceRecord } from '../../src/domain/record.ts';
import type { DispatcherProcess } from '../support/dispatcher.ts';
import type { ReceivedRequest } from '../support/receiver.ts';
import { waitFor } from '../support/wait.ts';
import { describeWithKafka } from '../support/with-real-parts.ts';
import { FaultRun, gapsOf, headersOf, lettersOf, rowsOf, type AttemptRow } from './fault-run.ts';

const TENANTS = ['one', 'two', 'three', 'four'];
const EVENTS_EACH = 10;
const DELIVERIES = TENANTS.length * EVENTS_EACH;
const MAX_ATTEMPTS = 4;
const AT_REST_MS = 250;
const WAIT = { timeoutMs: 60_000, intervalMs: 5 };

interface Crashes {
  readonly backoffMs: number;
  readonly isSwallowing: boolean;
  /** Whether it is time for the next kill. */
  readonly isTime: (kill: number, run: FaultRun) => Promise<boolean>;
}

const CRASHES: Readonly<Record<string, Crashes>> = {
  // The attempts that were made are in the ledger, and the next ones three seconds away.
  'between attempts': {
    backoffMs: 3_000,
    isSwallowing: false,
    isTime: async (kill, run) => (await rowCount(run)) >= kill * DELIVERIES,
  },
  'in the midst of attempts': {
    backoffMs: 300,
    isSwallowing: true,
    isTime: async (kill, run) => (await requestCount(run)) >= (kill - 0.5) * DELIVERIES,
  },
};

for (const [when, { backoffMs, isSwallowing, isTime }] of Object.entries(CRASHES)) {
  describeWithKafka(`kill -9 ${when}`, (kafka) => {
    let run: FaultRun;
    const rows: AttemptRow[] = [];
    const requests: ReceivedRequest[] = [];
    let letters: SourceRecord[];
    /** By delivery, over all kills: attempts of which the ledger had no row when the dispatcher died. */
    const swallowed = new Map<string, number>();

    beforeAll(async () => {
      const settings = {
        breaker: 'off',
        retry: { maxAttempts: MAX_ATTEMPTS, schedule: [`${backoffMs}ms`] },
      };
      run = await FaultRun.open({
        kafka,
        destinations: Object.fromEntries(TENANTS.map((id) => [id, { behaviour: { status: 503 }, settings }])),
      });
      let dispatcher: DispatcherProcess = await run.start();
      await run.send(EVENTS_EACH);
      for (let kill = 1; kill < MAX_ATTEMPTS; kill++) {
        await waitFor(() => isTime(kill, run), {
          ...WAIT,
          what: () => `the time of kill ${kill}\n${dispatcher.child.output()}`,
        });
        await dispatcher.kill();
        await receiverAtRest(run);
        await countSwallowed();
        dispatcher = await run.start();
      }
      await run.quiet();
      await dispatcher.stop();
      for (const id of TENANTS) {
        rows.push(...(await run.rows(id)));
        requests.push(...(await run.requests(id)));
      }
      letters = await run.deadLetters();
      const sum = [...swallowed.values()].reduce((total, count) => total + count, 0);
      console.info(
        `kill -9 ${when}: ${sum} outcomes swallowed, ${requests.length - DELIVERIES * MAX_ATTEMPTS} requests too many, ` +
          `${letters.length - DELIVERIES} dead letters too many`,
      );
    });
    afterAll(() => run.close());

    it('makes the attempts allowed, and as many again at most for each outcome it swallowed', () => {
      for (const { deliveryId } of deliveries()) {
        const made = requests.filter(({ webhookId }) => webhookId === deliveryId).length;
        expect(made).toBeGreaterThanOrEqual(MAX_ATTEMPTS);
        expect(made, deliveryId).toBeLessThanOrEqual(MAX_ATTEMPTS * chainsOf(deliveryId));
      }
    });

    it('has the ledger count on: 1, 2, 3 …', () => {
      for (const { deliveryId } of deliveries()) {
        const attempts = rowsOf(rows, deliveryId).map(({ attempt }) => attempt);
        expect([...new Set(attempts)]).toEqual(Array.from({ length: MAX_ATTEMPTS }, (_, i) => i + 1));
        expect(attempts.length, deliveryId).toBeLessThanOrEqual(MAX_ATTEMPTS * chainsOf(deliveryId));
      }
    });

    it('keeps the back-off across the crash', () => {
      for (const { deliveryId } of deliveries())
        if (!swallowed.has(deliveryId))
          for (const gapMs of gapsOf(requests, deliveryId)) expect(gapMs).toBeGreaterThanOrEqual(backoffMs);
    });

    it('ends each in a dead letter, with all of its attempts', () => {
      for (const { deliveryId, record } of deliveries()) {
        const found = lettersOf(letters, deliveryId);
        expect(found.length).toBeGreaterThanOrEqual(1);
        expect(found.length, deliveryId).toBeLessThanOrEqual(chainsOf(deliveryId));
        for (const letter of found) {
          expect(letter.value).toEqual(record.value);
          expect(headersOf(letter)).toMatchObject({
            'eventdispatch-attempts': String(MAX_ATTEMPTS),
            'eventdispatch-reason': 'http_503',
          });
        }
      }
    });

    it('really died with outcomes that nobody knew of, or really without', () => {
      expect(swallowed.size > 0).toBe(isSwallowing);
    });

    /** How often it may have been begun: once, and once more for each outcome swallowed. */
    function chainsOf(id: string): number {
      return 1 + (swallowed.get(id) ?? 0);
    }

    function deliveries() {
      return TENANTS.flatMap((id) => run.events(id));
    }

    async function countSwallowed(): Promise<void> {
      for (const id of TENANTS) {
        const known = await run.rows(id);
        const made = await run.requests(id);
        for (const { deliveryId } of run.events(id)) {
          const count = made.filter(({ webhookId }) => webhookId === deliveryId).length;
          const lost = count - rowsOf(known, deliveryId).length;
          if (lost > 0) swallowed.set(deliveryId, Math.max(lost, swallowed.get(deliveryId) ?? 0));
        }
      }
    }
  });
}

async function rowCount(run: FaultRun): Promise<number> {
  const counts = await Promise.all(TENANTS.map(async (id) => (await run.rows(id)).length));
  return counts.reduce((sum, count) => sum + count, 0);
}

/** A request of a process that is dead may still be on its way to the log of the receiver. */
async function receiverAtRest(run: FaultRun): Promise<void> {
  let count = -1;
  await waitFor(
    async () => {
      const before = count;
      count = await requestCount(run);
      return count === before;
    },
    { timeoutMs: WAIT.timeoutMs, intervalMs: AT_REST_MS, what: 'the receiver to come to rest' },
  );
}

async function requestCount(run: FaultRun): Promise<number> {
  const counts = await run.scenario.receiver.counts();
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}
