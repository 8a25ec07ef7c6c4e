import { hash } from 'node:crypto';
import type { ClickHouseConfig } from '../config/config.ts';
import { messageOf, UserError } from '../domain/errors.ts';
import { analysisTables } from './analysis-tables.ts';
import { clustered } from './clustered.ts';
import { keepFor } from './retention.ts';

/** The statements of one version. Each may run again after a crash, so each is idempotent. */
export interface Migration {
  readonly version: number;
  readonly name: string;
  readonly statements: readonly string[];
}

/** Where the tables are, and how long they keep their rows. */
export type LedgerLayout = Pick<ClickHouseConfig, 'cluster' | 'ttl'>;

/** What `migrate` needs of a ledger: statements in its database, with bound parameters. */
export interface MigrationTarget {
  readonly database: string;
  createDatabase(): Promise<void>;
  command(sql: string, params?: Record<string, unknown>): Promise<void>;
  query<T>(sql: string, params?: Record<string, unknown>): Promise<T[]>;
}

/**
 * Inserts of the last batches that are recognised when they are sent again. A
 * few inserts a second and process, retried for minutes, stay far below it.
 */
const DEDUPLICATION_WINDOW = 10_000;

/**
 * In order, never edited: a database remembers the checksum of what it ran.
 *
 * Both tables are partitioned by times of our own clock, never by the event's or
 * the producer's: those may be anything, and a batch that spreads over more than
 * 100 months is refused as a whole.
 */
export const MIGRATIONS: readonly Migration[] = [
  {
    version: 1,
    name: 'events',
    statements: [
      // A record that is read again after a crash is written again, so rows with
      // the same record replace one another. Two copies whose ingest times lie in
      // different months stay apart on disk; readers take one with LIMIT 1 BY.
      `CREATE TABLE IF NOT EXISTS events (
        tenant String,
        event_id String,
        event_type LowCardinality(String),
        event_time DateTime64(3, 'UTC'),
        correlation_id String,
        topic LowCardinality(String),
        partition UInt32,
        offset Int64,
        produced_at DateTime64(3, 'UTC'),
        instance LowCardinality(String),
        lane UInt8,
        version LowCardinality(String),
        source LowCardinality(String),
        event_key String,
        ingested_at DateTime64(3, 'UTC'),
        data String CODEC(ZSTD(1))
      )
      ENGINE = ReplacingMergeTree
      PARTITION BY toYYYYMM(ingested_at)
      ORDER BY (tenant, event_id, topic, partition, offset)
      SETTINGS non_replicated_deduplication_window = ${DEDUPLICATION_WINDOW}`,
    ],
  },
  {
    version: 2,
    name: 'attempts',
    statements: [
      // The minmax index serves reads by offset range (reconcile, recovery): the
      // parts and granules of other times are skipped without being read.
      `CREATE TABLE IF NOT EXISTS attempts (
        tenant String,
        event_id String,
        event_type LowCardinality(String),
        event_time DateTime64(3, 'UTC'),
        correlation_id String,
        topic LowCardinality(String),
        partition UInt32,
        offset Int64,
        produced_at DateTime64(3, 'UTC'),
        instance LowCardinality(String),
        lane UInt8,
        delivery_id String,
        destination_id LowCardinality(String),
        channel LowCardinality(String),
        attempt UInt16,
        outcome LowCardinality(String),
        is_final Bool,
        reason LowCardinality(String),
        status UInt16,
        attempted_at DateTime64(3, 'UTC'),
        duration_us UInt32,
        next_attempt_at Nullable(DateTime64(3, 'UTC')),
        response String CODEC(ZSTD(1)),
        INDEX record_place (topic, partition, offset) TYPE minmax GRANULARITY 1
      )
      ENGINE = MergeTree
      PARTITION BY toYYYYMM(attempted_at)
      ORDER BY (tenant, event_id, destination_id, attempt)
      SETTINGS non_replicated_deduplication_window = ${DEDUPLICATION_WINDOW}`,
    ],
  },
  {
    version: 3,
    name: 'retries',
    statements: [
      // Rows of before read as first attempts that handed nothing over. The index
      // serves the recovery of a delay topic's partition as record_place does that of a source.
      `ALTER TABLE attempts
        ADD COLUMN IF NOT EXISTS class LowCardinality(String),
        ADD COLUMN IF NOT EXISTS ambiguous Bool,
        ADD COLUMN IF NOT EXISTS hand_over LowCardinality(String),
        ADD COLUMN IF NOT EXISTS retry_topic LowCardinality(String),
        ADD COLUMN IF NOT EXISTS retry_partition UInt32,
        ADD COLUMN IF NOT EXISTS retry_offset Int64,
        ADD INDEX IF NOT EXISTS retry_place (retry_topic, retry_partition, retry_offset) TYPE minmax GRANULARITY 1`,
    ],
  },
  { version: 4, name: 'analysis', statements: analysisTables(DEDUPLICATION_WINDOW) },
  {
    version: 5,
    name: 'aggregates',
    statements: [
      // Rows of before read as events that did not tell.
      `ALTER TABLE events
        ADD COLUMN IF NOT EXISTS aggregate_type LowCardinality(String) AFTER event_key,
        ADD COLUMN IF NOT EXISTS aggregate_id String AFTER aggregate_type,
        ADD COLUMN IF NOT EXISTS aggregate_version String AFTER aggregate_id`,
    ],
  },
  {
    version: 6,
    name: 'deliveries',
    statements: [
      // Rows of before read as events of which nobody knows how many deliveries they were to have. The
      // index serves reconcile as that of the attempts does.
      `ALTER TABLE events
        ADD COLUMN IF NOT EXISTS deliveries UInt16 AFTER aggregate_version,
        ADD INDEX IF NOT EXISTS record_place (topic, partition, offset) TYPE minmax GRANULARITY 1`,
    ],
  },
];

/** Two processes may migrate at once and both note a version: rows of one version replace one another. */
const CREATE_SCHEMA_MIGRATIONS = `CREATE TABLE IF NOT EXISTS schema_migrations (
    version UInt32,
    name String,
    checksum String,
    applied_at DateTime64(3, 'UTC')
  )
  ENGINE = ReplacingMergeTree
  ORDER BY version`;

interface AppliedMigration {
  readonly version: number;
  readonly name: string;
  readonly checksum: string;
}

/**
 * Creates or upgrades the ledger's tables, and sets how long they keep their rows;
 * creates the database when it is not there.
 * @returns the versions that were applied now.
 * @throws UserError when the ledger is newer than this program, or was migrated by other statements.
 */
export async function migrate(
  target: MigrationTarget,
  { cluster, ttl }: LedgerLayout,
  migrations: readonly Migration[] = MIGRATIONS,
): Promise<number[]> {
  await target.createDatabase();
  await target.command(clustered(CREATE_SCHEMA_MIGRATIONS, cluster));
  const applied = await target.query<AppliedMigration>(
    'SELECT DISTINCT version, name, checksum FROM schema_migrations ORDER BY version',
  );
  assertKnown(target.database, applied, migrations);
  const done = new Set(applied.map(({ version }) => version));
  const pending = migrations.filter(({ version }) => !done.has(version));
  for (const migration of pending) await apply(target, migration, cluster);
  await keepFor(target, ttl, cluster);
  return pending.map(({ version }) => version);
}

async function apply(target: MigrationTarget, migration: Migration, cluster: string | null): Promise<void> {
  const { version, name, statements } = migration;
  try {
    for (const statement of statements) await target.command(clustered(statement, cluster));
  } catch (error) {
    throw new UserError([`migration ${version} (${name}) failed: ${messageOf(error)}`]);
  }
  await target.command(
    `INSERT INTO schema_migrations (version, name, checksum, applied_at)
     SELECT {version:UInt32}, {name:String}, {checksum:String}, now64(3)`,
    { version, name, checksum: checksumOf(migration) },
  );
}

function assertKnown(
  database: string,
  applied: readonly AppliedMigration[],
  migrations: readonly Migration[],
): void {
  const problems: string[] = [];
  for (const { version, name, checksum } of applied) {
    const known = migrations.find((migration) => migration.version === version);
    if (known === undefined) {
      problems.push(
        `clickhouse.database "${database}" has migration ${version} (${name}), which this program does not know: it is newer; run a newer eventdispatch`,
      );
    } else if (checksumOf(known) !== checksum) {
      problems.push(
        `clickhouse.database "${database}" ran other statements as migration ${version} (${name}); its tables cannot be trusted to fit`,
      );
    }
  }
  if (problems.length > 0) throw new UserError(problems);
}

function checksumOf({ statements }: Migration): string {
  return hash('sha256', statements.join(';\n'), 'hex');
}
