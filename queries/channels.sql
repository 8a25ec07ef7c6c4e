-- By channel: attempts, failures, success rate and average latency.
--
-- @since (1d) from when on: a time, or how long ago
-- @until (0s) before when: a time, or how long ago
-- @tenant () of this tenant; empty is all
SELECT
  channel,
  sum(sent) AS attempts,
  sumIf(sent, outcome = 'delivered') AS delivered,
  attempts - delivered AS failed,
  round(100 * delivered / attempts, 2) AS success_percent,
  round(sum(duration_us_sum) / attempts / 1000, 1) AS average_ms,
  sum(request_bytes_sum) AS request_bytes,
  sum(response_bytes_sum) AS response_bytes
FROM attempts_per_minute
WHERE minute >= toStartOfMinute({since:DateTime('UTC')}) AND minute < {until:DateTime('UTC')}
  AND ({tenant:String} = '' OR tenant = {tenant:String})
GROUP BY channel
HAVING attempts > 0
ORDER BY channel
