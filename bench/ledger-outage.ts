import type { DispatcherProcess } from '../test/support/dispatcher.ts';
import { sampleMost } from '../test/support/sample-most.ts';
import { sleep } from './load.ts';
import type { Say, Scene } from './scene.ts';
import { withSteadyLoad, type SteadyLoadOptions } from './steady-load.ts';

export interface LedgerOutageOptions extends SteadyLoadOptions {
  /** How long ClickHouse is away. */
  readonly seconds: number;
}

export interface LedgerOutageFigures {
  readonly events: number;
  readonly deliveredPerSecondBefore: number;
  readonly deliveredPerSecondInOutage: number;
  readonly mostRowsInMemory: number;
  readonly rowsToOverflow: number;
  readonly rowsDrained: number;
  /** From the end of the outage until the overflow was empty. */
  readonly drainedAfterSeconds: number;
  /** Deliveries that the ledger lacks, has more than once, and events that it has more than once. */
  readonly attemptsLost: number;
  readonly attemptsTwice: number;
  readonly eventsTwice: number;
  readonly rssBeforeMb: number;
  readonly rssPeakMb: number;
}

const CALM_SECONDS = 15;
const DRAIN_TIMEOUT_SECONDS = 3_600;
const SAMPLE_MS = 250;

/** A steady load; ClickHouse is killed for a while and comes back. Deliveries should go on, memory stay flat, and no row be lost or there twice. */
export function benchLedgerOutage(options: LedgerOutageOptions, say: Say): Promise<LedgerOutageFigures> {
  return withSteadyLoad(options, {}, say, async (steady) => {
    const { scene, dispatcher } = steady;
    const delivered = (): Promise<number> => dispatcher.metric('eventdispatch_deliveries_total');
    say(`calm, ${CALM_SECONDS} s`);
    const beforeCalm = await delivered();
    await steady.run(CALM_SECONDS);
    const afterCalm = await delivered();
    const rssBeforeMb = steady.rssPeakMb();
    say(`ClickHouse is killed, for ${options.seconds} s`);
    await scene.owner.kill();
    const sampling = sampleMost(dispatcher, 'eventdispatch_ledger_pending_rows', SAMPLE_MS);
    const beforeOutage = await delivered();
    await steady.run(options.seconds);
    const inOutage = (await delivered()) - beforeOutage;
    await scene.owner.startAgain();
    const healedMs = performance.now();
    await steady.end();
    say('ClickHouse is back; waiting until the overflow is empty');
    await untilDrained(dispatcher, say);
    const drainedAfterSeconds = (performance.now() - healedMs) / 1_000;
    const mostRowsInMemory = await sampling.stop();
    const events = steady.events();
    await untilSettled(scene, events);
    return {
      events,
      deliveredPerSecondBefore: (afterCalm - beforeCalm) / CALM_SECONDS,
      deliveredPerSecondInOutage: inOutage / options.seconds,
      mostRowsInMemory,
      rowsToOverflow: await overflowRows(dispatcher, 'written'),
      rowsDrained: await overflowRows(dispatcher, 'drained'),
      drainedAfterSeconds,
      ...(await account(scene, events)),
      rssBeforeMb,
      rssPeakMb: steady.rssPeakMb(),
    };
  });
}

function overflowRows(dispatcher: DispatcherProcess, direction: 'written' | 'drained'): Promise<number> {
  return dispatcher.metric('eventdispatch_overflow_rows_total', { direction });
}

async function untilDrained(dispatcher: DispatcherProcess, say: Say): Promise<void> {
  for (let waited = 0; waited < DRAIN_TIMEOUT_SECONDS; waited++) {
    const [written, drained] = await Promise.all([
      overflowRows(dispatcher, 'written'),
      overflowRows(dispatcher, 'drained'),
    ]);
    if (drained >= written) return;
    if (waited % 10 === 0) say(`${drained} of ${written} rows drained`);
    await sleep(1_000);
  }
  throw new Error(`the overflow was not empty after ${DRAIN_TIMEOUT_SECONDS} s`);
}

/** The last rows are on their way for a moment yet. */
async function untilSettled(scene: Scene, events: number): Promise<void> {
  for (let waited = 0; waited < 60; waited++) {
    if ((await account(scene, events)).attemptsLost === 0) return;
    await sleep(1_000);
  }
}

async function account(
  scene: Scene,
  events: number,
): Promise<Pick<LedgerOutageFigures, 'attemptsLost' | 'attemptsTwice' | 'eventsTwice'>> {
  const [attempts] = await scene.ledger.query<{ n: number; distinct: number }>(
    `SELECT count() AS n, uniqExact(delivery_id) AS distinct FROM attempts WHERE outcome = 'delivered'`,
  );
  const [rows] = await scene.ledger.query<{ n: number; distinct: number }>(
    `SELECT count() AS n, uniqExact(topic, partition, offset) AS distinct FROM events`,
  );
  return {
    attemptsLost: events - Number(attempts?.distinct),
    attemptsTwice: Number(attempts?.n) - Number(attempts?.distinct),
    eventsTwice: Number(rows?.n) - Number(rows?.distinct),
  };
}
