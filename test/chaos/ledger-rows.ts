import type { LedgerRow } from '../../src/verify/history.ts';
import type { Ledger } from '../../src/ledger/client.ts';

/**
 * Every row of `attempts` about records of a topic, the dead letters' marks among them.
 * @param processOf the name of the process that calls itself so; undefined for others than dispatchers.
 */
export async function ledgerRows(
  ledger: Ledger,
  topic: string,
  processOf: (instance: string) => string | undefined,
): Promise<LedgerRow[]> {
  const rows = await ledger.query<LedgerRow>(
    `SELECT delivery_id AS deliveryId, toString(destination_id) AS destination, tenant, event_id AS eventId,
       toString(topic) AS topic, partition, offset, attempt, toString(outcome) AS outcome, is_final AS isFinal,
       toString(reason) AS reason, status, toString(class) AS class, ambiguous, toString(hand_over) AS handOver,
       toUnixTimestamp64Milli(attempted_at) AS attemptedAtMs, duration_us / 1000 AS durationMs,
       toUnixTimestamp64Milli(next_attempt_at) AS nextAttemptAtMs, toString(instance) AS process
     FROM attempts WHERE attempts.topic = {topic:String}
     ORDER BY deliveryId, attemptedAtMs`,
    { topic },
  );
  return rows.map((row) => ({ ...row, process: processOf(row.process) ?? row.process }));
}
