-- The destinations of a tenant whose attempts took longest, by their 95th percentile.
--
-- @since (1d) from when on: a time, or how long ago
-- @until (0s) before when: a time, or how long ago
-- @tenant () of this tenant; empty is all
-- @at_least (20) destinations with fewer attempts are left out
-- @limit (20) so many rows
WITH quantilesTDigestIfMerge(0.5, 0.95, 0.99)(durations) AS quantiles
SELECT
  tenant,
  destination_id,
  sum(sent) AS attempts,
  round(quantiles[1] / 1000, 1) AS p50_ms,
  round(quantiles[2] / 1000, 1) AS p95_ms,
  round(quantiles[3] / 1000, 1) AS p99_ms,
  round(sum(waited_us_sum) / attempts / 1000, 1) AS average_wait_ms
FROM attempts_per_minute
WHERE minute >= toStartOfMinute({since:DateTime('UTC')}) AND minute < {until:DateTime('UTC')}
  AND ({tenant:String} = '' OR tenant = {tenant:String})
GROUP BY tenant, destination_id
HAVING attempts >= greatest({at_least:UInt32}, 1)
ORDER BY p95_ms DESC, tenant, destination_id
LIMIT {limit:UInt32}
