import { stringify } from 'yaml';
import type { BreakerPolicy, Destination, RateLimit, RetryPolicy } from '../domain/destination.ts';
import { SECURITY_PROPERTIES } from './compile-kafka.ts';
import type { Config, KafkaConfig, LanesConfig, LimitsConfig } from './config.ts';
import { describeMapping } from './field-mapping.ts';
import { isRecord } from './fields.ts';
import type { Scalar } from './fields.ts';
import { valueAt } from './paths.ts';
import type { Path } from './paths.ts';
import { isSecretProperty, MASK, redactUrls } from './redact.ts';
import { formatDuration, formatRate, formatSize } from './units.ts';
import { writtenOf } from './written.ts';
import type { Written } from './written.ts';

/**
 * The effective configuration as YAML, in the keys and units a user writes.
 * Passwords, header values, secret librdkafka properties, user parts and query
 * values of URLs are masked. A value made with `${env:…}` or `${file:…}` is
 * shown as that reference, since such a value may be a secret wherever it stands.
 */
export function describeConfig(config: Config): string {
  const written = writtenOf(config);
  const described = redact(effective(config), [], written);
  return stringify(described, { lineWidth: 0, aliasDuplicateObjects: false });
}

function effective(config: Config): Record<string, unknown> {
  const { clickhouse, schemas, fields, delivery, ledger } = config;
  return {
    kafka: describeKafka(config.kafka),
    retry: {
      topicPrefix: config.retry.topicPrefix,
      delays: config.retry.delaysMs.map(formatDuration),
    },
    clickhouse: {
      url: clickhouse.url,
      username: clickhouse.username,
      password: secret(clickhouse.password),
      database: clickhouse.database,
      embeddedPath: clickhouse.embeddedPath,
      requestTimeout: formatDuration(clickhouse.requestTimeoutMs),
      overflow: describeOverflow(config.overflow),
      cluster: clickhouse.cluster,
      ttl: {
        events: durationOrNone(clickhouse.ttl.eventsMs),
        attempts: durationOrNone(clickhouse.ttl.attemptsMs),
        rollups: durationOrNone(clickhouse.ttl.rollupsMs),
      },
    },
    schemas: {
      folder: schemas.folder,
      registry: schemas.registry === null ? null : describeRegistry(schemas.registry),
    },
    fields: {
      default: describeMapping(fields.default),
      topics: Object.fromEntries(
        Object.entries(fields.byTopic).map(([topic, mapping]) => [topic, describeMapping(mapping)]),
      ),
    },
    destinations: config.destinations.map(describeDestination),
    limits: describeLimits(config.limits),
    delivery: {
      allowAddresses: delivery.allowAddresses,
      connectTimeout: formatDuration(delivery.connectTimeoutMs),
      connectionsPerOrigin: delivery.connectionsPerOrigin,
      keepAlive: formatDuration(delivery.keepAliveMs),
      maxResponseSize: formatSize(delivery.maxResponseBytes),
      dns: {
        timeout: formatDuration(delivery.dns.timeoutMs),
        maxTtl: formatDuration(delivery.dns.maxTtlMs),
        servers: delivery.dns.servers,
      },
    },
    lanes: describeLanes(config.lanes),
    ledger: {
      batchMaxRows: ledger.batchMaxRows,
      batchMaxSize: formatSize(ledger.batchMaxBytes),
      batchMaxAge: formatDuration(ledger.batchMaxAgeMs),
      responseExcerpt: formatSize(ledger.responseExcerptBytes),
    },
    http: config.http === null ? 'off' : { ...config.http },
    shutdown: { deadline: formatDuration(config.shutdown.deadlineMs) },
    log: { level: config.log.level },
  };
}

function describeKafka(kafka: KafkaConfig): Record<string, unknown> {
  return {
    brokers: kafka.brokers,
    groupId: kafka.groupId,
    groupProtocol: kafka.groupProtocol,
    topics: kafka.topics,
    rekey: kafka.rekey === null ? null : { ...kafka.rekey },
    deadLetterTopic: kafka.deadLetterTopic,
    badEventTopic: kafka.badEventTopic,
    properties: describeProperties(kafka.properties),
    consumerProperties: describeProperties(kafka.consumerProperties),
    producerProperties: describeProperties(kafka.producerProperties),
    maxRecordSize: formatSize(kafka.maxRecordBytes),
    revokeDeadline: formatDuration(kafka.revokeDeadlineMs),
    lostRecords: kafka.lostRecords,
    commitInterval: formatDuration(kafka.commitIntervalMs),
  };
}

function describeProperties(properties: Readonly<Record<string, Scalar>>): Record<string, Scalar> {
  return Object.fromEntries(
    Object.entries(properties).map(([name, value]) => [name, isSecretProperty(name) ? MASK : value]),
  );
}

function describeRegistry(registry: NonNullable<Config['schemas']['registry']>): Record<string, unknown> {
  return {
    url: registry.url,
    username: registry.username,
    password: registry.password === null ? null : secret(registry.password),
    // The text itself is no secret, only long; the file it came from is not kept.
    caFile: registry.ca === null ? null : `(${registry.ca.length} characters of PEM)`,
    timeout: formatDuration(registry.timeoutMs),
  };
}

function describeDestination(destination: Destination): Record<string, unknown> {
  const { headers, poison } = destination;
  const headerNames = headers.filter((_, index) => index % 2 === 0);
  return {
    id: destination.id,
    tenant: destination.tenant,
    url: destination.origin + destination.path,
    events: destination.events,
    headers: Object.fromEntries(headerNames.map((name) => [name, MASK])),
    weight: destination.weight,
    timeout: formatDuration(destination.timeoutMs),
    maxInFlight: destination.maxInFlight,
    minInFlight: destination.minInFlight,
    adaptive: destination.adaptive,
    rateLimit: describeLimit(destination.rateLimit),
    retry: describeRetry(destination.retry),
    breaker: describeBreaker(destination.breaker),
    order: destination.order,
    poison: { maxBlock: formatDuration(poison.maxBlockMs), then: poison.then },
    expireAfter: durationOrNone(destination.expireAfterMs),
    format: destination.format,
    channel: destination.channel,
  };
}

function describeRetry(retry: RetryPolicy): Record<string, unknown> {
  return {
    maxAttempts: retry.maxAttempts,
    initialDelay: formatDuration(retry.initialDelayMs),
    maxDelay: formatDuration(retry.maxDelayMs),
    schedule: retry.scheduleMs === null ? 'none' : retry.scheduleMs.map(formatDuration),
    maxAge: durationOrNone(retry.maxAgeMs),
    maxRetryAfter: formatDuration(retry.maxRetryAfterMs),
    maxShare: retry.maxShare,
  };
}

function describeBreaker(breaker: BreakerPolicy | null): unknown {
  if (breaker === null) return 'off';
  return {
    consecutiveFailures: breaker.consecutiveFailures,
    failureRate: breaker.failureRate,
    window: formatDuration(breaker.windowMs),
    minimumVolume: breaker.minimumVolume,
    open: formatDuration(breaker.openMs),
    maxOpen: formatDuration(breaker.maxOpenMs),
    disableAfter: durationOrNone(breaker.disableAfterMs),
  };
}

function describeLimits({ channels, tenants }: LimitsConfig): Record<string, unknown> {
  return {
    channels: describeEach(channels),
    tenants: { default: describeLimit(tenants.default), byTenant: describeEach(tenants.byTenant) },
  };
}

function describeEach(limits: Readonly<Record<string, RateLimit>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(limits).map(([name, limit]) => [name, describeLimit(limit)]));
}

function describeLimit(limit: RateLimit | null): unknown {
  return limit === null ? 'none' : { rate: formatRate(limit.ratePerSecond), burst: limit.burst };
}

function describeOverflow(overflow: Config['overflow']): unknown {
  if (overflow === null) return 'off';
  return {
    topic: overflow.topic,
    afterRows: overflow.afterRows,
    afterSize: formatSize(overflow.afterBytes),
    afterAge: formatDuration(overflow.afterAgeMs),
    drainShare: overflow.drainShare,
  };
}

function describeLanes(lanes: LanesConfig): Record<string, unknown> {
  return {
    count: lanes.count,
    maxRecords: lanes.maxRecords,
    maxBytes: formatSize(lanes.maxBytes),
    tenantShare: lanes.tenantShare,
    spread: { ...lanes.spread },
    classes: { ...lanes.classes },
    weights: { ...lanes.weights },
    stallTimeout: formatDuration(lanes.stallTimeoutMs),
  };
}

function durationOrNone(durationMs: number | null): string {
  return durationMs === null ? 'none' : formatDuration(durationMs);
}

function secret(value: string): string {
  return value === '' ? '' : MASK;
}

/** Drops what is absent, shows references as written, and masks URLs wherever they stand. */
function redact(value: unknown, at: Path, written: Written | null): unknown {
  if (Array.isArray(value)) return value.map((item, index) => redact(item, [...at, index], written));
  if (isRecord(value)) {
    const present = Object.entries(value).filter(([, child]) => child !== null);
    return Object.fromEntries(present.map(([key, child]) => [key, redact(child, [...at, key], written)]));
  }
  if (value === MASK) return value;
  const reference = written === null ? null : referenceAt(at, written);
  const text = reference ?? value;
  return typeof text === 'string' ? redactUrls(text) : text;
}

/** The text as written, where a reference was replaced in it; null where none was. */
function referenceAt(at: Path, { written, resolved }: Written): string | null {
  const source = sourcesOf(at).find((path) => isText(valueAt(written, path)));
  if (source === undefined) return null;
  const text = valueAt(written, source);
  return isText(text) && text !== valueAt(resolved, source) ? text : null;
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}

/** Where a described value may have been written: itself, or what it was taken from. */
function sourcesOf(at: Path): Path[] {
  const [section, map, name] = at;
  const last = at.at(-1);
  // A list of one may be written as that one.
  if (typeof last === 'number') return sourcesOf(at.slice(0, -1)).flatMap((list) => [[...list, last], list]);
  if (section === 'kafka' && map === 'properties') {
    const key = Object.entries(SECURITY_PROPERTIES).find(([, property]) => property === name)?.[0];
    return key === undefined ? [at] : [at, ['kafka', 'security', key]];
  }
  if (section === 'fields' && map === 'topics' && at.length === 4)
    return [at, ['fields', 'default', at[3] ?? '']];
  if (section === 'destinations' && at.length > 2) return [at, ['defaults', ...at.slice(2)]];
  return [at];
}
