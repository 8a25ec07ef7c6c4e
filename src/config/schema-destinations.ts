import type { z } from 'zod';
import { BODY_FORMATS, CHANNELS, ORDERS } from '../domain/destination.ts';
import { limits } from '../domain/limits.ts';
import {
  duration,
  durationListOrNone,
  durationOrNone,
  flag,
  integer,
  integerByPriority,
  oneOf,
  rate,
  share,
  text,
  textList,
  textMap,
} from './fields.ts';
import { DAY, HOUR, HTTP_URL, MINUTE, SECOND } from './schema-words.ts';
import { section, sectionMap } from './sections.ts';

/** `defaults`, `destinations` and `limits` of the schema. */

const GLOB =
  /^(?:\*\*|(?!\*\*)(?:[A-Za-z0-9_-]|\*(?!\*))+)(?:\.(?:\*\*|(?!\*\*)(?:[A-Za-z0-9_-]|\*(?!\*))+))*$/;

function bucket(description: string) {
  return section(`${description}: in no window of length t more than rate·t + burst requests start.`, {
    rate: rate('Requests per time.', { min: 1 / 3600, max: 1_000_000 }).required(),
    burst: integer('Requests that may start at once; absent means one second of the rate, at least 1.', {
      min: 1,
      max: 1_000_000,
    }).optional(),
  });
}

const attempt = {
  timeout: duration('One total deadline per attempt: connect, send, read.', { min: 50, max: 5 * MINUTE }),
  maxInFlight: integer('Most requests in flight at once, per tenant.', { min: 1, max: 10_000 }),
  minInFlight: integer('Fewest that `adaptive` goes down to; at most `maxInFlight`.', {
    min: 1,
    max: 10_000,
  }),
  adaptive: flag(
    'Whether the bound moves between `minInFlight` and `maxInFlight` with latency and 429; if not, it is `maxInFlight`.',
  ),
  rateLimit: bucket('Token bucket, per tenant'),
  format: oneOf('Body: CloudEvents 1.0 structured mode, or the data alone.', BODY_FORMATS),
  channel: oneOf('What it is, for people, metrics and `limits.channels`.', CHANNELS),
  order: oneOf(
    '`key`: of one key one request at a time, first successes in the order of the offsets; a failed delivery is tried again in place and holds back those of its key.',
    ORDERS,
  ),
  expireAfter: durationOrNone(
    'Counted from the time of the event; what is later ends `expired`, unsent. An event may expire earlier by itself (`fields`).',
    { min: 100, max: 365 * DAY },
  ),
};

const DELAYS = { min: 0, max: 7 * DAY };

const retry = {
  maxAttempts: integerByPriority('Attempts in all, the first one included, by the event’s priority.', {
    min: 1,
    max: 100,
  }),
  initialDelay: duration('Wait before the second attempt; doubles from there.', DELAYS),
  maxDelay: duration('Longest wait between attempts; at least `initialDelay`.', DELAYS),
  schedule: durationListOrNone(
    'Waits in place of doubling ones, one per failed attempt; the last one repeats.',
    { ...DELAYS, maxItems: 100, isAscending: false },
  ),
  maxAge: durationOrNone(
    'Counted from the first attempt; what would be tried again later than that is given up.',
    { min: SECOND, max: 365 * DAY },
  ),
  maxRetryAfter: duration('Most that a `Retry-After` of the receiver counts for.', DELAYS),
  maxShare: share('Share of the requests in flight that retries may be; one is always allowed.', {
    min: 0.01,
    max: 1,
  }),
};

const breaker = {
  consecutiveFailures: integer('Failures in a row that open it.', { min: 1, max: 1000 }),
  failureRate: share('Share of failures within `window` that opens it …', { min: 0.01, max: 1 }),
  window: duration('… over so long …', { min: SECOND, max: HOUR }),
  minimumVolume: integer('… if there were so many attempts.', { min: 1, max: 100_000 }),
  open: duration('How long it stays open at first; doubles with each re-opening.', { min: 100, max: DAY }),
  maxOpen: duration('Longest it stays open; at least `open`.', { min: 100, max: DAY }),
  disableAfter: durationOrNone('Failures alone for so long disable the destination.', {
    min: SECOND,
    max: 90 * DAY,
  }),
};

const poison = {
  maxBlock: duration('Longest an ordered delivery that fails may hold back its key.', DELAYS),
  then: oneOf(
    'What becomes of it: `park` makes it a dead letter, `skip` leaves it to the ledger alone. Its key goes on.',
    ['skip', 'park'],
  ),
};

const RETRY =
  'When a delivery is tried again. Doubling waits get up to a quarter more at random, never less.';
const BREAKER =
  'When a destination is left alone: what is due meanwhile is retried later, not counted as an attempt.';
const POISON = 'What bounds the wait behind an ordered delivery.';

/** What a map of some priorities leaves out, in `defaults`. */
export const MAX_ATTEMPTS = { high: 5, normal: 3, low: 2 } as const;

/** Also what a destination's breaker starts from where `defaults.breaker` is off. */
export const breakerDefaults = section(BREAKER, {
  consecutiveFailures: breaker.consecutiveFailures.byDefault(5),
  failureRate: breaker.failureRate.byDefault(0.5),
  window: breaker.window.byDefault('30s'),
  minimumVolume: breaker.minimumVolume.byDefault(20),
  open: breaker.open.byDefault('30s'),
  maxOpen: breaker.maxOpen.byDefault('10m'),
  disableAfter: breaker.disableAfter.byDefault('none'),
});

export const defaults = section('For destinations that do not say otherwise.', {
  timeout: attempt.timeout.byDefault('10s'),
  maxInFlight: attempt.maxInFlight.byDefault(32),
  minInFlight: attempt.minInFlight.byDefault(1),
  adaptive: attempt.adaptive.byDefault(false),
  rateLimit: attempt.rateLimit.orWord('none', 'word'),
  retry: section(RETRY, {
    maxAttempts: retry.maxAttempts.byDefault(MAX_ATTEMPTS, 'high 5, normal 3, low 2'),
    initialDelay: retry.initialDelay.byDefault('500ms'),
    maxDelay: retry.maxDelay.byDefault('10m'),
    schedule: retry.schedule.byDefault('none'),
    maxAge: retry.maxAge.byDefault('none'),
    maxRetryAfter: retry.maxRetryAfter.byDefault('1h'),
    maxShare: retry.maxShare.byDefault(0.5),
  }).always(),
  breaker: breakerDefaults.orWord('off', 'empty'),
  order: attempt.order.byDefault('none'),
  poison: section(POISON, {
    maxBlock: poison.maxBlock.byDefault('10m'),
    then: poison.then.byDefault('park'),
  }).always(),
  expireAfter: attempt.expireAfter.byDefault('none'),
  format: attempt.format.byDefault('cloudevents'),
  channel: attempt.channel.byDefault('webhook'),
});

const AS_DEFAULTS = 'as in `defaults`';

export const destination = section('One HTTP endpoint of a tenant.', {
  id: text(
    'Unique.',
    'letters, digits, `_`, `.`, `-`; 64 at most; a number needs quotes',
    /^[A-Za-z0-9_.-]{1,64}$/,
  ).required(),
  tenant: text(
    'Whose events it gets; `"*"` stands for one such destination per tenant, each with limits of its own.',
    `a tenant id of 1 to ${limits.identifierMaxBytes} characters, or "*"; a number needs quotes`,
    new RegExp(`^[^\\0\\r\\n]{1,${limits.identifierMaxBytes}}$`),
  ).required(),
  url: text('Where to POST. User and password belong in `headers`.', HTTP_URL).required(),
  events: textList(
    'Event types it gets. `*` is one dot-separated segment or a part of one, `**` any number of segments.',
    'globs such as contact.*, email.opened, **',
    (glob) => GLOB.test(glob),
  ).byDefault(['**']),
  headers: textMap(
    'Request headers to add; values are never shown.',
    'a map of header names to text',
  ).byDefault({}),
  weight: integer('Share of its tenant’s turns, relative to the tenant’s other destinations.', {
    min: 1,
    max: 100,
  }).byDefault(1),
  timeout: attempt.timeout.optional(AS_DEFAULTS),
  maxInFlight: attempt.maxInFlight.optional(AS_DEFAULTS),
  minInFlight: attempt.minInFlight.optional(AS_DEFAULTS),
  adaptive: attempt.adaptive.optional(AS_DEFAULTS),
  rateLimit: attempt.rateLimit.orWordOptional('none', AS_DEFAULTS),
  retry: section(RETRY, {
    maxAttempts: retry.maxAttempts.optional(AS_DEFAULTS),
    initialDelay: retry.initialDelay.optional(AS_DEFAULTS),
    maxDelay: retry.maxDelay.optional(AS_DEFAULTS),
    schedule: retry.schedule.optional(AS_DEFAULTS),
    maxAge: retry.maxAge.optional(AS_DEFAULTS),
    maxRetryAfter: retry.maxRetryAfter.optional(AS_DEFAULTS),
    maxShare: retry.maxShare.optional(AS_DEFAULTS),
  }).optional(),
  breaker: section(BREAKER, {
    consecutiveFailures: breaker.consecutiveFailures.optional(AS_DEFAULTS),
    failureRate: breaker.failureRate.optional(AS_DEFAULTS),
    window: breaker.window.optional(AS_DEFAULTS),
    minimumVolume: breaker.minimumVolume.optional(AS_DEFAULTS),
    open: breaker.open.optional(AS_DEFAULTS),
    maxOpen: breaker.maxOpen.optional(AS_DEFAULTS),
    disableAfter: breaker.disableAfter.optional(AS_DEFAULTS),
  }).orWordOptional('off', AS_DEFAULTS),
  order: attempt.order.optional(AS_DEFAULTS),
  poison: section(POISON, {
    maxBlock: poison.maxBlock.optional(AS_DEFAULTS),
    then: poison.then.optional(AS_DEFAULTS),
  }).optional(),
  expireAfter: attempt.expireAfter.optional(AS_DEFAULTS),
  format: attempt.format.optional(AS_DEFAULTS),
  channel: attempt.channel.optional(AS_DEFAULTS),
});

const CHANNEL_BUCKET =
  'Token bucket of all destinations of the channel together, split over processes by their share of the partitions and over the lanes of each';

export const sharedLimits = section(
  'Token buckets beside those of destinations; a request needs one of each.',
  {
    channels: section('Of what a channel or its provider takes.', {
      webhook: bucket(CHANNEL_BUCKET).optional(),
      email: bucket(CHANNEL_BUCKET).optional(),
      sms: bucket(CHANNEL_BUCKET).optional(),
      push: bucket(CHANNEL_BUCKET).optional(),
    } satisfies Record<(typeof CHANNELS)[number], z.ZodType>).always(),
    tenants: section('Of what one tenant’s destinations get together.', {
      default: bucket('Token bucket of each tenant not named in `byTenant`').orWord('none', 'word'),
      byTenant: sectionMap(
        'By tenant id: the token bucket of that tenant, in place of `default`.',
        bucket('Token bucket of one tenant').always(),
      ),
    }).always(),
  },
);
