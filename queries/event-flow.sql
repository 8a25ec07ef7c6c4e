-- Where events went: event type by destination. Without a destination are records that nobody wanted, or that were none.
--
-- Each event counts once per row, by the best that became of it.
--
-- @since (1d) from when on: a time, or how long ago
-- @until (0s) before when: a time, or how long ago
-- @tenant () of this tenant; empty is all
SELECT
  event_type,
  destination_id,
  count() AS events,
  countIf(best = 3) AS delivered,
  countIf(best = 2) AS given_up,
  countIf(best = 1) AS unsent,
  countIf(best = 0) AS pending
FROM
(
  SELECT
    event_type,
    destination_id,
    max(multiIf(
      outcome = 'delivered', 3,
      outcome IN ('dead', 'rejected', 'dropped'), 2,
      is_final, 1,
      0)) AS best
  FROM attempts
  WHERE attempted_at >= {since:DateTime('UTC')} AND attempted_at < {until:DateTime('UTC')}
    AND ({tenant:String} = '' OR tenant = {tenant:String})
  GROUP BY tenant, event_id, event_type, destination_id, if(event_id = '', (topic, partition, offset), ('', 0, 0))
)
GROUP BY event_type, destination_id
ORDER BY event_type, destination_id
