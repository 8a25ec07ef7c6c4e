-- From the producer's time to the first success of a delivery, by destination.
--
-- @since (1d) from when on: a time, or how long ago
-- @until (0s) before when: a time, or how long ago
-- @tenant () of this tenant; empty is all
SELECT
  destination_id,
  count() AS deliveries,
  round(100 * countIf(attempts = 1) / deliveries, 2) AS at_first_percent,
  round(quantileExact(0.5)(success_ms), 1) AS p50_ms,
  round(quantileExact(0.95)(success_ms), 1) AS p95_ms,
  round(quantileExact(0.99)(success_ms), 1) AS p99_ms,
  round(max(success_ms), 1) AS longest_ms
FROM
(
  SELECT
    destination_id,
    min(attempt) AS attempts,
    min(date_diff('millisecond', produced_at, attempted_at) + duration_us / 1000) AS success_ms
  FROM attempts
  WHERE attempted_at >= {since:DateTime('UTC')} AND attempted_at < {until:DateTime('UTC')}
    AND outcome = 'delivered'
    AND ({tenant:String} = '' OR tenant = {tenant:String})
  GROUP BY tenant, event_id, destination_id, delivery_id
)
GROUP BY destination_id
ORDER BY destination_id
