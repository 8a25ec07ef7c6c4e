import type { Channel, Destination, RateLimit, TenantLimits } from '../domain/destination.ts';
import type { FieldMappings } from '../domain/event.ts';
import type { TopicClass, WorkClass } from '../domain/work-class.ts';

/**
 * The effective configuration: validated whole, defaulted, in base units
 * (`…Ms`, `…Bytes`), deep-frozen. Everything past `config/` accepts only this
 * form. `null` for brokers or a ClickHouse URL means "use the embedded one".
 */
export interface Config {
  readonly kafka: KafkaConfig;
  readonly retry: DelayTopicsConfig;
  readonly clickhouse: ClickHouseConfig;
  /** Null: two records with the id of one event are two events. */
  readonly duplicates: DuplicatesConfig | null;
  /** Null: what ClickHouse does not take waits in memory, up to a bound. */
  readonly overflow: OverflowConfig | null;
  readonly schemas: SchemasConfig;
  /** Mapping by topic name; `default` is for topics not named. */
  readonly fields: FieldMappings;
  readonly destinations: readonly Destination[];
  readonly limits: LimitsConfig;
  readonly delivery: DeliveryConfig;
  readonly lanes: LanesConfig;
  readonly ledger: LedgerConfig;
  readonly http: { readonly host: string; readonly port: number } | null;
  readonly shutdown: { readonly deadlineMs: number };
  readonly log: { readonly level: LogLevel };
}

export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export const GROUP_PROTOCOLS = ['consumer', 'classic'] as const;

export interface KafkaConfig {
  /** `host:port,host:port`, or null for the embedded broker. */
  readonly brokers: string | null;
  readonly groupId: string;
  readonly groupProtocol: (typeof GROUP_PROTOCOLS)[number];
  /** Topic names; an entry that starts with `^` is a pattern (librdkafka's regex). */
  readonly topics: readonly string[];
  /** Null when every topic is keyed by tenant. */
  readonly rekey: RekeyConfig | null;
  readonly deadLetterTopic: string;
  readonly badEventTopic: string;
  /** librdkafka properties for both clients, security settings already turned into them. */
  readonly properties: Readonly<Record<string, string | number | boolean>>;
  readonly consumerProperties: Readonly<Record<string, string | number | boolean>>;
  readonly producerProperties: Readonly<Record<string, string | number | boolean>>;
  /** A record whose value is larger is `invalid: oversize`. */
  readonly maxRecordBytes: number;
  /** How long a revoked partition may finish what is in flight before it is abandoned. */
  readonly revokeDeadlineMs: number;
  /** When what the group has not read yet is not there any more. */
  readonly lostRecords: 'stop' | 'skip';
  readonly commitIntervalMs: number;
}

/** Topics whose records go through an internal one that is keyed by tenant. */
export interface RekeyConfig {
  /** Names; none of them is a topic of the pipeline. */
  readonly topics: readonly string[];
  /** The internal one, which is a topic of the pipeline. */
  readonly topic: string;
  /** Of the internal one; null for as many as the pipeline's other topics have. */
  readonly partitions: number | null;
}

/** One topic per delay, called `PREFIX.DELAY`. */
export interface DelayTopicsConfig {
  readonly topicPrefix: string;
  /** Ascending, distinct, at least one. */
  readonly delaysMs: readonly number[];
}

/** Token buckets beside those of destinations. */
export interface LimitsConfig {
  /** Of all destinations of a channel together, split over processes by their share of the partitions. */
  readonly channels: Readonly<Partial<Record<Channel, RateLimit>>>;
  readonly tenants: TenantLimits;
}

export interface ClickHouseConfig {
  /** `http://host:8123`, or null for the embedded engine. */
  readonly url: string | null;
  readonly username: string;
  readonly password: string;
  readonly database: string;
  /** Data directory of the embedded engine; null is a temporary one that is removed on exit. */
  readonly embeddedPath: string | null;
  readonly requestTimeoutMs: number;
  /** Where the tables are made, replicated, as `ON CLUSTER` takes it; null is one server. */
  readonly cluster: string | null;
  readonly ttl: LedgerTtlConfig;
}

/** How long rows are kept, by table; null is for ever. */
export interface LedgerTtlConfig {
  readonly eventsMs: number | null;
  readonly attemptsMs: number | null;
  readonly rollupsMs: number | null;
}

/** Where ledger rows go while ClickHouse does not take them, and how they come back. */
export interface OverflowConfig {
  readonly topic: string;
  /** Consumer group of those that drain it. */
  readonly groupId: string;
  /** What may wait for ClickHouse in memory before it goes there: any of the three. */
  readonly afterRows: number;
  readonly afterBytes: number;
  readonly afterAgeMs: number;
  /** Share of the time that a process inserts what it drains, above 0, at most 1. */
  readonly drainShare: number;
}

/** How a producer's duplicates are told. */
export interface DuplicatesConfig {
  readonly windowMs: number;
  /** Ids that one lane keeps in memory. */
  readonly maxRemembered: number;
}

export interface SchemasConfig {
  readonly registry: RegistryConfig | null;
  /** Folder with `index.json` and `.avsc` files; asked before the registry. */
  readonly folder: string | null;
}

export interface RegistryConfig {
  /** Base URL; `/schemas/ids/N` is appended. */
  readonly url: string;
  readonly username: string | null;
  readonly password: string | null;
  /** PEM text, read from `caFile`. */
  readonly ca: string | null;
  readonly timeoutMs: number;
}

export interface DeliveryConfig {
  /** CIDR ranges that may be reached although they are not public addresses. */
  readonly allowAddresses: readonly string[];
  readonly connectTimeoutMs: number;
  /** Connections per origin and lane. */
  readonly connectionsPerOrigin: number;
  readonly keepAliveMs: number;
  /** A response is read no further than this. */
  readonly maxResponseBytes: number;
  readonly dns: {
    readonly timeoutMs: number;
    readonly maxTtlMs: number;
    readonly servers: readonly string[];
  };
}

export interface LanesConfig {
  /** Worker threads. */
  readonly count: number;
  /** Admission bounds of one lane: what it may hold undelivered. */
  readonly maxRecords: number;
  readonly maxBytes: number;
  /** Share of both that one tenant may hold, above 0, at most 1. */
  readonly tenantShare: number;
  /** By tenant: how many lanes its destinations are spread over, 2 … `count`. */
  readonly spread: Readonly<Record<string, number>>;
  /** By source topic, whose records are first attempts if it is not here. */
  readonly classes: Readonly<Record<string, TopicClass>>;
  /** Turns of each class of work, relative to the others, ≥ 1. */
  readonly weights: ClassWeights;
  /** A lane that does not answer for so long is replaced. */
  readonly stallTimeoutMs: number;
}

export type ClassWeights = Readonly<Record<WorkClass, number>>;

export interface LedgerConfig {
  /** A batch is inserted when it reaches any of these. */
  readonly batchMaxRows: number;
  readonly batchMaxBytes: number;
  readonly batchMaxAgeMs: number;
  /** Bytes of a receiver's answer kept in an attempt's row. */
  readonly responseExcerptBytes: number;
}
