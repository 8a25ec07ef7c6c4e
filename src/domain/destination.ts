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

export interface RetryPolicy {
  /** Attempts in all, the first one included, ≥ 1. */
  readonly maxAttempts: number;
  readonly initialDelayMs: number;
  readonly maxDelayMs: number;
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
  /** One total deadline per attempt: connect, send, headers and body together. */
  readonly timeoutMs: number;
  readonly retry: RetryPolicy;
}
