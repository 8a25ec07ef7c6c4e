import { CHANNELS, EVERY_TENANT } from '../domain/destination.ts';
import type { RateLimit } from '../domain/destination.ts';
import type { LimitsConfig } from './config.ts';
import type { Report } from './problems.ts';
import type { Settings } from './schema.ts';

export function compileLimits({ channels, tenants }: Settings['limits'], report: Report): LimitsConfig {
  if (Object.hasOwn(tenants.byTenant, EVERY_TENANT)) {
    report(
      ['limits', 'tenants', 'byTenant', EVERY_TENANT],
      'is not allowed: limits.tenants.default is for every tenant; allowed: the id of one tenant',
    );
  }
  return {
    channels: bucketsOf(CHANNELS.map((channel) => [channel, channels[channel]])),
    tenants: {
      default: compileBucket(tenants.default),
      byTenant: bucketsOf(Object.entries(tenants.byTenant)),
    },
  };
}

type Written = Settings['defaults']['rateLimit'] | undefined;

function bucketsOf(written: readonly (readonly [string, Written])[]): Record<string, RateLimit> {
  return Object.fromEntries(
    written.flatMap(([name, settings]) => {
      const limit = compileBucket(settings);
      return limit === null ? [] : [[name, limit]];
    }),
  );
}

/** Null for none, and for one whose rate is missing, which is a problem of its own. */
export function compileBucket(settings: Written): RateLimit | null {
  if (settings?.rate === undefined) return null;
  const { rate: ratePerSecond, burst = Math.max(1, Math.ceil(ratePerSecond)) } = settings;
  return { ratePerSecond, burst };
}
