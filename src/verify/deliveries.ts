/** Invariants about single deliveries: I1, I2, I4 to I7, I12 and I13. */
import { faultOver, groupBy, hasFaultSince, isSuccess, sorted, wants } from './evidence.ts';
import type { DeliveryEvidence, Evidence } from './evidence.ts';
import { Finding } from './finding.ts';
import type { History, LedgerRow, ReceivedRequest } from './history.ts';

/** Rows of these outcomes end a delivery that was not delivered, or a record that has none. */
const ENDS: ReadonlySet<string> = new Set([
  'dead',
  'rejected',
  'expired',
  'skipped_disabled',
  'cancelled',
  'dropped',
]);
const UNROUTED: ReadonlySet<string> = new Set(['filtered', 'no_route', 'invalid', 'duplicate']);

/** Each delivery was answered with 2xx, and the ledger says so, or it has another end; a record without any has its row. */
export function nothingLost({ history, deliveries }: Evidence): Finding {
  const finding = new Finding('I1');
  for (const delivery of deliveries) {
    const { id, requests, rows, events } = delivery;
    const isDelivered = requests.some(isSuccess) && rows.some(({ outcome }) => outcome === 'delivered');
    const hasEnd = rows.some(({ outcome, isFinal }) => isFinal && ENDS.has(outcome));
    finding.judge(isDelivered || hasEnd, () => {
      const event = events[0];
      const seen = requests.map(({ status }) => status).join(', ');
      return `${id} of ${event?.topic ?? ''} ${event?.partition ?? 0}:${event?.offset ?? 0} has no end; answered: ${seen || 'never'}`;
    });
  }
  const unrouted = new Set(
    history.ledger.filter(({ outcome }) => UNROUTED.has(outcome)).map((row) => placeText(row)),
  );
  for (const event of history.produced) {
    if (history.run.destinations.some((destination) => wants(destination, event))) continue;
    finding.judge(unrouted.has(placeText(event)), () => `${placeText(event)} has no row`);
  }
  return finding;
}

/** Whatever arrives was produced, for this destination, with this payload. */
export function nothingInvented({ deliveries, inventedRequests, inventedRows }: Evidence): Finding {
  const finding = new Finding('I2');
  for (const { deliveryId, destination } of inventedRequests)
    finding.judge(false, () => `${destination} got ${deliveryId}, which nothing makes`);
  for (const { deliveryId, outcome } of inventedRows)
    finding.judge(false, () => `the ledger has ${deliveryId} (${outcome}), which nothing makes`);
  for (const { id, destination, events, requests } of deliveries) {
    for (const request of requests) {
      const isRight =
        request.destination === destination.id &&
        request.isSigned !== false &&
        events.some(
          ({ eventId, payload }) =>
            eventId === request.eventId &&
            (payload === null || request.payload === null || payload === request.payload),
        );
      finding.judge(isRight, () => `${request.destination} got ${id} with another payload or signature`);
    }
  }
  return finding;
}

/** Of each key of an ordered destination, the first successes come in the order of the offsets. */
export function orderKept({ deliveries }: Evidence): Finding {
  const finding = new Finding('I4');
  const ordered = deliveries.filter(({ destination }) => destination.isOrdered);
  const keys = groupBy(ordered, ({ destination, events: [event] }) =>
    JSON.stringify([destination.id, event?.tenant, event?.topic, event?.partition, event?.key]),
  );
  for (const ofKey of keys.values()) {
    const successes = sorted(ofKey, ({ events: [event] }) => event?.offset ?? 0).flatMap((delivery) => {
      const first = delivery.requests.find(isSuccess);
      return first === undefined ? [] : [{ id: delivery.id, atMs: first.atMs }];
    });
    for (const [index, { id, atMs }] of successes.entries()) {
      const before = successes[index - 1];
      if (before !== undefined)
        finding.judge(before.atMs <= atMs, () => `${id} came before ${before.id}, which is ahead of it`);
    }
  }
  return finding;
}

/** Waits are judged where no fault hit the delivery: after one its attempts may begin anew. */
export function attemptsBounded({ history, deliveries }: Evidence): Finding {
  const finding = new Finding('I5');
  const { clockMs } = history.run.bounds;
  for (const delivery of deliveries) {
    const { id, destination, requests, rows } = delivery;
    const last = Math.max(0, ...rows.map(({ attempt }) => attempt));
    finding.judge(last <= destination.maxAttempts, () => `${id} has an attempt ${last} in the ledger`);
    if (delivery.strayFaults.length > 0) continue;
    const lives = livesOf(delivery, history);
    const most = destination.maxAttempts * lives;
    finding.judge(requests.length <= most, () => `${id} had ${requests.length} attempts of ${most}`);
    if (lives > 1) continue;
    for (const [index, request] of requests.entries()) {
      const before = requests[index - 1];
      if (before === undefined) continue;
      const waitedMs = request.atMs - before.atMs;
      const leastMs = leastWaitMs(delivery, before, index);
      finding.judge(
        waitedMs >= leastMs - clockMs,
        () => `${id} was tried again after ${Math.round(waitedMs)} ms, not ${leastMs}`,
      );
    }
  }
  return finding;
}

function leastWaitMs({ destination }: DeliveryEvidence, before: ReceivedRequest, failures: number): number {
  const { backoffMs, maxRetryAfterMs } = destination;
  const backoff = backoffMs[Math.min(failures, backoffMs.length) - 1] ?? 0;
  return Math.max(backoff, Math.min(before.retryAfterMs ?? 0, maxRetryAfterMs));
}

/** How often a delivery may have begun: by its records, by redrives, and by each request that a fault may have undone. */
function livesOf({ events, rows, requests }: DeliveryEvidence, history: History): number {
  const redrives = rows.filter(({ outcome }) => outcome === 'redriven').length;
  const undone = requests.filter((request) => faultOver(request, history) !== null).length;
  return events.length + redrives + undone;
}

/**
 * A process that takes a record on when its success is in the ledger skips it. A copy that a fault left in a delay
 * topic comes all the same: see the windows in GUARANTEES.md.
 */
export function nothingSentAgain({ history, deliveries }: Evidence): Finding {
  const finding = new Finding('I6');
  const { clockMs } = history.run.bounds;
  const byId = new Map(deliveries.map((delivery) => [delivery.id, delivery]));
  for (const { atMs, rows } of history.snapshots) {
    for (const row of rows) {
      const delivery = byId.get(row.deliveryId);
      if (row.outcome !== 'delivered' || delivery === undefined) continue;
      if (delivery.events.length > 1 || delivery.rows.some(({ outcome }) => outcome === 'redriven')) continue;
      if (hasStrayCopy(delivery, history)) continue;
      const later = delivery.requests.find((request) => request.atMs > atMs + clockMs);
      finding.judge(
        later === undefined,
        () =>
          `${row.deliveryId} was in the ledger and sent again ${Math.round((later?.atMs ?? 0) - atMs)} ms later`,
      );
    }
  }
  return finding;
}

/**
 * A copy of it may have been left in a delay topic by a fault; and the row of a process that only stood still may come
 * after another has asked the ledger.
 */
function hasStrayCopy(delivery: DeliveryEvidence, history: History): boolean {
  const stoodStill = delivery.requests.some((request) => {
    const fault = faultOver(request, history);
    return fault !== null && (fault.what !== 'kill' || !isSuccess(request));
  });
  return stoodStill || delivery.strayFaults.length > 0;
}

/** The number of faults bounds the number of duplicates, besides each of them having one. */
export function duplicatesExplained({ history, duplicates }: Evidence): Finding {
  const finding = new Finding('I7');
  for (const { request, fault } of duplicates) {
    finding.judge(
      fault !== null,
      () => `${request.deliveryId} came to ${request.destination} again, and no fault explains it`,
    );
  }
  const explained = duplicates.filter(({ fault }) => fault !== null);
  const most = history.run.bounds.duplicatesPerFault;
  for (const fault of history.faults) {
    const count = explained.filter((duplicate) => duplicate.fault === fault).length;
    if (count > 0) finding.judge(count <= most, () => `a ${fault.what} repeated ${count}, more than ${most}`);
  }
  return finding;
}

/** What a tenant produced goes to its own destinations only, under its own name. */
export function tenantsApart({ history, deliveries }: Evidence): Finding {
  const finding = new Finding('I12');
  const tenantOf = new Map(history.produced.map(({ eventId, tenant }) => [eventId, tenant]));
  for (const { id, destination, requests, rows } of deliveries) {
    const isOwn = (of: ReceivedRequest | LedgerRow): boolean =>
      of.tenant === tenantOf.get(of.eventId) &&
      (destination.tenant === '*' || destination.tenant === of.tenant);
    for (const request of requests)
      finding.judge(isOwn(request), () => `${destination.id} got ${id} under tenant ${request.tenant}`);
    for (const row of rows)
      finding.judge(isOwn(row), () => `the ledger has ${id} under tenant ${row.tenant}`);
  }
  return finding;
}

/** After its redrive, a dead letter comes to an end, and succeeds once at most where no fault came after it. */
export function redrivenOnce({ history, deliveries }: Evidence): Finding {
  const finding = new Finding('I13');
  for (const { id, requests, rows } of deliveries) {
    const marks = rows.filter(({ outcome }) => outcome === 'redriven');
    if (marks.length === 0) continue;
    // It is marked a moment after it was handed over. A success long before that is of its first life: a dead
    // letter whose row a fault swallowed starts over, and may be delivered then.
    const markedMs = Math.min(...marks.map(({ attemptedAtMs }) => attemptedAtMs));
    const sinceMs = markedMs - history.run.bounds.unflushedMs;
    const { length } = requests.filter((request) => isSuccess(request) && request.atMs > sinceMs);
    const hasEnded = rows.some(({ isFinal, attemptedAtMs }) => isFinal && attemptedAtMs > sinceMs);
    finding.judge(
      hasEnded && (length <= 1 || hasFaultSince(sinceMs, history)),
      () => `${id} was redriven and delivered ${length} times`,
    );
  }
  return finding;
}

function placeText({ topic, partition, offset }: Pick<LedgerRow, 'topic' | 'partition' | 'offset'>): string {
  return `${topic} ${partition}:${offset}`;
}
