import type { DispatcherProcess } from '../test/support/dispatcher.ts';
import { Load } from './load.ts';
import { peakResidentBytesOf, residentBytesOf } from './process-usage.ts';
import { withScene, type Say, type Scene } from './scene.ts';

const TENANTS = 100;
const PARTITIONS = 12;
/** The broker’s compiler is busy for so long, on the same cores. */
export const WARM_UP_SECONDS = 25;
const MEMORY_LOOK_MS = 1_000;

export interface SteadyLoadOptions {
  /** Events per second of all tenants together. */
  readonly rate: number;
  readonly lanes: number;
}

/** A dispatcher that is warm, and 100 tenants whose events come at one rate. */
export interface SteadyLoad {
  readonly scene: Scene;
  readonly dispatcher: DispatcherProcess;
  readonly tenants: readonly string[];
  /** Of all that was sent so far. */
  events(): number;
  /** Sends for so long. */
  run(seconds: number): Promise<void>;
  /** Sends nothing any more; what was sent is at the broker. */
  end(): Promise<void>;
  /** The most memory that the dispatcher had so far. */
  rssPeakMb(): number;
  /** What it had on average between two times, by looks a second apart. */
  rssMeanMb(fromMs: number, untilMs: number): number;
}

/** @param config of the dispatcher, besides its lanes. */
export function withSteadyLoad<T>(
  options: SteadyLoadOptions,
  config: Readonly<Record<string, unknown>>,
  say: Say,
  bench: (steady: SteadyLoad) => Promise<T>,
): Promise<T> {
  return withScene(PARTITIONS, say, async (scene) => {
    const tenants = Array.from({ length: TENANTS }, (_, i) => `tenant-${i + 1}`);
    const dispatcher = await scene.startDispatcher(tenants, { lanes: { count: options.lanes }, ...config });
    const load = await Load.open(scene.brokers, scene.topic);
    let events = 0;
    let seed = 0;
    const run = async (seconds: number): Promise<void> => {
      seed++;
      const plan = { ratePerSecond: options.rate, seconds, tenants: TENANTS, seed };
      events += await load.run(plan, (tenant) => numberOf(tenant) % PARTITIONS);
    };
    await run(WARM_UP_SECONDS);
    const memory = watchMemory(dispatcher.child.pid);
    try {
      return await bench({
        scene,
        dispatcher,
        tenants,
        events: () => events,
        run,
        end: () => load.close(),
        rssPeakMb: () => peakResidentBytesOf(dispatcher.child.pid) / 1e6,
        rssMeanMb: memory.meanMb,
      });
    } finally {
      memory.stop();
    }
  });
}

function watchMemory(pid: number): { meanMb(fromMs: number, untilMs: number): number; stop(): void } {
  const looks: { readonly atMs: number; readonly mb: number }[] = [];
  const timer = setInterval(() => {
    looks.push({ atMs: Date.now(), mb: residentBytesOf(pid) / 1e6 });
  }, MEMORY_LOOK_MS);
  return {
    meanMb: (fromMs, untilMs) => {
      const between = looks.filter(({ atMs }) => atMs >= fromMs && atMs < untilMs);
      return between.reduce((sum, { mb }) => sum + mb, 0) / between.length;
    },
    stop: () => {
      clearInterval(timer);
    },
  };
}

export function numberOf(tenant: string): number {
  return Number(tenant.slice('tenant-'.length));
}
