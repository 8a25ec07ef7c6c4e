/** How a destination is reached; a label for people and metrics, not a protocol. */
export const CHANNELS = ['webhook', 'email', 'sms', 'push'] as const;
export type Channel = (typeof CHANNELS)[number];

/** `cloudevents` is CloudEvents 1.0 structured mode; `data` is the event's data alone. */
export const BODY_FORMATS = ['cloudevents', 'data'] as const;
export type BodyFormat = (typeof BODY_FORMATS)[number];

/** A destination with this tenant stands for one such destination per tenant, each with limits of its own. */
export const EVERY_TENANT = '*';

export interface RateLimit {
  readonly ratePerSecond: number;
  /** Tokens the bucket holds when full, ≥ 1. */
  readonly burst: number;
}

/** Limits of whole tenants, over all of their destinations. */
export interface TenantLimits {
  /** For tenants not in `byTenant`; null is none. */
  readonly default: RateLimit | null;
  readonly byTenant: Readonly<Record<string, RateLimit>>;
}

export function limitOfTenant({ byTenant, default: usual }: TenantLimits, tenant: string): RateLimit | null {
  return byTenant[tenant] ?? usual;
}

/** How urgent an event is, most urgent first. */
export const PRIORITIES = ['high', 'normal', 'low'] as const;
export type Priority = (typeof PRIORITIES)[number];

/** When a delivery that failed is tried again, and for how long at all. */
export interface RetryPolicy {
  /** Attempts in all by the event's priority, the first one included, ≥ 1. */
  readonly maxAttempts: Readonly<Record<Priority, number>>;
  /** Wait before the second attempt; it doubles from there. */
  readonly initialDelayMs: number;
  /** Most that an exponential wait comes to, before jitter. */
  readonly maxDelayMs: number;
  /** Waits in place of exponential ones, one per attempt that failed; the last one repeats. Null: exponential. */
  readonly scheduleMs: readonly number[] | null;
  /** Counted from when the first attempt was considered; after it no further one starts. Null: no such bound. */
  readonly maxAgeMs: number | null;
  /** Most that a receiver's `Retry-After` counts for. */
  readonly maxRetryAfterMs: number;
  /** Share of the slots in flight that retries may hold, 0…1, at least one slot. */
  readonly maxShare: number;
}

/** When a destination is left alone. */
export interface BreakerPolicy {
  /** Failures in a row that open it, ≥ 1. */
  readonly consecutiveFailures: number;
  /** Share of failures within the window that opens it, 0…1 … */
  readonly failureRate: number;
  readonly windowMs: number;
  /** … once the window has so many attempts, ≥ 1. */
  readonly minimumVolume: number;
  /** How long it stays open the first time; it doubles with each re-opening, up to `maxOpenMs`. */
  readonly openMs: number;
  readonly maxOpenMs: number;
  /** Nothing but failures for so long disables the destination; null: never. */
  readonly disableAfterMs: number | null;
}

/** `key`: per key one delivery in flight, and the first successes come in the order of the offsets. */
export const ORDERS = ['none', 'key'] as const;
export type Order = (typeof ORDERS)[number];

/** What an ordered delivery that keeps failing may do to those behind it. */
export interface PoisonPolicy {
  /** How long it may hold its key up. */
  readonly maxBlockMs: number;
  /** `park`: it becomes a dead letter; `skip`: it is given up and only the ledger knows. Both let the key go on. */
  readonly then: 'skip' | 'park';
}

/** Where a tenant's events go, in compiled form: validated, defaulted, in base units. */
export interface Destination {
  readonly id: string;
  /** A tenant's id, or `EVERY_TENANT`. */
  readonly tenant: string;
  readonly channel: Channel;
  /** Scheme, host and port, as the WHATWG URL parser normalises them. */
  readonly origin: string;
  /** Path and query, starting with `/`. */
  readonly path: string;
  /** Event-type globs; a type goes here when any matches. See `route/glob.ts`. */
  readonly events: readonly string[];
  readonly format: BodyFormat;
  /** Flat list of extra request headers: name, value, name, value … Values may be secrets. */
  readonly headers: readonly string[];
  readonly rateLimit: RateLimit | null;
  /** Most requests of this destination in flight at once, per tenant. */
  readonly maxInFlight: number;
  /** Fewest that an adaptive bound goes down to, 1…`maxInFlight`. */
  readonly minInFlight: number;
  /** Whether the bound adapts to latency and 429 between the two; if not it is `maxInFlight`. */
  readonly adaptive: boolean;
  /** One total deadline per attempt: connect, send, headers and body together. */
  readonly timeoutMs: number;
  readonly retry: RetryPolicy;
  /** Null: off. */
  readonly breaker: BreakerPolicy | null;
  readonly order: Order;
  readonly poison: PoisonPolicy;
  /** Counted from the event's time; later than that it ends `expired`, unsent. Null: never. */
  readonly expireAfterMs: number | null;
  /** Share of its tenant's turns, relative to the tenant's other destinations, ≥ 1. */
  readonly weight: number;
}
