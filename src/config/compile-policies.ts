import type { BreakerPolicy, Destination, PoisonPolicy, RetryPolicy } from '../domain/destination.ts';
import type { Path } from './paths.ts';
import type { Report } from './problems.ts';
import { breakerDefaults, MAX_ATTEMPTS } from './schema-destinations.ts';
import type { DestinationSettings, Settings } from './schema.ts';

type Defaults = Settings['defaults'];

/** Two keys of a section that bound one another. */
interface Pair {
  /** The one to report at first; the other if the section does not have it. */
  readonly keys: readonly [string, string];
  readonly rule: string;
}

const DELAYS: Pair = {
  keys: ['maxDelay', 'initialDelay'],
  rule: 'maxDelay at least as long as initialDelay',
};
const OPEN: Pair = { keys: ['maxOpen', 'open'], rule: 'maxOpen at least as long as open' };
const IN_FLIGHT: Pair = { keys: ['maxInFlight', 'minInFlight'], rule: 'minInFlight at most maxInFlight' };

const BREAKER = breakerDefaults.always().parse({});

/** Each problem once, and not again for every destination. */
export function checkDefaultPolicies(defaults: Defaults, report: Report): void {
  const { retry, breaker } = defaults;
  const check = (pair: Pair, holds: boolean, at: Path): void => {
    if (!holds) reportPair(pair, pair.keys[1], at, report);
  };
  check(DELAYS, retry.initialDelay <= retry.maxDelay, ['defaults', 'retry']);
  check(OPEN, breaker === null || breaker.open <= breaker.maxOpen, ['defaults', 'breaker']);
  check(IN_FLIGHT, defaults.minInFlight <= defaults.maxInFlight, ['defaults']);
}

/** Where the section has neither of the two, the problem is that of `defaults`. */
function checkOwn(
  pair: Pair,
  own: Readonly<Record<string, unknown>> | undefined,
  holds: boolean,
  at: Path,
  report: Report,
): void {
  const key = pair.keys.find((name) => own?.[name] !== undefined);
  if (!holds && key !== undefined) reportPair(pair, key, at, report);
}

function reportPair(pair: Pair, key: string, at: Path, report: Report): void {
  report([...at, key], `is not allowed; allowed: ${pair.rule}`);
}

export function compileRetry(
  own: DestinationSettings['retry'],
  defaults: Defaults['retry'],
  at: Path,
  report: Report,
): RetryPolicy {
  const { initialDelay, maxDelay, schedule, maxAge, maxRetryAfter, maxShare } = laidOver(defaults, own);
  checkOwn(DELAYS, own, initialDelay <= maxDelay, at, report);
  return {
    maxAttempts: { ...MAX_ATTEMPTS, ...defaults.maxAttempts, ...own?.maxAttempts },
    initialDelayMs: initialDelay,
    maxDelayMs: maxDelay,
    scheduleMs: orNull(schedule),
    maxAgeMs: orNull(maxAge),
    maxRetryAfterMs: maxRetryAfter,
    maxShare,
  };
}

/** Null is off. A destination that says something of its own has one even where `defaults` has none. */
export function compileBreaker(
  own: DestinationSettings['breaker'],
  defaults: Defaults['breaker'],
  at: Path,
  report: Report,
): BreakerPolicy | null {
  const base = own === undefined ? defaults : (defaults ?? BREAKER);
  if (own === null || base === null) return null;
  const settings = laidOver(base, own);
  checkOwn(OPEN, own, settings.open <= settings.maxOpen, at, report);
  return {
    consecutiveFailures: settings.consecutiveFailures,
    failureRate: settings.failureRate,
    windowMs: settings.window,
    minimumVolume: settings.minimumVolume,
    openMs: settings.open,
    maxOpenMs: settings.maxOpen,
    disableAfterMs: orNull(settings.disableAfter),
  };
}

export function compilePoison(
  own: DestinationSettings['poison'],
  defaults: Defaults['poison'],
): PoisonPolicy {
  const { maxBlock, then } = laidOver(defaults, own);
  return { maxBlockMs: maxBlock, then };
}

/** Key by key; a key that is there without a value counts as absent. */
function laidOver<T extends object>(
  base: T,
  own: { readonly [K in keyof T]?: T[K] | undefined } | undefined,
): T {
  const present = Object.entries(own ?? {}).filter(([, value]) => value !== undefined);
  return { ...base, ...Object.fromEntries(present) };
}

export function compileInFlight(
  own: DestinationSettings,
  defaults: Defaults,
  at: Path,
  report: Report,
): Pick<Destination, 'maxInFlight' | 'minInFlight'> {
  const maxInFlight = own.maxInFlight ?? defaults.maxInFlight;
  const minInFlight = own.minInFlight ?? defaults.minInFlight;
  checkOwn(IN_FLIGHT, own, minInFlight <= maxInFlight, at, report);
  return { maxInFlight, minInFlight };
}

export function orNull<T>(value: T | 'none'): T | null {
  return value === 'none' ? null : value;
}
