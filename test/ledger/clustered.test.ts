/**
 * Proves, as text, that each statement of each migration has a form for a cluster: made on
 * every replica, on a replicated engine, with windows wide enough that a batch sent again is
 * known on any of them. No cluster runs here.
 */
import { describe, expect, test } from 'vitest';
import { clustered } from '../../src/ledger/clustered.ts';
import { migrate, MIGRATIONS } from '../../src/ledger/migrations.ts';

const FOR_EVER = { eventsMs: null, attemptsMs: null, rollupsMs: null };

const statements = MIGRATIONS.flatMap(({ version, statements: of }) =>
  of.map((statement, index) => ({ name: `${version}.${index + 1}`, statement })),
);

/** What is left of a statement when all that a cluster adds is taken out again. */
function withoutCluster(statement: string): string {
  return statement
    .replace(" ON CLUSTER 'production'", '')
    .replaceAll('ENGINE = Replicated', 'ENGINE = ')
    .replaceAll(
      /\breplicated_deduplication_window = (\d+), replicated_deduplication_window_seconds = 604800/g,
      'non_replicated_deduplication_window = $1',
    );
}

describe.each(statements)('statement $name', ({ statement }) => {
  const onCluster = clustered(statement, 'production');

  test('is made on the cluster, right after the name of what it makes', () => {
    expect(onCluster).toMatch(
      /^(CREATE (TABLE|VIEW|MATERIALIZED VIEW) IF NOT EXISTS|ALTER TABLE) \w+ ON CLUSTER 'production'\s/,
    );
    expect(onCluster.match(/ON CLUSTER/g)).toHaveLength(1);
  });

  test('has no engine, and no window, of a single server', () => {
    expect(onCluster).not.toMatch(/ENGINE = (?!Replicated(Replacing|Aggregating)?MergeTree\b)/);
    expect(onCluster).not.toContain('non_replicated_deduplication_window');
  });

  test('says nothing else', () => {
    expect(withoutCluster(onCluster)).toBe(statement);
  });

  test('stays as it is on one server', () => {
    expect(clustered(statement, null)).toBe(statement);
  });
});

test('every table that takes inserts recognises a batch on every replica for a week', () => {
  const tables = statements.filter(({ statement }) => statement.startsWith('CREATE TABLE'));
  expect(tables).toHaveLength(4);
  for (const { statement } of tables) {
    expect(clustered(statement, 'c')).toMatch(
      /SETTINGS replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800$/,
    );
  }
});

test('a migration on a cluster sends nothing that is not for all of it', async () => {
  const sent: string[] = [];
  const target = {
    database: 'eventdispatch',
    createDatabase: () => Promise.resolve(),
    command: (sql: string) => {
      sent.push(sql);
      return Promise.resolve();
    },
    query: <T>(sql: string) =>
      Promise.resolve(
        (sql.includes('system.tables') ? [{ name: 'events', engine: 'ReplicatedMergeTree' }] : []) as T[],
      ),
  };
  const ttl = { ...FOR_EVER, eventsMs: 86_400_000 };
  expect(await migrate(target, { cluster: '{cluster}', ttl })).toEqual(
    MIGRATIONS.map(({ version }) => version),
  );
  const schema = sent.filter((sql) => !sql.startsWith('INSERT INTO schema_migrations'));
  expect(schema).toHaveLength(statements.length + 2);
  for (const sql of schema) expect(sql).toMatch(/^[A-Z ]+ \w+ ON CLUSTER '\{cluster\}'\s/);
  expect(schema.at(-1)).toBe(
    "ALTER TABLE events ON CLUSTER '{cluster}' MODIFY TTL toDateTime(ingested_at) + toIntervalSecond(86400)",
  );
  expect(sent[0]).toMatch(/ENGINE = ReplicatedReplacingMergeTree\s/);
});

test('a statement that has no known form is refused, not sent to one replica', () => {
  expect(() => clustered('DROP TABLE events', 'production')).toThrow(/no clustered form/);
  expect(() => clustered('CREATE TABLE events (a String)', 'production')).toThrow(/no clustered form/);
});
