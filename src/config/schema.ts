import { availableParallelism } from 'node:os';
import type { z } from 'zod';
import { PRIORITIES } from '../domain/destination.ts';
import { limits } from '../domain/limits.ts';
import { TOPIC_CLASSES } from '../domain/work-class.ts';
import { GROUP_PROTOCOLS, LOG_LEVELS } from './config.ts';
import {
  choiceMap,
  duration,
  durationList,
  durationOrNone,
  integer,
  integerMap,
  oneOf,
  scalarMap,
  secret,
  share,
  size,
  text,
  textList,
} from './fields.ts';
import { defaults, destination, sharedLimits } from './schema-destinations.ts';
import { DAY, HTTP_URL, MB, MINUTE } from './schema-words.ts';
import { section, sectionList, sectionMap } from './sections.ts';

/**
 * The configuration as a user writes it: every key, what it means, what is
 * allowed, what it is when absent. Parsing gives `Settings`, in base units;
 * `compile.ts` checks the relations between keys and makes a `Config` of it.
 * The reference in docs/configuration.md is generated from this file.
 */

/** Kafka's own rule for topic names. */
const TOPIC_NAME = /^(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}$/;
const TOPIC = 'a topic name (letters, digits, `.`, `_`, `-`; 249 at most)';
const BROKERS =
  /^(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):\d{1,5}(?:,(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):\d{1,5})*$/;
const FIELD_SOURCE = /^(?:key|header:[\x21-\x7e]+|(?:avro:)?[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)$/;
const FIELD_SOURCE_WORDS =
  'an Avro path such as `customer.id`, `header:NAME`, or `key` (`avro:key` is a field of that name)';
const LINE = 'text on one line; a number needs quotes';
const PATH = 'a path; a relative one starts at the folder of the configuration file';
const PROPERTIES = 'a map of librdkafka property names to text, numbers or true/false';

function isTopicOrPattern(entry: string): boolean {
  return entry.startsWith('^') ? isPattern(entry) : TOPIC_NAME.test(entry);
}

function isPattern(entry: string): boolean {
  try {
    new RegExp(entry);
    return entry.length > 1;
  } catch {
    return false;
  }
}

const security = section('TLS and SASL toward the brokers; turned into librdkafka properties.', {
  protocol: oneOf('How to connect.', ['PLAINTEXT', 'SSL', 'SASL_PLAINTEXT', 'SASL_SSL']).byDefault(
    'PLAINTEXT',
  ),
  mechanism: oneOf('SASL mechanism; needed by the SASL protocols.', [
    'PLAIN',
    'SCRAM-SHA-256',
    'SCRAM-SHA-512',
    'OAUTHBEARER',
  ]).optional(),
  username: text('SASL user.', LINE).optional(),
  password: secret('SASL password.').optional(),
  caFile: text('PEM file of the authorities to trust; absent means those of the system.', PATH).optional(),
  certFile: text('PEM file of the client certificate, for mutual TLS.', PATH).optional(),
  keyFile: text('PEM file of the client key.', PATH).optional(),
  keyPassword: secret('Password of the client key.').optional(),
});

const rekey = section(
  'For topics that are not keyed by tenant, or have other numbers of partitions than `kafka.topics`: their records go through a topic that is. See docs/rekey.md.',
  {
    topics: textList('Names of such topics. They must not be in `kafka.topics`.', TOPIC, (entry) =>
      TOPIC_NAME.test(entry),
    ).required(),
    topic: text('The topic that they go through. Groups must not share it.', TOPIC, TOPIC_NAME).optional(
      '`GROUP.rekeyed`, by `kafka.groupId`',
    ),
    partitions: integer('How many partitions it gets, or has.', { min: 1, max: 10_000 }).optional(
      'as many as `kafka.topics` have; where these are `[]`, as it has, or as `topics` have',
    ),
  },
);

const kafka = section('Where events come from.', {
  brokers: text(
    'Bootstrap brokers. Absent: an embedded broker inside this process, in memory, for trying things out.',
    '`host:port`, several separated by commas',
    BROKERS,
  ).optional(),
  groupId: text('Consumer group.', 'text of 1 to 255 characters', /^[\x20-\x7e]{1,255}$/).byDefault(
    'eventdispatch',
  ),
  groupProtocol: oneOf('`classic` is for brokers before Kafka 4.0.', GROUP_PROTOCOLS).byDefault('consumer'),
  topics: textList(
    'Topics to read: names, or patterns, which start with `^`.',
    `${TOPIC}, or a regular expression that starts with ^`,
    isTopicOrPattern,
  ).byDefault(['events']),
  rekey: rekey.optional(),
  deadLetterTopic: text('Gets deliveries that will not be tried again.', TOPIC, TOPIC_NAME).byDefault(
    'eventdispatch.dead-letter',
  ),
  badEventTopic: text(
    'Gets records that are no usable event, bytes and headers as they were.',
    TOPIC,
    TOPIC_NAME,
  ).byDefault('eventdispatch.bad-events'),
  security: security.optional(),
  properties: scalarMap('librdkafka properties for consumer and producer.', PROPERTIES).byDefault({}),
  consumerProperties: scalarMap('librdkafka properties for the consumer only.', PROPERTIES).byDefault({}),
  producerProperties: scalarMap('librdkafka properties for the producer only.', PROPERTIES).byDefault({}),
  maxRecordSize: size('A record with a larger value is recorded as `invalid`, reason `oversize`.', {
    min: 1024,
    max: limits.recordMaxBytes,
  }).byDefault('1mb'),
  lostRecords: oneOf(
    'When records were deleted before the group read them, or a topic was made anew: `stop` says so and ends the process, `skip` goes on with the oldest there are.',
    ['stop', 'skip'],
  ).byDefault('stop'),
  revokeDeadline: duration('How long a revoked partition may finish what is in flight.', {
    min: 0,
    max: 5 * MINUTE,
  }).byDefault('10s'),
  commitInterval: duration('Time between offset commits.', { min: 10, max: MINUTE }).byDefault('1s'),
});

const retry = section(
  'The delay topics: a failed delivery waits in Kafka, in one topic per delay; a longer wait is made of several.',
  {
    topicPrefix: text(
      'Topics are called `PREFIX.DELAY`, as in `eventdispatch.retry.30s`. Groups must not share them.',
      'the start of a topic name (letters, digits, `.`, `_`, `-`; 200 at most)',
      /^[A-Za-z0-9._-]{1,200}$/,
    ).optional('`GROUP.retry`, by `kafka.groupId`'),
    delays: durationList(
      'One topic each. The first is the shortest wait there is, and how late a longer one may come.',
      { min: 100, max: 7 * DAY, maxItems: 16, isAscending: true },
    ).byDefault(['1s', '5s', '30s', '2m', '10m', '1h', '6h', '1d']),
  },
);

const clickhouse = section('Where the ledger is kept.', {
  url: text('Server. Absent: an embedded engine inside this process.', HTTP_URL).optional(),
  username: text('User.', LINE).byDefault('default'),
  password: secret('Password.').byDefault(''),
  database: text(
    'Database; `migrate` creates it.',
    'a name of letters, digits and `_`',
    /^[A-Za-z_]\w{0,62}$/,
  ).byDefault('eventdispatch'),
  embeddedPath: text(
    'Data folder of the embedded engine. Absent: a temporary one, removed on exit. One process at a time may use a folder.',
    PATH,
  ).optional(),
  requestTimeout: duration('Longest wait for an answer.', { min: 100, max: 10 * MINUTE }).byDefault('30s'),
  cluster: text(
    'Cluster of replicas to make the tables on, with `ON CLUSTER` and replicated engines. To be set before the first `migrate`. Absent: one server.',
    'the name of a cluster (letters, digits, `_`, `-`, `.`), or a macro such as `{cluster}`',
    /^(?:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}|\{\w{1,126}\})$/,
  ).optional(),
  overflow: section(
    'A Kafka topic that ledger rows go to while ClickHouse does not take them. Each batch goes there as it is, and is inserted later, once. Without `url` or `kafka.brokers` there is none.',
    {
      topic: text('Created with the delay topics. Groups must not share it.', TOPIC, TOPIC_NAME).optional(
        '`GROUP.ledger-overflow`, by `kafka.groupId`',
      ),
      afterRows: integer('Rows that wait in memory before batches go there …', {
        min: 1,
        max: 10_000_000,
      }).byDefault(200_000),
      afterSize: size('… or bytes …', { min: 1024, max: limits.ledgerPendingMaxBytes }).byDefault('32mb'),
      afterAge: duration('… or how long the oldest row waits.', { min: 100, max: 10 * MINUTE }).byDefault(
        '5s',
      ),
      drainShare: share('Share of its time that a process inserts what it drains.', {
        min: 0.01,
        max: 1,
      }).byDefault(0.5),
    },
  ).orWord('off', 'empty'),
  ttl: section('How long rows are kept. ClickHouse deletes older ones, in the background.', {
    events: kept('Events with their payloads, from when they were read.'),
    attempts: kept('Attempts and outcomes, from when they were made.'),
    rollups: kept('Counts per minute, and usage per day.'),
  }).always(),
});

/** A day at least: what of a partition was not committed when its process ended must still be there. */
function kept(description: string): z.ZodType<number | 'none'> {
  return durationOrNone(description, { min: DAY, max: 36_500 * DAY }).byDefault('none');
}

const registry = section('Schema Registry with the Confluent REST API.', {
  url: text('Base URL; `/schemas/ids/N` is appended.', HTTP_URL).required(),
  username: text('Basic auth user.', LINE).optional(),
  password: secret('Basic auth password.').optional(),
  caFile: text('PEM file of the authorities to trust; absent means those of the system.', PATH).optional(),
  timeout: duration('Longest wait for an answer.', { min: 100, max: MINUTE }).byDefault('5s'),
});

const schemas = section('Where the schemas of events come from; the folder is asked first.', {
  folder: text(
    'Folder with `index.json` and `.avsc` files. Absent, and no registry either: the catalogue that comes with EventDispatch.',
    PATH,
  ).optional(),
  registry: registry.optional(),
});

function fieldSource(description: string): ReturnType<typeof text> {
  return text(description, FIELD_SOURCE_WORDS, FIELD_SOURCE);
}

/** A field called `high` is written `avro:high`. */
const PRIORITY_WORDS = `${PRIORITIES.map((priority) => `\`${priority}\``).join(', ')}, ${FIELD_SOURCE_WORDS}`;

const envelope = {
  id: fieldSource('The id of the event within its tenant.'),
  type: fieldSource('What happened, dot-separated; routes match on it.'),
  tenant: fieldSource('On whose behalf it is delivered.'),
  time: fieldSource('When it happened.'),
  version: fieldSource('Version of the event type.'),
  source: fieldSource('What produced it.'),
  key: fieldSource('Ordering key or aggregate.'),
  correlationId: fieldSource('What ties it to other events.'),
  aggregateType: fieldSource('What kind of thing it happened to, for the ledger. Absent: not told.'),
  aggregateId: fieldSource('Which one of that kind, for the ledger. Absent: not told.'),
  aggregateVersion: fieldSource('How often that one had changed then, for the ledger. Absent: not told.'),
  priority: text(
    'How urgent it is: one word for all events, or where the word stands in each. Absent, and any other word there: `normal`.',
    PRIORITY_WORDS,
    FIELD_SOURCE,
  ),
  expiresAt: fieldSource(
    'When it expires, as a time; later than that it ends `expired`, unsent. Absent: never.',
  ),
};

const AS_DEFAULT = 'as in `fields.default`';

const fields = section('Which part of a record is which part of the event.', {
  default: section('For every topic not named under `topics`.', {
    id: envelope.id.byDefault('eventId'),
    type: envelope.type.byDefault('eventType'),
    tenant: envelope.tenant.byDefault('tenantId'),
    time: envelope.time.byDefault('timestamp'),
    version: envelope.version.byDefault('version'),
    source: envelope.source.byDefault('source'),
    key: envelope.key.byDefault('key'),
    correlationId: envelope.correlationId.byDefault('correlationId'),
    aggregateType: envelope.aggregateType.optional(),
    aggregateId: envelope.aggregateId.optional(),
    aggregateVersion: envelope.aggregateVersion.optional(),
    priority: envelope.priority.optional(),
    expiresAt: envelope.expiresAt.optional(),
  }).always(),
  topics: sectionMap(
    'By topic name; what is absent is taken from `default`.',
    section('One topic.', {
      id: envelope.id.optional(AS_DEFAULT),
      type: envelope.type.optional(AS_DEFAULT),
      tenant: envelope.tenant.optional(AS_DEFAULT),
      time: envelope.time.optional(AS_DEFAULT),
      version: envelope.version.optional(AS_DEFAULT),
      source: envelope.source.optional(AS_DEFAULT),
      key: envelope.key.optional(AS_DEFAULT),
      correlationId: envelope.correlationId.optional(AS_DEFAULT),
      aggregateType: envelope.aggregateType.optional(AS_DEFAULT),
      aggregateId: envelope.aggregateId.optional(AS_DEFAULT),
      aggregateVersion: envelope.aggregateVersion.optional(AS_DEFAULT),
      priority: envelope.priority.optional(AS_DEFAULT),
      expiresAt: envelope.expiresAt.optional(AS_DEFAULT),
    }).always(),
  ),
});

const delivery = section('How requests are sent.', {
  allowAddresses: textList(
    'Addresses that may be reached although they are not public. All others that are private, local or reserved are refused.',
    'addresses or CIDR ranges such as 127.0.0.0/8 or fd00::/8',
    (entry) => entry !== '',
  ).byDefault([]),
  connectTimeout: duration('Longest wait for a connection.', { min: 50, max: MINUTE }).byDefault('5s'),
  connectionsPerOrigin: integer('Connections per origin and lane.', { min: 1, max: 4096 }).byDefault(128),
  keepAlive: duration('How long an idle connection is kept.', { min: 1, max: 10 * MINUTE }).byDefault('30s'),
  maxResponseSize: size('A response is read no further than this.', { min: 0, max: 16 * MB }).byDefault(
    '64kb',
  ),
  dns: section('Name resolution.', {
    timeout: duration('Longest wait for one answer.', { min: 50, max: MINUTE }).byDefault('2s'),
    maxTtl: duration('Longest time an answer is kept.', { min: 0, max: 24 * 60 * MINUTE }).byDefault('5m'),
    servers: textList(
      'Name servers; absent means those of the system.',
      'IP addresses, with :port or without',
      (entry) => entry !== '',
    ).byDefault([]),
  }).always(),
});

const duplicates = section(
  'Two records with the same event id of one tenant: the later one is recorded as `duplicate`, and not delivered.',
  {
    window: duration('For how long an id is remembered from when it was seen first.', {
      min: 1_000,
      max: 7 * DAY,
    }).byDefault('1h'),
    maxRemembered: integer('Ids that each lane remembers at most; then it forgets the oldest.', {
      min: 1_000,
      max: 10_000_000,
    }).byDefault(100_000),
  },
);

function weight(description: string): ReturnType<typeof integer> {
  return integer(description, { min: 1, max: 1000 });
}

const lanes = section('Worker threads.', {
  count: integer('How many.', { min: 1, max: limits.lanes }).byDefault(
    Math.max(1, availableParallelism() - 1),
    'one per core, less one for the main thread, at least 1',
  ),
  maxRecords: integer('Undelivered records one lane may hold.', { min: 1, max: 1_000_000 }).byDefault(4096),
  maxBytes: size('Undelivered bytes one lane may hold.', { min: 64 * 1024, max: 1024 * MB }).byDefault(
    '16mb',
  ),
  tenantShare: share('Share of both that one tenant may hold while others hold little.', {
    min: 0.01,
    max: 1,
  }).byDefault(0.5),
  spread: integerMap(
    'Tenants with more work than one lane does: over how many lanes the destinations of each are spread. See docs/delivery.md.',
    { min: 2, max: limits.lanes, names: 'tenant ids' },
  ).byDefault({}),
  classes: choiceMap(
    'Source topics whose records are not first attempts like others, but replays or bulk: they get fewer turns.',
    TOPIC_CLASSES,
    { names: 'topics' },
  ).byDefault({}),
  weights: section('Turns of the classes of work, relative to one another, while all of them have some.', {
    first: weight('First attempts.').byDefault(8),
    retry: weight('Retries.').byDefault(4),
    replay: weight('Records of topics whose class is `replay`.').byDefault(2),
    bulk: weight('Records of topics whose class is `bulk`.').byDefault(1),
  }).always(),
  stallTimeout: duration('A lane that does not answer for so long is replaced.', {
    min: 500,
    max: 10 * MINUTE,
  }).byDefault('30s'),
});

const ledger = section('How rows are written. A batch is inserted when it reaches any of the three bounds.', {
  batchMaxRows: integer('Rows.', { min: 1, max: 1_000_000 }).byDefault(20_000),
  batchMaxSize: size('Bytes.', { min: 1024, max: limits.ledgerPendingMaxBytes }).byDefault('8mb'),
  batchMaxAge: duration('Age of the oldest row.', { min: 1, max: MINUTE }).byDefault('500ms'),
  responseExcerpt: size("How much of a receiver's answer is kept with an attempt.", {
    min: 0,
    max: 64 * 1024,
  }).byDefault('256b'),
});

const http = section('`/metrics`, `/health`, `/health/ready`.', {
  host: text('Address to listen on.', 'an address or a host name', /^[A-Za-z0-9._:-]+$/).byDefault(
    '127.0.0.1',
  ),
  port: integer('Port; 0 takes a free one.', { min: 0, max: 65_535 }).byDefault(9400),
});

export const settingsSchema = section('EventDispatch configuration.', {
  kafka: kafka.always(),
  retry: retry.always(),
  clickhouse: clickhouse.always(),
  schemas: schemas.always(),
  fields: fields.always(),
  duplicates: duplicates.orWord('off', 'empty'),
  defaults: defaults.always(),
  destinations: sectionList('Where events go; at least one.', destination.always()),
  limits: sharedLimits.always(),
  delivery: delivery.always(),
  lanes: lanes.always(),
  ledger: ledger.always(),
  http: http.orWord('off', 'empty'),
  shutdown: section('SIGTERM and Ctrl-C.', {
    deadline: duration('How long a drain may take.', { min: 0, max: 10 * MINUTE }).byDefault('20s'),
  }).always(),
  log: section('Log lines, JSON on standard output.', {
    level: oneOf('Least severe level that is written.', LOG_LEVELS).byDefault('info'),
  }).always(),
}).always();

export type Settings = z.output<typeof settingsSchema>;
export type KafkaSettings = Settings['kafka'];
export type SecuritySettings = NonNullable<KafkaSettings['security']>;
export type DestinationSettings = Settings['destinations'][number];
