import type { DestinationFacts } from '../../src/verify/history.ts';
import type { DestinationOptions } from '../e2e/scenario.ts';

/** Events that `picky` refuses until the end; all others are `contact.created`. */
export const PICKY_TYPE = 'contact.deleted';
export const MAIN_TYPE = 'contact.created';

/** Of every destination, unless it says otherwise. */
export const RETRY = { maxAttempts: 12, initialDelay: '500ms', maxDelay: '2s' } as const;
const BACKOFF_MS = [500, 1_000, 2_000] as const;
const RATE = { perSecond: 20, burst: 5 } as const;
const UNLIMITED = 60_000;
const BREAKER_OPEN_MS = 1_000;
const THROTTLED_STATUS = 429;
const RETRY_AFTER_S = 2;

interface ChaosDestination {
  readonly options: DestinationOptions;
  readonly facts: Omit<DestinationFacts, 'id'>;
}

const FACTS = {
  tenant: '*',
  types: null,
  maxAttempts: RETRY.maxAttempts,
  backoffMs: BACKOFF_MS,
  maxRetryAfterMs: 3_600_000,
  rate: null,
  isOrdered: false,
  breakerOpenMs: null,
  mayPause: false,
  isHealthy: true,
} as const;

/** Each promises something else, and has a receiver of its own. */
export const CHAOS_DESTINATIONS: Readonly<Record<string, ChaosDestination>> = {
  quick: {
    options: { behaviour: { delayMs: 5 }, settings: { maxInFlight: 32, breaker: 'off' } },
    facts: FACTS,
  },
  flaky: {
    options: { behaviour: { failPercent: 25, delayMs: 20 }, settings: { breaker: 'off' } },
    facts: FACTS,
  },
  limited: {
    options: {
      settings: { breaker: 'off', rateLimit: { rate: `${RATE.perSecond}/s`, burst: RATE.burst } },
    },
    facts: { ...FACTS, rate: RATE },
  },
  throttled: {
    options: {
      behaviour: {
        failPercent: 10,
        failStatus: THROTTLED_STATUS,
        failHeaders: { 'retry-after': String(RETRY_AFTER_S) },
      },
      settings: { tenant: 'tenant-2', breaker: 'off' },
    },
    facts: { ...FACTS, tenant: 'tenant-2', mayPause: true },
  },
  ordered: {
    options: { behaviour: { delayMs: 10 }, settings: { breaker: 'off', order: 'key' } },
    facts: { ...FACTS, isOrdered: true, maxAttempts: UNLIMITED },
  },
  down: {
    options: {
      behaviour: { status: 503 },
      settings: {
        tenant: 'tenant-1',
        events: [MAIN_TYPE],
        breaker: { consecutiveFailures: 3, open: `${BREAKER_OPEN_MS}ms`, maxOpen: '4s' },
        retry: { ...RETRY, maxAttempts: 100 },
      },
    },
    facts: {
      ...FACTS,
      tenant: 'tenant-1',
      types: [MAIN_TYPE],
      maxAttempts: 100,
      breakerOpenMs: BREAKER_OPEN_MS,
      isHealthy: false,
    },
  },
  picky: {
    options: { behaviour: { status: 404 }, settings: { events: [PICKY_TYPE], breaker: 'off' } },
    facts: { ...FACTS, types: [PICKY_TYPE], isHealthy: false },
  },
};

/** What a receiver asks for with an answer; null when nothing. */
export function retryAfterMsOf(destination: string, status: number): number | null {
  return destination === 'throttled' && status === THROTTLED_STATUS ? RETRY_AFTER_S * 1_000 : null;
}
