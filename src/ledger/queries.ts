import type { Outcome } from '../domain/outcome.ts';

/** What the questions need of a ledger. Values are bound, never written into the SQL. */
export interface LedgerReader {
  query<T>(sql: string, params?: Readonly<Record<string, unknown>>): Promise<T[]>;
}

/** One attempt, as support reads it. Times are Unix epoch milliseconds. */
export interface AttemptView {
  readonly deliveryId: string;
  readonly destinationId: string;
  readonly channel: string;
  readonly attempt: number;
  readonly outcome: Outcome;
  readonly isFinal: boolean;
  readonly reason: string;
  /** 0 when there was no answer. */
  readonly status: number;
  readonly attemptedAtMs: number;
  readonly durationMs: number;
  readonly nextAttemptAtMs: number | null;
  readonly response: string;
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
}

/** Did this tenant get this event: when, what was answered, after how long? In the order of the attempts. */
export function deliveryHistory(
  ledger: LedgerReader,
  tenant: string,
  eventId: string,
): Promise<AttemptView[]> {
  return ledger.query<AttemptView>(
    `SELECT
       delivery_id AS deliveryId,
       destination_id AS destinationId,
       channel,
       attempt,
       outcome,
       is_final AS isFinal,
       reason,
       status,
       toUnixTimestamp64Milli(attempted_at) AS attemptedAtMs,
       duration_us / 1000 AS durationMs,
       toUnixTimestamp64Milli(next_attempt_at) AS nextAttemptAtMs,
       response,
       topic,
       partition,
       offset
     FROM attempts
     WHERE tenant = {tenant:String} AND event_id = {eventId:String}
     ORDER BY destination_id, attempt, attempted_at`,
    { tenant, eventId },
  );
}

export interface OutcomeCount {
  readonly outcome: Outcome;
  readonly isFinal: boolean;
  readonly rows: number;
}

/** Rows by outcome, the most frequent first. */
export function outcomeCounts(ledger: LedgerReader): Promise<OutcomeCount[]> {
  return ledger.query<OutcomeCount>(
    `SELECT outcome, is_final AS isFinal, count() AS rows
     FROM attempts
     GROUP BY outcome, is_final
     ORDER BY rows DESC, outcome`,
  );
}

/** How a destination fares, over all of its tenants. Quantiles are estimates. */
export interface DestinationSummary {
  readonly destinationId: string;
  readonly channel: string;
  /** Distinct deliveries, those that were never sent included. */
  readonly deliveries: number;
  readonly delivered: number;
  /** Given up: `dead` and `rejected`. */
  readonly dead: number;
  /** Attempts that another one followed. */
  readonly retries: number;
  /** Of single attempts; null when there was none. */
  readonly durationP50Ms: number | null;
  readonly durationP99Ms: number | null;
  /** From the producer's time to the end of the attempt that delivered; null when none did. */
  readonly produceToReceiptP50Ms: number | null;
  readonly produceToReceiptP99Ms: number | null;
}

export function destinationSummary(ledger: LedgerReader): Promise<DestinationSummary[]> {
  return ledger.query<DestinationSummary>(
    `SELECT
       destination_id AS destinationId,
       any(channel) AS channel,
       uniqExact(delivery_id) AS deliveries,
       uniqExactIf(delivery_id, outcome = 'delivered') AS delivered,
       uniqExactIf(delivery_id, outcome IN ('dead', 'rejected')) AS dead,
       countIf(outcome = 'retrying' AND is_attempt) AS retries,
       quantileOrNullIf(0.5)(duration_us, is_attempt) / 1000 AS durationP50Ms,
       quantileOrNullIf(0.99)(duration_us, is_attempt) / 1000 AS durationP99Ms,
       quantileOrNullIf(0.5)(total_ms, outcome = 'delivered') AS produceToReceiptP50Ms,
       quantileOrNullIf(0.99)(total_ms, outcome = 'delivered') AS produceToReceiptP99Ms
     FROM
     (
       SELECT
         destination_id,
         channel,
         delivery_id,
         outcome,
         duration_us,
         -- A delivery that was put off or ended unsent has a row without a class.
         class != '' AS is_attempt,
         date_diff('millisecond', produced_at, attempted_at) + duration_us / 1000 AS total_ms
       FROM attempts
       WHERE delivery_id != ''
     )
     GROUP BY destination_id
     ORDER BY destination_id`,
  );
}
