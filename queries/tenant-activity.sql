-- What a tenant's destinations got lately, by outcome.
--
-- @tenant of this tenant
-- @since (1h) from when on: a time, or how long ago
-- @until (0s) before when: a time, or how long ago
SELECT
  destination_id,
  outcome,
  count() AS rows,
  uniq(delivery_id) AS deliveries,
  round(avgIf(duration_us, class != '') / 1000, 1) AS average_ms,
  max(attempted_at) AS last_at
FROM attempts
WHERE tenant = {tenant:String}
  AND attempted_at >= {since:DateTime('UTC')} AND attempted_at < {until:DateTime('UTC')}
GROUP BY destination_id, outcome
ORDER BY destination_id, rows DESC, outcome
