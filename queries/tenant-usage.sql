-- Usage per day and tenant: events, attempts, bytes.
--
-- What was read again after a crash is counted again.
--
-- @since (30d) from this day on: a time, or how long ago
-- @until (0s) up to this day: a time, or how long ago
-- @tenant () of this tenant; empty is all
SELECT
  day,
  tenant,
  sum(u.events) AS events,
  sum(u.event_bytes) AS event_bytes,
  sum(u.sent) AS attempts,
  sum(u.delivered) AS delivered,
  sum(u.given_up) AS given_up,
  sum(u.request_bytes_sum) AS request_bytes,
  sum(u.response_bytes_sum) AS response_bytes
FROM usage_per_day AS u
WHERE day >= toDate({since:DateTime('UTC')}) AND day <= toDate({until:DateTime('UTC')})
  AND ({tenant:String} = '' OR tenant = {tenant:String})
GROUP BY day, tenant
ORDER BY day, tenant
