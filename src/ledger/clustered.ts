/**
 * Tables of a single server in their clustered form. Migrations are written, and
 * their checksums made, for a single server; on a cluster each statement is turned
 * into the one that makes the same table on every replica, filled by replication.
 */

/** Batches are recognised for a week, however long the outage was before they are sent again; the default is an hour. */
const DEDUPLICATION_SECONDS = 7 * 86_400;

/** What makes or changes something, up to its name. */
const TARGET =
  /^(?<verb>CREATE (?:TABLE|VIEW|MATERIALIZED VIEW|DATABASE) IF NOT EXISTS|ALTER TABLE)\s+(?<name>\w+)/;
const ENGINE = /\bENGINE = (?=\w*MergeTree\b)/g;
const WINDOW = /\bnon_replicated_deduplication_window = (\d+)/g;

/**
 * @param cluster as `ON CLUSTER` takes it; null gives the statement back as it is.
 * @throws Error for a statement of another kind: a mistake in the migrations.
 */
export function clustered(statement: string, cluster: string | null): string {
  if (cluster === null) return statement;
  if (!TARGET.test(statement)) throw new Error(`no clustered form is known of: ${statement.slice(0, 80)}`);
  return statement
    .replace(TARGET, `$<verb> $<name> ON CLUSTER '${cluster}'`)
    .replace(ENGINE, 'ENGINE = Replicated')
    .replace(
      WINDOW,
      `replicated_deduplication_window = $1, replicated_deduplication_window_seconds = ${DEDUPLICATION_SECONDS}`,
    );
}
