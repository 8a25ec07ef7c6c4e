import { deliveryId } from '../domain/ids.ts';
import type {
  DestinationFacts,
  Fault,
  History,
  LedgerRow,
  ProducedEvent,
  ReceivedRequest,
} from './history.ts';

/** One delivery with everything that was recorded of it. */
export interface DeliveryEvidence {
  readonly id: string;
  readonly destination: DestinationFacts;
  /** Its records; more than one when a producer sent the event again. */
  readonly events: readonly ProducedEvent[];
  /** In the order of their arrival. */
  readonly requests: readonly ReceivedRequest[];
  /** In the order in which they were attempted. */
  readonly rows: readonly LedgerRow[];
  /** Requests of which the ledger has no row. */
  readonly swallowed: ReadonlySet<ReceivedRequest>;
  /** Rows of attempts that were answered, of which no receiver knows. */
  readonly unseen: readonly LedgerRow[];
}

/** A history, put in order for the invariants. */
export interface Evidence {
  readonly history: History;
  readonly deliveries: readonly DeliveryEvidence[];
  /** Requests and rows of deliveries that nothing that was produced makes. */
  readonly inventedRequests: readonly ReceivedRequest[];
  readonly inventedRows: readonly LedgerRow[];
  /** Requests that came after one that had succeeded already, with the fault that explains each. */
  readonly duplicates: readonly Duplicate[];
}

export interface Duplicate {
  readonly request: ReceivedRequest;
  /** Null when no fault explains it. */
  readonly fault: Fault | null;
}

/** Faults after which something may be delivered again. */
const REPEATING: ReadonlySet<Fault['what']> = new Set(['kill', 'stop', 'black_hole']);

export function evidenceOf(history: History): Evidence {
  const requests = groupBy(history.requests, (request) => request.deliveryId);
  const rows = groupBy(
    history.ledger.filter((row) => row.deliveryId !== ''),
    (row) => row.deliveryId,
  );
  const deliveries = expectedOf(history).map(({ id, destination, events }) => {
    const ofRequests = sorted(requests.get(id) ?? [], ({ atMs }) => atMs);
    const ofRows = sorted(rows.get(id) ?? [], ({ attemptedAtMs }) => attemptedAtMs);
    requests.delete(id);
    rows.delete(id);
    const match = matched(ofRequests, ofRows, history.run.bounds.clockMs);
    return { id, destination, events, requests: ofRequests, rows: ofRows, ...match };
  });
  return {
    history,
    deliveries,
    inventedRequests: [...requests.values()].flat(),
    inventedRows: [...rows.values()].flat(),
    duplicates: deliveries.flatMap((delivery) => duplicatesOf(delivery, history)),
  };
}

/** Whether a destination wants an event, by what the run says of it. */
export function wants(destination: DestinationFacts, { tenant, type }: ProducedEvent): boolean {
  const isItsTenant = destination.tenant === '*' || destination.tenant === tenant;
  return isItsTenant && (destination.types === null || destination.types.includes(type));
}

/** The fault that may have lost the memory of this request, or made it come again; null when there was none. */
export function faultOver(request: ReceivedRequest, { faults, run }: History): Fault | null {
  const { unflushedMs } = run.bounds;
  return (
    faults.find(
      (fault) =>
        REPEATING.has(fault.what) &&
        (fault.process === '' || fault.process === request.process) &&
        request.atMs >= unflushedSince(fault.fromMs, faults, unflushedMs) &&
        request.atMs <= fault.toMs + unflushedMs,
    ) ?? null
  );
}

/** Whether anything that may deliver again came at or after a time. */
export function hasFaultSince(sinceMs: number, { faults, run }: History): boolean {
  return faults.some(({ what, toMs }) => REPEATING.has(what) && toMs + run.bounds.unflushedMs >= sinceMs);
}

/** Rows from this time on may not be durable at a time; while the ledger is down nothing is. */
function unflushedSince(atMs: number, faults: readonly Fault[], unflushedMs: number): number {
  let sinceMs = atMs - unflushedMs;
  for (let last = Infinity; sinceMs < last;) {
    last = sinceMs;
    for (const { what, fromMs, toMs } of faults)
      if (what === 'ledger_down' && fromMs <= atMs && toMs >= last)
        sinceMs = Math.min(sinceMs, fromMs - unflushedMs);
  }
  return sinceMs;
}

export function isSuccess({ status }: { readonly status: number }): boolean {
  return status >= 200 && status < 300;
}

function expectedOf({ run, produced }: History): Pick<DeliveryEvidence, 'id' | 'destination' | 'events'>[] {
  const expected = new Map<string, { id: string; destination: DestinationFacts; events: ProducedEvent[] }>();
  for (const event of produced) {
    for (const destination of run.destinations) {
      if (!wants(destination, event)) continue;
      const id = deliveryId(event.tenant, event.eventId, destination.id);
      const found = expected.get(id);
      if (found === undefined) expected.set(id, { id, destination, events: [event] });
      else found.events.push(event);
    }
  }
  return [...expected.values()];
}

/**
 * Pairs requests with the rows of the attempts that made them: the same status, within the attempt's time. Each request
 * in turn takes the row whose attempt ended first of those that fit, which leaves as few over as can be.
 */
function matched(
  requests: readonly ReceivedRequest[],
  rows: readonly LedgerRow[],
  clockMs: number,
): Pick<DeliveryEvidence, 'swallowed' | 'unseen'> {
  const left = new Set(sorted(rows, endOf).filter((row) => row.class !== ''));
  const swallowed = new Set<ReceivedRequest>();
  for (const request of requests) {
    const fits = [...left].find(
      (row) =>
        // An attempt that ended without an answer, at its deadline say, may have been answered all the same.
        (row.status === request.status || row.status === 0) &&
        request.atMs >= row.attemptedAtMs - clockMs &&
        request.atMs <= endOf(row) + clockMs,
    );
    if (fits === undefined) swallowed.add(request);
    else left.delete(fits);
  }
  return { swallowed, unseen: [...left].filter(({ status }) => status > 0) };
}

function endOf({ attemptedAtMs, durationMs }: LedgerRow): number {
  return attemptedAtMs + durationMs;
}

function duplicatesOf(delivery: DeliveryEvidence, history: History): Duplicate[] {
  const { requests, events } = delivery;
  // Each record of an event has a success of its own to come; a redrive is of one that had none.
  let expected = events.length;
  const duplicates: Duplicate[] = [];
  for (const [index, request] of requests.entries()) {
    if (expected === 0) duplicates.push({ request, fault: faultBefore(delivery, index, history) });
    else if (isSuccess(request)) expected--;
  }
  return duplicates;
}

/** The fault that hit the delivery before one of its requests came. */
function faultBefore(delivery: DeliveryEvidence, index: number, history: History): Fault | null {
  const atMs = delivery.requests[index]?.atMs ?? 0;
  for (const request of delivery.requests.slice(0, index)) {
    const fault = faultOver(request, history);
    if (fault !== null && fault.fromMs <= atMs) return fault;
  }
  return faultsWhileWaiting(delivery, history).find((fault) => fault.fromMs <= atMs) ?? null;
}

/**
 * Faults that came while a delivery may have waited in a delay topic. To be put off, by a breaker say, and to be
 * passed on from one delay topic to the next are hand-overs like one after an attempt, with the same window,
 * but no receiver hears of them: all that is known is that the delivery lived then.
 */
export function faultsWhileWaiting(
  {
    destination,
    events,
    requests,
    rows,
  }: Pick<DeliveryEvidence, 'destination' | 'events' | 'requests' | 'rows'>,
  { faults, run }: History,
): readonly Fault[] {
  const hasWaited = destination.breakerOpenMs !== null || rows.some(({ handOver }) => handOver === 'retry');
  if (!hasWaited) return [];
  const { unflushedMs } = run.bounds;
  const bornMs = Math.min(...events.map(({ atMs }) => atMs));
  const endedMs = requests.find(isSuccess)?.atMs ?? Infinity;
  return faults.filter(
    ({ what, fromMs, toMs }) =>
      REPEATING.has(what) && toMs + unflushedMs >= bornMs && fromMs - unflushedMs <= endedMs,
  );
}

export function groupBy<Item>(items: readonly Item[], keyOf: (item: Item) => string): Map<string, Item[]> {
  const groups = new Map<string, Item[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return groups;
}

/** A sorted copy, ascending. */
export function sorted<Item>(items: readonly Item[], valueOf: (item: Item) => number): Item[] {
  return [...items].sort((a, b) => valueOf(a) - valueOf(b));
}
