import { sleep } from './load.ts';
import type { Say, Scene } from './scene.ts';
import { numberOf, withSteadyLoad, type SteadyLoadOptions } from './steady-load.ts';

export interface RetryStormOptions extends SteadyLoadOptions {
  /** How long half of the destinations answer 503. */
  readonly seconds: number;
}

export interface RetryStormFigures {
  readonly events: number;
  /** First attempts of the healthy half, in the storm over before it. */
  readonly healthyThroughputRatio: number;
  readonly healthyP99BeforeMs: number;
  readonly healthyP99StormMs: number;
  readonly refusedBy503: number;
  readonly undelivered: number;
  readonly deliveredTwice: number;
  /** From the end of the storm until everything was delivered. */
  readonly healedAfterSeconds: number;
  /** Most deliveries in any second after healing, over the rate of the load. */
  readonly peakAfterHealingRatio: number;
  /** Means: before the storm, in its first half, in its second half, and while it heals. */
  readonly rssBeforeMb: number;
  readonly rssFirstHalfMb: number;
  readonly rssSecondHalfMb: number;
  readonly rssHealingMb: number;
  readonly rssPeakMb: number;
}

const CALM_SECONDS = 15;
const HEAL_TIMEOUT_SECONDS = 300;
const SETTLE_MS = 3_000;
/** Retries go on for as long as the storm does. */
const PATIENT = {
  retry: { delays: ['1s', '5s', '15s', '30s'] },
  defaults: {
    retry: { maxAttempts: 100, initialDelay: '1s', maxDelay: '30s' },
    breaker: { open: '5s', maxOpen: '20s' },
  },
};

/**
 * A steady load on 100 destinations; half of them answer 503 for a while and then
 * heal. Memory should stay flat, the other half should notice nothing, and in the end
 * everything is delivered, at a bounded rate.
 */
export function benchRetryStorm(options: RetryStormOptions, say: Say): Promise<RetryStormFigures> {
  return withSteadyLoad(options, PATIENT, say, async (steady) => {
    const { scene, tenants } = steady;
    say(`calm, ${CALM_SECONDS} s`);
    const calmFromMs = Date.now();
    await steady.run(CALM_SECONDS);
    const stormFromMs = Date.now();
    say(`storm: half of the destinations answer 503, ${options.seconds} s`);
    await setFailing(scene, tenants, true);
    await steady.run(options.seconds);
    const healedMs = Date.now();
    await setFailing(scene, tenants, false);
    await steady.end();
    say('healed; waiting until everything is delivered');
    const events = steady.events();
    const undelivered = await waitDelivered(scene, events);
    const deliveredMs = Date.now();
    const halfwayMs = (stormFromMs + healedMs) / 2;
    const calm = await healthy(scene, calmFromMs, stormFromMs);
    const storm = await healthy(scene, stormFromMs, healedMs);
    return {
      events,
      healthyThroughputRatio: storm.perSecond / calm.perSecond,
      healthyP99BeforeMs: calm.p99Ms,
      healthyP99StormMs: storm.p99Ms,
      refusedBy503: await count(scene, `status = 503`),
      undelivered,
      deliveredTwice: await twice(scene),
      healedAfterSeconds: (deliveredMs - healedMs) / 1000,
      peakAfterHealingRatio: (await peakPerSecond(scene, healedMs)) / options.rate,
      rssBeforeMb: steady.rssMeanMb(calmFromMs, stormFromMs),
      rssFirstHalfMb: steady.rssMeanMb(stormFromMs, halfwayMs),
      rssSecondHalfMb: steady.rssMeanMb(halfwayMs, healedMs),
      rssHealingMb: steady.rssMeanMb(healedMs, deliveredMs),
      rssPeakMb: steady.rssPeakMb(),
    };
  });
}

/** Tenants with an even number are the half that fails. */
async function setFailing(scene: Scene, tenants: readonly string[], isFailing: boolean): Promise<void> {
  const behaviour = isFailing ? { status: 503 } : { status: 200 };
  for (const tenant of tenants) {
    if (numberOf(tenant) % 2 === 0) await scene.receiver.setBehaviour('sink', behaviour, `/${tenant}`);
  }
}

/** @returns how many events were not delivered when the time was over. */
async function waitDelivered(scene: Scene, events: number): Promise<number> {
  let missing = events;
  for (let waited = 0; waited < HEAL_TIMEOUT_SECONDS && missing > 0; waited++) {
    await sleep(1_000);
    missing = events - (await count(scene, `outcome = 'delivered'`));
  }
  return missing;
}

const NUMBER_OF_TENANT = `toUInt32(substring(tenant, 8))`;

async function healthy(
  scene: Scene,
  from: number,
  until: number,
): Promise<{ perSecond: number; p99Ms: number }> {
  await sleep(SETTLE_MS);
  const [row] = await scene.ledger.query<{ n: number; p99: number }>(
    `SELECT count() AS n,
       quantileExact(0.99)(date_diff('millisecond', produced_at, attempted_at) + duration_us / 1000) AS p99
     FROM attempts
     WHERE outcome = 'delivered' AND ${NUMBER_OF_TENANT} % 2 = 1
       AND toUnixTimestamp64Milli(attempted_at) BETWEEN {from:Int64} AND {until:Int64}`,
    { from, until },
  );
  return { perSecond: Number(row?.n) / ((until - from) / 1000), p99Ms: Number(row?.p99) };
}

/** @param condition of this file's own, never from outside. */
async function count(scene: Scene, condition: string): Promise<number> {
  const [row] = await scene.ledger.query<{ n: number }>(
    `SELECT count() AS n FROM attempts WHERE ${condition}`,
  );
  return Number(row?.n);
}

async function twice(scene: Scene): Promise<number> {
  const [row] = await scene.ledger.query<{ n: number }>(
    `SELECT count() AS n FROM (
       SELECT delivery_id FROM attempts WHERE outcome = 'delivered' GROUP BY delivery_id HAVING count() > 1
     )`,
  );
  return Number(row?.n);
}

async function peakPerSecond(scene: Scene, from: number): Promise<number> {
  const [row] = await scene.ledger.query<{ n: number }>(
    `SELECT max(n) AS n FROM (
       SELECT toStartOfSecond(attempted_at) AS second, count() AS n FROM attempts
       WHERE class != '' AND toUnixTimestamp64Milli(attempted_at) > {from:Int64} GROUP BY second
     )`,
    { from },
  );
  return Number(row?.n);
}
