import type { DispatcherProcess } from '../test/support/dispatcher.ts';
import { Load, sleep } from './load.ts';
import { peakResidentBytesOf } from './process-usage.ts';
import { withScene, type Say, type Scene } from './scene.ts';

export interface LedgerOutageOptions {
  /** How long ClickHouse is away. */
  readonly seconds: number;
  /** Events per second. */
  readonly rate: number;
  readonly lanes: number;
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

const TENANTS = 100;
const PARTITIONS = 12;
const CALM_SECONDS = 15;
const DRAIN_TIMEOUT_SECONDS = 3_600;
const SAMPLE_MS = 250;

/** A steady load; ClickHouse is killed for a while and comes back. Deliveries should go on, memory stay flat, and no row be lost or there twice. */
export function benchLedgerOutage(options: LedgerOutageOptions, say: Say): Promise<LedgerOutageFigures> {
  return withScene(PARTITIONS, say, async (scene) => {
    const tenants = Array.from({ length: TENANTS }, (_, i) => `tenant-${i + 1}`);
    const dispatcher = await scene.startDispatcher(tenants, { lanes: { count: options.lanes } });
    const load = await Load.open(scene.brokers, scene.topic);
    const run = (seconds: number, seed: number): Promise<number> =>
      load.run({ ratePerSecond: options.rate, seconds, tenants: TENANTS, seed }, partitionOf);
    const delivered = (): Promise<number> => dispatcher.metric('eventdispatch_deliveries_total');
    say(`calm, ${CALM_SECONDS} s`);
    let events = await run(5, 1);
    const beforeCalm = await delivered();
    events += await run(CALM_SECONDS, 2);
    const afterCalm = await delivered();
    const rssBeforeMb = peakResidentBytesOf(dispatcher.child.pid) / 1e6;
    say(`ClickHouse is killed, for ${options.seconds} s`);
    await scene.owner.kill();
    const sampling = mostRows(dispatcher);
    const beforeOutage = await delivered();
    events += await run(options.seconds, 3);
    const inOutage = (await delivered()) - beforeOutage;
    await scene.owner.startAgain();
    const healedMs = performance.now();
    await load.close();
    say('ClickHouse is back; waiting until the overflow is empty');
    await untilDrained(dispatcher, say);
    const drainedAfterSeconds = (performance.now() - healedMs) / 1_000;
    const mostRowsInMemory = await sampling.stop();
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
      rssPeakMb: peakResidentBytesOf(dispatcher.child.pid) / 1e6,
    };
  });
}

function partitionOf(tenant: string): number {
  return Number(tenant.slice('tenant-'.length)) % PARTITIONS;
}

function overflowRows(dispatcher: DispatcherProcess, direction: 'written' | 'drained'): Promise<number> {
  return dispatcher.metric('eventdispatch_overflow_rows_total', { direction });
}

function mostRows(dispatcher: DispatcherProcess): { stop(): Promise<number> } {
  let most = 0;
  let isStopped = false;
  const run = async (): Promise<void> => {
    while (!isStopped) {
      most = Math.max(most, await dispatcher.metric('eventdispatch_ledger_pending_rows'));
      await sleep(SAMPLE_MS);
    }
  };
  const running = run();
  return {
    stop: async () => {
      isStopped = true;
      await running;
      return most;
    },
  };
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
