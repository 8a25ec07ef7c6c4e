-- What share of the deliveries that ended is a dead letter, by destination.
--
-- Died are those that were ever given up. Of them: redriven are those a person had tried again, saved
-- those delivered then, dropped those a person let go; dead are still dead letters.
--
-- @since (1d) from when on: a time, or how long ago
-- @until (0s) before when: a time, or how long ago
-- @tenant () of this tenant; empty is all
SELECT
  destination_id,
  count() AS ended,
  countIf(has_died) AS died,
  countIf(was_redriven) AS redriven,
  countIf(has_died AND last = 'delivered') AS saved,
  countIf(last = 'dropped') AS dropped,
  countIf(last IN ('dead', 'rejected')) AS dead,
  round(100 * dead / ended, 3) AS dead_percent
FROM
(
  SELECT
    destination_id,
    countIf(outcome IN ('dead', 'rejected')) > 0 AS has_died,
    countIf(outcome = 'redriven') > 0 AS was_redriven,
    argMax(toString(outcome), attempted_at) AS last
  FROM attempts
  WHERE attempted_at >= {since:DateTime('UTC')} AND attempted_at < {until:DateTime('UTC')}
    AND delivery_id != '' AND (is_final OR outcome = 'redriven')
    AND ({tenant:String} = '' OR tenant = {tenant:String})
  GROUP BY tenant, event_id, destination_id, delivery_id
)
GROUP BY destination_id
ORDER BY dead_percent DESC, destination_id
