/**
 * The numbered places of a lane's counters. The number is the place in the
 * shared buffer, so lanes count with a typed-array write and no lookup; what each
 * one means to a reader is in `metric-table.ts`.
 */
export const laneSlots = {
  recordsReceived: 0,
  recordsDone: 1,
  recordsInvalid: 2,
  recordsUnrouted: 3,
  recordsFiltered: 4,
  attemptsDelivered: 5,
  attemptsRejected: 6,
  attemptsThrottled: 7,
  attemptsFailedBeforeSend: 8,
  attemptsFailedAfterSend: 9,
  attemptsTimedOut: 10,
  attemptsBlocked: 11,
  attemptsLocal: 12,
  deliveriesDelivered: 13,
  deliveriesDead: 14,
  deliveriesRejected: 15,
  retriesScheduled: 16,
  inFlight: 17,
  queuedDeliveries: 18,
  openRecords: 19,
  openBytes: 20,
  tokenWaits: 21,
  originWaits: 22,
  requestBytes: 23,
  responseBytes: 24,
  busySeconds: 25,
  connections: 26,
  /** Grows with every tick of the lane: its event loop turns. */
  heartbeat: 27,
  /** The record in work, by assignment (0: none) and sequence: what a thread that dies now died of. */
  suspectAssignment: 28,
  suspectSequence: 29,
  deliveriesExpired: 30,
  deliveriesSkipped: 31,
  deliveriesRefused: 32,
  breakersOpened: 33,
  destinationsDisabled: 34,
  /** Written by main alone: until when, monotonic, the lane may send (`ingest/lease.ts`); 0: for ever. */
  leaseUntilMs: 35,
  deliveriesBehindKeys: 36,
  recordsDuplicate: 37,
  /** Those of the queued ones that are more than a destination's part of its tenant's. */
  backloggedDeliveries: 38,
} as const;
export type LaneSlotName = keyof typeof laneSlots;
export type LaneSlot = (typeof laneSlots)[LaneSlotName];

/** Slots that go up and down; a lane's successor starts them at zero again. */
export const GAUGE_SLOTS: readonly LaneSlot[] = [
  laneSlots.inFlight,
  laneSlots.queuedDeliveries,
  laneSlots.deliveriesBehindKeys,
  laneSlots.backloggedDeliveries,
  laneSlots.openRecords,
  laneSlots.openBytes,
  laneSlots.connections,
];

/** The slot that counts an attempt, by its result class; `timed_out` is one our own deadline ended. */
export const attemptSlots = {
  delivered: laneSlots.attemptsDelivered,
  rejected: laneSlots.attemptsRejected,
  throttled: laneSlots.attemptsThrottled,
  failed_before_send: laneSlots.attemptsFailedBeforeSend,
  failed_after_send: laneSlots.attemptsFailedAfterSend,
  timed_out: laneSlots.attemptsTimedOut,
  blocked: laneSlots.attemptsBlocked,
  local: laneSlots.attemptsLocal,
} as const;

/**
 * The places of one destination's counters: deliveries `delivered`; attempts `failed`,
 * which are those without a 2xx; deliveries `dead`, rejected ones included; and the
 * gauge `inFlight`.
 */
export const destinationSlots = { delivered: 0, failed: 1, dead: 2, inFlight: 3 } as const;
export type DestinationSlot = (typeof destinationSlots)[keyof typeof destinationSlots];
