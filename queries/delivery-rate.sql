-- Deliveries that ended, and the share of them that was delivered, by hour and channel.
--
-- Unsent are those that expired, were cancelled, or whose destination is disabled.
--
-- @since (1d) from when on: a time, or how long ago
-- @until (0s) before when: a time, or how long ago
-- @tenant () of this tenant; empty is all
SELECT
  toStartOfHour(minute) AS hour,
  channel,
  sumIf(rows, outcome = 'delivered') AS delivered,
  sumIf(rows, outcome IN ('dead', 'rejected')) AS given_up,
  sumIf(rows, outcome IN ('expired', 'cancelled', 'skipped_disabled')) AS unsent,
  round(100 * delivered / nullIf(delivered + given_up + unsent, 0), 2) AS delivered_percent,
  round(delivered / 3600, 3) AS delivered_per_second
FROM attempts_per_minute
WHERE minute >= toStartOfMinute({since:DateTime('UTC')}) AND minute < {until:DateTime('UTC')}
  AND destination_id != ''
  AND ({tenant:String} = '' OR tenant = {tenant:String})
GROUP BY hour, channel
ORDER BY hour, channel
