import type { LedgerReader } from '../ledger/queries.ts';

/** What is held against the ledger: who wrote these files knows nothing of the dispatcher's router. */
export interface ReconcileInputs {
  readonly topic: string;
  /** As `eventdispatch produce --manifest` writes it. */
  readonly manifestFile: string;
  /** A line per 2xx that a receiver sent: destination, tab, `webhook-id`. */
  readonly receiptsFile: string;
  /** Destinations of every tenant; the pattern is RE2, over the whole event type. */
  readonly filters: readonly { readonly id: string; readonly typePattern: string }[];
}

export interface ReconcileTotals {
  readonly events: number;
  /** Pairs (event, destination) by the filters; an event that no filter wants counts as one. */
  readonly expected: number;
  /** Final rows of the ledger. */
  readonly finals: number;
  readonly delivered: number;
  /** `dead` and `rejected`. */
  readonly dead: number;
  /** 2xx the receivers sent. */
  readonly receipts: number;
}

export interface Check {
  /** What must hold. */
  readonly claim: string;
  /** How many rows break it; it holds when there is none. */
  readonly broken: number;
  /** The first of them. */
  readonly examples: readonly Readonly<Record<string, unknown>>[];
}

export interface Verdict {
  readonly totals: ReconcileTotals;
  readonly checks: readonly Check[];
}

const EXAMPLES = 3;

const MANIFEST = `file({manifestFile:String}, 'TabSeparated',
      'event_id String, tenant String, event_type String, partition UInt32, offset Int64, produced_ms Int64')`;

/**
 * The sources, by SQL alone. The engine reads the files itself, so what is held
 * against the ledger never passes through the program that wrote the ledger.
 */
const SOURCES = `WITH
  manifest AS
  (
    SELECT event_id, tenant, event_type, partition, offset
    FROM ${MANIFEST}
  ),
  receipts AS
  (
    SELECT destination_id, delivery_id, count() AS times
    FROM file({receiptsFile:String}, 'TabSeparated', 'destination_id String, delivery_id String')
    GROUP BY destination_id, delivery_id
  ),
  expected AS
  (
    SELECT tenant, event_id, event_type, arrayJoin(if(empty(wanted), [''], wanted)) AS destination_id
    FROM
    (
      SELECT *,
        arrayFilter((id, pattern) -> match(event_type, pattern), {ids:Array(String)}, {patterns:Array(String)}) AS wanted
      FROM manifest
    )
  ),
  ended AS
  (
    SELECT tenant, event_id, toString(destination_id) AS destination_id,
      count() AS row_count,
      countIf(is_final) AS finals,
      groupArrayIf(toString(outcome), is_final) AS outcomes
    FROM attempts
    GROUP BY tenant, event_id, destination_id
  )
`;

/** Each selects the rows that break its claim. */
const CLAIMS: readonly { readonly claim: string; readonly breaches: string }[] = [
  {
    claim: 'each produced event has an id and a place of its own',
    breaches: `SELECT 'id' AS same, event_id AS what, count() AS times FROM manifest GROUP BY event_id HAVING times > 1
      UNION ALL
      SELECT 'place', concat(toString(partition), '/', toString(offset)), count() AS times
      FROM manifest GROUP BY partition, offset HAVING times > 1`,
  },
  {
    claim: 'the payload of every produced event is in the ledger',
    breaches: `SELECT tenant, event_id, event_type, partition, offset
      FROM manifest
      LEFT ANTI JOIN (SELECT * FROM events WHERE topic = {topic:String}) AS stored
      USING (tenant, event_id, event_type, partition, offset)`,
  },
  {
    claim: 'every expected (event, destination) has a final outcome',
    breaches: `SELECT tenant, event_id, event_type, destination_id, row_count
      FROM expected LEFT JOIN ended USING (tenant, event_id, destination_id)
      WHERE finals = 0`,
  },
  {
    claim: 'none has two final outcomes',
    breaches: 'SELECT tenant, event_id, destination_id, finals, outcomes FROM ended WHERE finals > 1',
  },
  {
    claim: 'nothing is in the ledger that was not expected',
    breaches: `SELECT tenant, event_id, destination_id, outcomes
      FROM ended LEFT ANTI JOIN expected USING (tenant, event_id, destination_id)`,
  },
  {
    claim: 'each outcome fits its event (delivered, dead, rejected; filtered) and has a reason',
    breaches: `SELECT tenant, event_id, destination_id, outcome, reason
      FROM attempts
      WHERE is_final AND NOT (reason != ''
        AND if(destination_id = '', outcome = 'filtered', outcome IN ('delivered', 'dead', 'rejected')))`,
  },
  {
    claim: 'each row names the tenant, type, topic, partition and offset the producer knows',
    breaches: `SELECT tenant, event_id, event_type, topic, partition, offset
      FROM attempts
      LEFT ANTI JOIN (SELECT *, {topic:String} AS topic FROM manifest) AS known
      USING (tenant, event_id, event_type, topic, partition, offset)`,
  },
  {
    claim: 'what the ledger calls delivered was answered with 2xx, and the other way round',
    breaches: `SELECT 'ledger only' AS known_to, destination_id, delivery_id
      FROM (SELECT toString(destination_id) AS destination_id, delivery_id FROM attempts WHERE outcome = 'delivered') AS told
      LEFT ANTI JOIN receipts USING (destination_id, delivery_id)
      UNION ALL
      SELECT 'receiver only', destination_id, delivery_id
      FROM receipts
      LEFT ANTI JOIN (SELECT toString(destination_id) AS destination_id, delivery_id FROM attempts WHERE outcome = 'delivered') AS told
      USING (destination_id, delivery_id)`,
  },
  {
    claim: 'no receiver answered a delivery with 2xx twice',
    breaches: 'SELECT destination_id, delivery_id, times FROM receipts WHERE times > 1',
  },
];

/**
 * Compares what was produced, and what the receivers say they accepted, with what
 * the ledger says became of it. Files that grow or a ledger with pending rows give
 * a wrong verdict: everything must have come to rest.
 *
 * @throws LedgerError when a file is not there or the ledger does not answer.
 */
export async function reconcile(ledger: LedgerReader, inputs: ReconcileInputs): Promise<Verdict> {
  const { filters, ...named } = inputs;
  const params = {
    ...named,
    ids: filters.map(({ id }) => id),
    patterns: filters.map(({ typePattern }) => typePattern),
  };
  const [totals] = await ledger.query<ReconcileTotals>(
    `${SOURCES}
    SELECT
      (SELECT count() FROM manifest) AS events,
      (SELECT count() FROM expected) AS expected,
      (SELECT countIf(is_final) FROM attempts) AS finals,
      (SELECT countIf(outcome = 'delivered') FROM attempts) AS delivered,
      (SELECT countIf(outcome IN ('dead', 'rejected')) FROM attempts) AS dead,
      (SELECT sum(times) FROM receipts) AS receipts`,
    params,
  );
  const checks: Check[] = [];
  for (const { claim, breaches } of CLAIMS) {
    const rows = await ledger.query<Readonly<Record<string, unknown>>>(
      `${SOURCES} SELECT *, count() OVER () AS broken FROM (${breaches}) LIMIT ${EXAMPLES}`,
      params,
    );
    checks.push({
      claim,
      broken: Number(rows[0]?.['broken'] ?? 0),
      examples: rows.map(({ broken: _, ...example }) => example),
    });
  }
  return { totals: totals as ReconcileTotals, checks };
}

/** How many events the ledger has. */
export async function countStored(ledger: LedgerReader): Promise<number> {
  const [counted] = await ledger.query<{ readonly events: number }>('SELECT count() AS events FROM events');
  return counted?.events ?? 0;
}

/** How many deliveries were tried, or refused by a breaker, and have not ended: they wait in delay topics, or are on their way. */
export async function countRetriesOut(ledger: LedgerReader): Promise<number> {
  const [counted] = await ledger.query<{ readonly deliveries: number }>(
    `SELECT count() AS deliveries
     FROM (SELECT delivery_id FROM attempts WHERE delivery_id != '' GROUP BY delivery_id HAVING NOT max(is_final))`,
  );
  return counted?.deliveries ?? 0;
}

/** How many events the producer has on record. */
export async function countProduced(ledger: LedgerReader, manifestFile: string): Promise<number> {
  const [counted] = await ledger.query<{ readonly events: number }>(
    `SELECT count() AS events FROM ${MANIFEST}`,
    { manifestFile },
  );
  return counted?.events ?? 0;
}
