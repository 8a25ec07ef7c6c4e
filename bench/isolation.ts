import { Load, sleep } from './load.ts';
import { withScene, type Say, type Scene } from './scene.ts';
import { peakResidentBytesOf } from './process-usage.ts';
import { WARM_UP_SECONDS } from './steady-load.ts';

export interface IsolationOptions {
  readonly seconds: number;
  /** Events per second of all quiet tenants together. */
  readonly rate: number;
  /** Events per second of the tenant that floods. */
  readonly floodRate: number;
  /** Requests per second that it may make. Much more would measure how the processes share the cores. */
  readonly floodLimit: number;
  readonly lanes: number;
}

/** The others beside the same others without the two, in one run. */
export interface IsolationFigures {
  readonly othersThroughputRatio: number;
  readonly othersP99Ratio: number;
  readonly othersP99AloneMs: number;
  readonly othersP99BesideMs: number;
  /**
   * The same of the median of the seconds' p99s. On a machine that all parts share, one second in which the
   * ledger merges or the broker compiles decides the p99 of the whole, with trouble or without.
   */
  readonly othersUsualP99Ratio: number;
  readonly othersPerSecondAlone: number;
  readonly othersPerSecondBeside: number;
  readonly floodPerSecond: number;
  readonly hangingAttempts: number;
  readonly rssMb: number;
}

const TENANTS = 100;
const FLOODING = 'tenant-1';
const HANGING = 'tenant-2';
/** The two troublemakers have a partition each: within a partition Kafka is a queue, and nothing here can change that. */
const PARTITIONS = 12;
const PARTITION_OF_FLOODING = PARTITIONS - 1;
const PARTITION_OF_HANGING = PARTITIONS - 2;
const QUIET_PARTITIONS = PARTITIONS - 2;
const CATCH_UP_SECONDS = 60;
/** For the ledger to merge what the warm-up wrote. */
const REST_MS = 10_000;
/** Events per second of the tenant that hangs. */
const HANGING_RATE = 500;
const HANG_TIMEOUT = '30s';

/**
 * 100 tenants at a steady rate, first without trouble, then with one of them hanging
 * every request for 30 s and another one flooding: the other 98 should not notice.
 */
export function benchIsolation(options: IsolationOptions, say: Say): Promise<IsolationFigures> {
  return withScene(PARTITIONS, say, async (scene) => {
    const tenants = Array.from({ length: TENANTS }, (_, i) => `tenant-${i + 1}`);
    await scene.receiver.setBehaviour('sink', { hang: true }, `/${HANGING}`);
    const dispatcher = await scene.startDispatcher(tenants, {
      lanes: { count: options.lanes },
      defaults: { timeout: HANG_TIMEOUT },
      limits: { tenants: { byTenant: { [FLOODING]: { rate: `${options.floodLimit}/s` } } } },
    });
    const load = await Load.open(scene.brokers, scene.topic);
    const others = (seconds: number, seed: number): Promise<number> =>
      load.run({ ratePerSecond: options.rate, seconds, tenants: TENANTS, seed }, quietPartition);
    say('warming up');
    // As much as comes with the two, so that the broker has compiled for it before anything is measured.
    const ratePerSecond = options.rate + options.floodRate;
    const warmUp = { ratePerSecond, seconds: WARM_UP_SECONDS, tenants: TENANTS, seed: 1 };
    await caughtUp(scene, await load.run(warmUp, quietPartition));
    await sleep(REST_MS);
    say(`98 tenants alone, ${options.seconds} s`);
    const alone = await during(scene, () => others(options.seconds, 2));
    say(`98 tenants beside one that hangs and one that floods, ${options.seconds} s`);
    const flood = load.run(
      { ratePerSecond: options.floodRate, seconds: options.seconds, tenants: 1, seed: 3 },
      () => PARTITION_OF_FLOODING,
    );
    const hanging = load.run(
      { ratePerSecond: HANGING_RATE * 2, seconds: options.seconds, tenants: 2, seed: 4 },
      (tenant) => (tenant === HANGING ? PARTITION_OF_HANGING : null),
    );
    const beside = await during(scene, () => others(options.seconds, 5));
    await Promise.all([flood, hanging]);
    await load.close();
    const rssMb = peakResidentBytesOf(dispatcher.child.pid) / 1e6;
    const troubles = await troublesOf(scene, beside.fromMs, beside.untilMs);
    return {
      othersThroughputRatio: beside.deliveriesPerSecond / alone.deliveriesPerSecond,
      othersP99Ratio: beside.p99Ms / alone.p99Ms,
      othersP99AloneMs: alone.p99Ms,
      othersP99BesideMs: beside.p99Ms,
      othersUsualP99Ratio: beside.usualP99Ms / alone.usualP99Ms,
      othersPerSecondAlone: alone.deliveriesPerSecond,
      othersPerSecondBeside: beside.deliveriesPerSecond,
      floodPerSecond: troubles.flooded / options.seconds,
      hangingAttempts: troubles.hung,
      rssMb,
    };
  });
}

function quietPartition(tenant: string): number | null {
  if (tenant === FLOODING || tenant === HANGING) return null;
  return Number(tenant.slice('tenant-'.length)) % QUIET_PARTITIONS;
}

/** Waits until the ledger has what was sent so far, so that nothing left over is measured. */
async function caughtUp(scene: Scene, events: number): Promise<void> {
  for (let waited = 0; waited < CATCH_UP_SECONDS; waited++) {
    const [row] = await scene.ledger.query<{ n: number }>(
      `SELECT count() AS n FROM attempts WHERE outcome = 'delivered'`,
    );
    if (Number(row?.n) >= events) return;
    await sleep(1_000);
  }
  throw new Error(`the dispatcher did not deliver ${events} events within ${CATCH_UP_SECONDS} s`);
}

interface Window {
  readonly fromMs: number;
  readonly untilMs: number;
  readonly deliveriesPerSecond: number;
  /** From the producer's time to the end of the attempt that delivered. */
  readonly p99Ms: number;
  /** The median of each second's. */
  readonly usualP99Ms: number;
}

/** What the ledger says of the quiet tenants' events that were delivered while the load ran. */
async function during(scene: Scene, run: () => Promise<unknown>): Promise<Window> {
  const fromMs = Date.now();
  await run();
  const untilMs = Date.now();
  // What was delivered just before the end is in the ledger soon after.
  await sleep(3_000);
  const parameters = { flooding: FLOODING, hanging: HANGING, from: fromMs, until: untilMs };
  const [whole] = await scene.ledger.query<{ delivered: number; p99: number }>(
    `SELECT count() AS delivered, quantileExact(0.99)(latencyMs) AS p99 FROM (${LATENCIES})`,
    parameters,
  );
  const [seconds] = await scene.ledger.query<{ p99: number }>(
    `SELECT quantileExact(0.5)(p99) AS p99
     FROM (SELECT second, quantileExact(0.99)(latencyMs) AS p99 FROM (${LATENCIES}) GROUP BY second)`,
    parameters,
  );
  return {
    fromMs,
    untilMs,
    deliveriesPerSecond: Number(whole?.delivered) / ((untilMs - fromMs) / 1000),
    p99Ms: Number(whole?.p99),
    usualP99Ms: Number(seconds?.p99),
  };
}

const LATENCIES = `
  SELECT toStartOfSecond(attempted_at) AS second,
    date_diff('millisecond', produced_at, attempted_at) + duration_us / 1000 AS latencyMs
  FROM attempts
  WHERE outcome = 'delivered' AND tenant NOT IN ({flooding:String}, {hanging:String})
    AND toUnixTimestamp64Milli(attempted_at) BETWEEN {from:Int64} AND {until:Int64}`;

async function troublesOf(
  scene: Scene,
  from: number,
  until: number,
): Promise<{ flooded: number; hung: number }> {
  const [row] = await scene.ledger.query<{ flooded: number; hung: number }>(
    `SELECT countIf(tenant = {flooding:String} AND outcome = 'delivered') AS flooded,
       countIf(tenant = {hanging:String} AND class != '') AS hung
     FROM attempts WHERE toUnixTimestamp64Milli(attempted_at) BETWEEN {from:Int64} AND {until:Int64}`,
    { flooding: FLOODING, hanging: HANGING, from, until },
  );
  return { flooded: Number(row?.flooded), hung: Number(row?.hung) };
}
