/**
 * How a delivery (or a record that never became one) stands. Each ledger row
 * carries one of these with a reason; the words are those of GUARANTEES.md.
 *
 * - `delivered`  a 2xx was seen. Final.
 * - `retrying`   this attempt failed and another one follows. Not final.
 * - `dead`       attempts are used up; the dead-letter topic has it. Final.
 * - `rejected`   the receiver refused it for good (3xx, most 4xx); the dead-letter topic has it. Final.
 * - `filtered`   the tenant has destinations, none wants this event type. Final.
 * - `no_route`   the tenant has no destination at all. Final.
 * - `breaker_open`      not tried, since the breaker of its destination is open; it waits in a delay topic. Not final.
 * - `expired`           not tried, since its time was over. Final.
 * - `skipped_disabled`  not tried, since its destination is disabled. Final.
 * - `cancelled`         not tried again, since its destination is there no more. Final.
 * - `redriven`   its dead letter was handed over to a delay topic; its attempts start anew. Not final.
 * - `dropped`    its dead letter was given up by a person. Final.
 * - `duplicate`  its tenant had an event with this id a moment ago, in another record. Final.
 * - `invalid`    the record is no usable event; the bad-event topic has it. Final.
 */
export const OUTCOMES = [
  'delivered',
  'retrying',
  'dead',
  'rejected',
  'filtered',
  'no_route',
  'breaker_open',
  'expired',
  'skipped_disabled',
  'cancelled',
  'redriven',
  'dropped',
  'duplicate',
  'invalid',
] as const;
export type Outcome = (typeof OUTCOMES)[number];

/** Why a record is `invalid`. The index is its code in the lane batch; 0 means the record is fine. */
export const INVALID_REASONS = [
  'none',
  'null_value',
  'too_short',
  'not_avro',
  'unknown_schema',
  'unusable_schema',
  'truncated',
  'trailing_bytes',
  'malformed',
  'oversize',
  'no_tenant',
  'undecodable',
] as const;
export type InvalidReason = (typeof INVALID_REASONS)[number];
