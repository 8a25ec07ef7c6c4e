-- What happened to an event of a tenant, in the order of time: the question of support.
--
-- @tenant of this tenant
-- @event the event's id
SELECT *
FROM
(
  SELECT
    attempted_at AS at,
    destination_id AS destination,
    attempt,
    toString(outcome) AS outcome,
    toString(reason) AS reason,
    status,
    round(duration_us / 1000, 1) AS ms,
    round(waited_us / 1000, 1) AS waited_ms,
    next_attempt_at AS next_at,
    response,
    concat(topic, ' ', toString(partition), ':', toString(offset)) AS record,
    trace_id AS trace
  FROM attempts
  WHERE tenant = {tenant:String} AND event_id = {event:String}
  UNION ALL
  SELECT
    ingested_at, '', 0, 'read', '', 0, 0, 0, NULL, '',
    concat(topic, ' ', toString(partition), ':', toString(offset)), trace_id
  FROM events
  WHERE tenant = {tenant:String} AND event_id = {event:String}
)
ORDER BY at, destination, attempt
