-- How long attempts took, by destination: median, 95th and 99th percentile.
--
-- The percentiles are estimates (t-digest). The wait is from a delivery's queue to its sending:
-- limits, connections, order.
--
-- @since (1d) from when on: a time, or how long ago
-- @until (0s) before when: a time, or how long ago
-- @tenant () of this tenant; empty is all
WITH quantilesTDigestIfMerge(0.5, 0.95, 0.99)(durations) AS quantiles
SELECT
  destination_id,
  channel,
  sum(sent) AS attempts,
  round(quantiles[1] / 1000, 1) AS p50_ms,
  round(quantiles[2] / 1000, 1) AS p95_ms,
  round(quantiles[3] / 1000, 1) AS p99_ms,
  round(sum(waited_us_sum) / attempts / 1000, 1) AS average_wait_ms
FROM attempts_per_minute
WHERE minute >= toStartOfMinute({since:DateTime('UTC')}) AND minute < {until:DateTime('UTC')}
  AND ({tenant:String} = '' OR tenant = {tenant:String})
GROUP BY destination_id, channel
HAVING attempts > 0
ORDER BY destination_id, channel
