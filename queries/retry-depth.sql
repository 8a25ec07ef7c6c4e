-- How many attempts deliveries took until they ended.
--
-- @since (1d) from when on: a time, or how long ago
-- @until (0s) before when: a time, or how long ago
-- @tenant () of this tenant; empty is all
SELECT
  attempt AS attempts,
  count() AS deliveries,
  countIf(outcome = 'delivered') AS delivered,
  countIf(outcome IN ('dead', 'rejected')) AS given_up,
  round(100 * deliveries / sum(deliveries) OVER (), 3) AS percent
FROM attempts
WHERE attempted_at >= {since:DateTime('UTC')} AND attempted_at < {until:DateTime('UTC')}
  AND is_final AND class != ''
  AND ({tenant:String} = '' OR tenant = {tenant:String})
GROUP BY attempts
ORDER BY attempts
