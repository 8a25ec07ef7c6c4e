-- The destinations of a tenant whose attempts failed most often, by their share of failures.
--
-- @since (1d) from when on: a time, or how long ago
-- @until (0s) before when: a time, or how long ago
-- @tenant () of this tenant; empty is all
-- @at_least (20) destinations with fewer attempts are left out
-- @limit (20) so many rows
SELECT
  tenant,
  destination_id,
  sum(sent) AS attempts,
  attempts - sumIf(sent, outcome = 'delivered') AS failed,
  round(100 * failed / attempts, 2) AS failed_percent,
  sumIf(rows, outcome IN ('dead', 'rejected')) AS given_up,
  sumIf(rows, outcome = 'breaker_open') AS refused_by_breaker
FROM attempts_per_minute
WHERE minute >= toStartOfMinute({since:DateTime('UTC')}) AND minute < {until:DateTime('UTC')}
  AND ({tenant:String} = '' OR tenant = {tenant:String})
GROUP BY tenant, destination_id
HAVING attempts >= greatest({at_least:UInt32}, 1)
ORDER BY failed_percent DESC, failed DESC, tenant, destination_id
LIMIT {limit:UInt32}
