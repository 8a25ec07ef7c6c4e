-- Why attempts failed and records or deliveries ended badly, the most frequent reason first.
--
-- @since (1d) from when on: a time, or how long ago
-- @until (0s) before when: a time, or how long ago
-- @tenant () of this tenant; empty is all
-- @destination () for this destination; empty is all
-- @limit (20) so many rows
SELECT
  reason,
  class,
  count() AS times,
  countIf(is_final) AS ended_by_it,
  uniqExact(tenant) AS tenants,
  uniqExact(destination_id) AS destinations,
  max(attempted_at) AS last_at
FROM attempts
WHERE attempted_at >= {since:DateTime('UTC')} AND attempted_at < {until:DateTime('UTC')}
  AND outcome IN ('retrying', 'dead', 'rejected', 'expired', 'cancelled', 'skipped_disabled', 'invalid')
  AND ({tenant:String} = '' OR tenant = {tenant:String})
  AND ({destination:String} = '' OR destination_id = {destination:String})
GROUP BY reason, class
ORDER BY times DESC, reason, class
LIMIT {limit:UInt32}
