import type { LedgerReader } from '../../ledger/queries.ts';
import type { Span } from '../../reconcile/merge.ts';
import type { LedgerRecord, RepeatedDelivery, UnfinishedDelivery } from '../../reconcile/standing.ts';

/** Deliveries come as texts, since nested numbers and names are written differently by different servers. */
interface Row {
  readonly at: number;
  readonly tenant: string;
  readonly eventId: string;
  readonly deliveries: number;
  /** 1 when a row ends the record, or all of it in one lane, as a whole: `filtered`, `invalid`, `worker_crash` … */
  readonly isEnded: number;
  readonly maybeTwice: number;
  readonly unfinished: readonly (readonly string[])[];
  readonly repeated: readonly (readonly string[])[];
}

/**
 * Rows of retries carry the place of the source record, so all that was ever done about a record is at its
 * offset. A redrive and a drop each follow a final row, so `ends` counts the ends of the last life only.
 */
const RECORDS = `SELECT
    at,
    any(in_tenant) AS tenant,
    any(in_event) AS eventId,
    toUInt32(count()) AS deliveries,
    max(to_destination = '') AS isEnded,
    toUInt32(countIf(doubts > 0 AND successes > 0)) AS maybeTwice,
    groupArrayIf([id, to_destination, toString(row_count), toString(departures)],
      successes = 0 AND ends < 1) AS unfinished,
    groupArrayIf([id, to_destination, toString(successes), toString(redrives), toString(places), toString(processes)],
      successes > 1 OR ends > 1) AS repeated
  FROM
  (
    SELECT
      offset AS at,
      delivery_id AS id,
      any(tenant) AS in_tenant,
      any(event_id) AS in_event,
      toString(any(destination_id)) AS to_destination,
      count() AS row_count,
      countIf(outcome = 'delivered') AS successes,
      countIf(outcome = 'redriven') AS redrives,
      toInt64(countIf(is_final)) - toInt64(countIf(outcome IN ('redriven', 'dropped'))) AS ends,
      countIf(hand_over = 'retry' OR outcome = 'redriven') AS departures,
      uniqExactIf((retry_topic, retry_partition, retry_offset), outcome = 'delivered') AS places,
      uniqExactIf(instance, outcome = 'delivered') AS processes,
      countIf(ambiguous) AS doubts
    FROM attempts
    WHERE topic = {topic:String} AND partition = {partition:UInt32}
      AND offset >= {from:Int64} AND offset < {end:Int64}
    GROUP BY offset, delivery_id
  )
  GROUP BY at
  ORDER BY at`;

/**
 * A record that was read again under another configuration may have had more destinations, or fewer, than
 * before, and has two rows until they are merged: the lower number is what it had both times.
 */
const EXPECTED = `SELECT offset AS at, toUInt32(min(deliveries)) AS expected
  FROM events
  WHERE topic = {topic:String} AND partition = {partition:UInt32}
    AND offset >= {from:Int64} AND offset < {end:Int64}
  GROUP BY offset`;

interface ExpectedRow {
  readonly at: number;
  /** 0 also where the row is of a version that did not tell. */
  readonly expected: number;
}

/** What the ledger has of a span of a source topic, ascending by offset. */
export async function ledgerRecords(
  ledger: LedgerReader,
  topic: string,
  { partition, from, end }: Span,
): Promise<readonly LedgerRecord[]> {
  const span = { topic, partition, from, end };
  const [rows, events] = await Promise.all([
    ledger.query<Row>(RECORDS, span),
    ledger.query<ExpectedRow>(EXPECTED, span),
  ]);
  const expected = new Map(events.map((event) => [event.at, event.expected]));
  return rows.map(({ at, unfinished, repeated, isEnded, ...rest }) => ({
    ...rest,
    offset: at,
    absent: isEnded === 1 ? 0 : Math.max(0, (expected.get(at) ?? 0) - rest.deliveries),
    unfinished: unfinished.map(unfinishedOf),
    repeated: repeated.map(repeatedOf),
  }));
}

function unfinishedOf(texts: readonly string[]): UnfinishedDelivery {
  const [deliveryId = '', destinationId = '', rows, departures] = texts;
  return { deliveryId, destinationId, rows: Number(rows), hasLeft: Number(departures) > 0 };
}

function repeatedOf(texts: readonly string[]): RepeatedDelivery {
  const [deliveryId = '', destinationId = '', delivered, redrives, places, processes] = texts;
  return {
    deliveryId,
    destinationId,
    delivered: Number(delivered),
    redrives: Number(redrives),
    places: Number(places),
    processes: Number(processes),
  };
}
