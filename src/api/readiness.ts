/** What readiness is judged by, read at the moment of the question. Times are monotonic milliseconds. */
export interface ReadinessSnapshot {
  /** Asked to stop. */
  readonly draining: boolean;
  /** When a poll last returned, also an empty one while all is paused; null before the first. */
  readonly lastPollMs: number | null;
  readonly kafka: {
    readonly connected: boolean;
    /** The client's latest error since it connected, null when there was none. */
    readonly lastError: string | null;
    readonly assignedPartitions: number;
  };
  readonly ledger: {
    /** `retrying`: the latest insert failed and is tried again. `alarm`: it is refused and a human must act. */
    readonly state: 'ok' | 'retrying' | 'alarm';
    readonly lastError: string | null;
    /** Why what it holds is not known yet, so that partitions wait; null when none does. */
    readonly awaitedBecause: string | null;
    /** Rows go to the overflow topic. */
    readonly isDiverting: boolean;
    readonly pendingRows: number;
    /** Since when the oldest unacknowledged row waits; null when none does. */
    readonly pendingSinceMs: number | null;
    readonly lastAckMs: number | null;
  };
  /** Null when nothing is rekeyed, and before the pipeline is there. */
  readonly rekey: {
    readonly lastPollMs: number;
    /** Why the broker refused a record last, null since it took one. */
    readonly lastError: string | null;
    /** Since when records wait and the broker acknowledges none; null when none waits. */
    readonly waitingSinceMs: number | null;
  } | null;
  readonly lanes: { readonly alive: number; readonly expected: number };
}

export interface ReadinessLimits {
  /** The poll loop counts as stalled when no poll has returned for this long. */
  readonly pollStalledMs: number;
  /** The ledger counts as stalled when a row waits for longer than this. */
  readonly ledgerStalledMs: number;
  /** Rekeying counts as stalled when the broker acknowledges no record of those that wait for longer than this. */
  readonly rekeyStalledMs: number;
}

/** A poll takes 20 ms at most, an acknowledgement some more, and a batch is inserted after a second or so: all leave ample room. */
export const DEFAULT_READINESS_LIMITS: ReadinessLimits = {
  pollStalledMs: 10_000,
  ledgerStalledMs: 30_000,
  rekeyStalledMs: 10_000,
};

export interface Check {
  readonly ok: boolean;
  /** Why it is not; absent when it is. */
  readonly reason?: string;
  readonly [detail: string]: string | number | boolean | null | undefined;
}

export const CHECKS = ['running', 'kafka', 'pollLoop', 'ledger', 'rekey', 'lanes'] as const;
export type CheckName = (typeof CHECKS)[number];

export interface Readiness {
  readonly ready: boolean;
  readonly checks: Readonly<Record<CheckName, Check>>;
}

/** Ready when every check is. Whether partitions are assigned is told, not judged: a spare member has none. */
export function evaluateReadiness(
  snapshot: ReadinessSnapshot,
  nowMs: number,
  limits: ReadinessLimits = DEFAULT_READINESS_LIMITS,
): Readiness {
  const checks = {
    running: check(snapshot.draining ? 'draining: asked to stop' : null, {}),
    kafka: kafkaCheck(snapshot.kafka),
    pollLoop: pollLoopCheck(snapshot.lastPollMs, nowMs, limits.pollStalledMs),
    ledger: ledgerCheck(snapshot.ledger, nowMs, limits.ledgerStalledMs),
    rekey: rekeyCheck(snapshot.rekey, nowMs, limits),
    lanes: lanesCheck(snapshot.lanes),
  };
  return { ready: CHECKS.every((name) => checks[name].ok), checks };
}

function check(
  reason: string | null,
  details: Readonly<Record<string, string | number | boolean | null>>,
): Check {
  return reason === null ? { ok: true, ...details } : { ok: false, reason, ...details };
}

function kafkaCheck(kafka: ReadinessSnapshot['kafka']): Check {
  const { connected, lastError, assignedPartitions } = kafka;
  const reason = connected ? null : withCause('not connected', lastError);
  return check(reason, { assignedPartitions, lastError });
}

function pollLoopCheck(lastPollMs: number | null, nowMs: number, stalledMs: number): Check {
  if (lastPollMs === null) return check('no poll has returned yet', { lastPollAgeMs: null });
  const ageMs = Math.round(nowMs - lastPollMs);
  return check(ageMs > stalledMs ? `no poll has returned for ${ageMs} ms` : null, { lastPollAgeMs: ageMs });
}

function ledgerCheck(ledger: ReadinessSnapshot['ledger'], nowMs: number, stalledMs: number): Check {
  const oldestRowAgeMs = ageOf(ledger.pendingSinceMs, nowMs);
  return check(ledgerReason(ledger, oldestRowAgeMs, stalledMs), {
    state: ledger.state,
    isDiverting: ledger.isDiverting,
    pendingRows: ledger.pendingRows,
    oldestRowAgeMs,
    lastAckAgeMs: ageOf(ledger.lastAckMs, nowMs),
  });
}

function ledgerReason(
  { state, lastError, awaitedBecause, isDiverting }: ReadinessSnapshot['ledger'],
  oldestRowAgeMs: number | null,
  stalledMs: number,
): string | null {
  if (awaitedBecause !== null)
    return `what it holds is not known yet, and partitions wait: ${awaitedBecause}`;
  if (state === 'alarm') return withCause('inserts are refused', lastError);
  // What is written to the overflow topic is durable: deliveries go on as ever.
  if (state === 'retrying' && !isDiverting) return withCause('inserts fail and are tried again', lastError);
  if (oldestRowAgeMs !== null && oldestRowAgeMs > stalledMs)
    return `a row has waited for ${oldestRowAgeMs} ms`;
  return null;
}

function rekeyCheck(rekey: ReadinessSnapshot['rekey'], nowMs: number, limits: ReadinessLimits): Check {
  if (rekey === null) return check(null, {});
  const waitedMs = ageOf(rekey.waitingSinceMs, nowMs);
  const polledMs = ageOf(rekey.lastPollMs, nowMs);
  let reason: string | null = null;
  if (rekey.lastError !== null) reason = withCause('records are refused and produced again', rekey.lastError);
  else if (waitedMs !== null && waitedMs > limits.rekeyStalledMs)
    reason = `the broker has acknowledged no record for ${waitedMs} ms`;
  else if (polledMs !== null && polledMs > limits.pollStalledMs)
    reason = `no poll has returned for ${polledMs} ms`;
  return check(reason, { lastPollAgeMs: polledMs, waitedMs });
}

function lanesCheck({ alive, expected }: ReadinessSnapshot['lanes']): Check {
  return check(alive < expected ? `${alive} of ${expected} lanes run` : null, { alive, expected });
}

function ageOf(sinceMs: number | null, nowMs: number): number | null {
  return sinceMs === null ? null : Math.round(nowMs - sinceMs);
}

function withCause(what: string, cause: string | null): string {
  return cause === null ? what : `${what}: ${cause}`;
}
