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
  /** Faults of which a copy may be left that waits in a delay topic. */
  readonly strayFaults: readonly Fault[];
}

/** A process had a partition number, of whatever topic, from one time to another. */
interface Holding {
  readonly process: string;
  readonly fromMs: number;
  toMs: number;
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
const REPEATING: ReadonlySet<Fault['what']> = new Set([
  'kill',
  'stop',
  'evicted',
  'commits_refused',
  'broker_down',
  'black_hole',
]);

export function evidenceOf(history: History): Evidence {
  const requests = groupBy(history.requests, (request) => request.deliveryId);
  const rows = groupBy(
    history.ledger.filter((row) => row.deliveryId !== ''),
    (row) => row.deliveryId,
  );
  const holdings = holdingsOf(history);
  const deliveries = expectedOf(history).map(({ id, destination, events }) => {
    const ofRequests = sorted(requests.get(id) ?? [], ({ atMs }) => atMs);
    const ofRows = sorted(rows.get(id) ?? [], ({ attemptedAtMs }) => attemptedAtMs);
    requests.delete(id);
    rows.delete(id);
    const match = matched(ofRequests, ofRows, history.run.bounds.clockMs);
    const delivery = { id, destination, events, requests: ofRequests, rows: ofRows, ...match };
    return { ...delivery, strayFaults: strayFaultsOf(delivery, history, holdings) };
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

/**
 * The fault that may have lost the memory of this request, or made it come again; null when there was none.
 * @param begunByMs when it had begun at the latest.
 */
export function faultOver(
  request: ReceivedRequest,
  { faults, run }: History,
  begunByMs = Infinity,
): Fault | null {
  const { unflushedMs } = run.bounds;
  return (
    faults.find(
      (fault) =>
        REPEATING.has(fault.what) &&
        fault.fromMs <= begunByMs &&
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

type Match = Pick<DeliveryEvidence, 'swallowed' | 'unseen'>;

/**
 * Pairs requests with the rows of the attempts that made them: the same process and status, within the attempt's
 * time. Each request in turn takes the row whose attempt ended first of those that fit. An attempt that ended without an answer, at its
 * deadline say, may have been answered all the same, so its row may be taken too: in its turn, or last, whichever
 * leaves fewer over.
 */
function matched(requests: readonly ReceivedRequest[], rows: readonly LedgerRow[], clockMs: number): Match {
  const inTurn = sorted(rows, endOf).filter((row) => row.class !== '');
  const match = paired(requests, inTurn, clockMs);
  if (leftOver(match) === 0) return match;
  const other = paired(
    requests,
    sorted(inTurn, ({ status }) => (status === 0 ? 1 : 0)),
    clockMs,
  );
  return leftOver(other) < leftOver(match) ? other : match;
}

function leftOver({ swallowed, unseen }: Match): number {
  return swallowed.size + unseen.length;
}

function paired(requests: readonly ReceivedRequest[], rows: readonly LedgerRow[], clockMs: number): Match {
  const left = new Set(rows);
  const swallowed = new Set<ReceivedRequest>();
  for (const request of requests) {
    const fits = [...left].find(
      (row) =>
        row.process === request.process &&
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

/** The fault that hit the delivery before one of its requests came, or while that was under way. */
function faultBefore(delivery: DeliveryEvidence, index: number, history: History): Fault | null {
  const request = delivery.requests[index];
  const atMs = request?.atMs ?? 0;
  // The latest one: what an earlier fault repeated, a later one may have hit again.
  for (const before of delivery.requests.slice(0, index).reverse()) {
    const fault = faultOver(before, history, atMs);
    if (fault !== null) return fault;
  }
  const stray = delivery.strayFaults.find((fault) => fault.fromMs <= atMs);
  if (stray !== undefined || request === undefined) return stray ?? null;
  return evictionAround(request, history) ?? stopDuring(request, delivery, history);
}

/** The eviction that the sender of a request had not heard of: it went on beside the new owner. */
export function evictionAround({ process, atMs }: ReceivedRequest, { faults, run }: History): Fault | null {
  const { clockMs } = run.bounds;
  const isAround = (fault: Fault): boolean =>
    fault.what === 'evicted' &&
    fault.process === process &&
    fault.fromMs <= atMs &&
    atMs <= fault.toMs + clockMs;
  return faults.find(isAround) ?? null;
}

/**
 * The stop of a process in the midst of this attempt: it had begun, and the process may go on with it when it goes on
 * itself, after another has delivered. One that begins then is no such, since the lease is looked at before.
 */
function stopDuring(
  request: ReceivedRequest,
  { rows }: Pick<DeliveryEvidence, 'rows'>,
  { faults, run }: History,
): Fault | null {
  const { clockMs } = run.bounds;
  const fitting = rows.filter(
    (row) =>
      row.class !== '' &&
      row.process === request.process &&
      row.status === request.status &&
      endOf(row) >= request.atMs - clockMs,
  );
  const isDuring = ({ what, process, fromMs, toMs }: Fault): boolean =>
    what === 'stop' &&
    process === request.process &&
    fitting.some((row) => row.attemptedAtMs <= fromMs + clockMs && endOf(row) >= toMs - clockMs);
  return faults.find(isDuring) ?? null;
}

/**
 * Faults that came while a delivery may have waited in a delay topic, to the process that had its partition. To be
 * put off, by a breaker say, and to be passed on from one delay topic to the next are hand-overs like one after an
 * attempt, with the same window, but no receiver hears of them: all that is known is that the delivery lived then,
 * and with whom.
 */
function strayFaultsOf(
  {
    destination,
    events,
    requests,
    rows,
  }: Pick<DeliveryEvidence, 'destination' | 'events' | 'requests' | 'rows'>,
  { faults, run }: History,
  holdings: ReadonlyMap<number, readonly Holding[]>,
): readonly Fault[] {
  const isPutOff = destination.breakerOpenMs !== null || destination.mayPause;
  if (!isPutOff && !rows.some(({ handOver }) => handOver === 'retry')) return [];
  const { unflushedMs, clockMs } = run.bounds;
  const bornMs = Math.min(...events.map(({ atMs }) => atMs));
  // Where nothing is put off unsent, none waits before its first attempt.
  const waitsFromMs = isPutOff
    ? bornMs
    : Math.min(...[...requests, ...rows.map(begun)].map(({ atMs }) => atMs));
  const endedMs = requests.find(isSuccess)?.atMs ?? Infinity;
  const partitions = new Set(events.map(({ partition }) => partition));
  const ofPartitions = [...partitions].flatMap((partition) => holdings.get(partition) ?? []);
  return faults.filter(({ what, process, fromMs, toMs }) => {
    // What it had hopped from may be uncommitted for a while after its end.
    if (!REPEATING.has(what) || fromMs - unflushedMs > endedMs) return false;
    // Whoever is killed does nothing afterwards.
    if (toMs + (what === 'kill' ? clockMs : unflushedMs) < waitsFromMs) return false;
    return process === '' || ofPartitions.some((holding) => holds(holding, process, fromMs, unflushedMs));
  });
}

function begun({ attemptedAtMs }: LedgerRow): { readonly atMs: number } {
  return { atMs: attemptedAtMs };
}

/** Giving a partition up takes a while from the line about it on. */
function holds(holding: Holding, process: string, atMs: number, slackMs: number): boolean {
  return holding.process === process && holding.fromMs <= atMs + slackMs && holding.toMs >= atMs - slackMs;
}

/** By partition number: the retries of a partition are in the partition of that number of each delay topic. */
function holdingsOf({ ownership }: History): ReadonlyMap<number, readonly Holding[]> {
  const holdings = new Map<number, Holding[]>();
  const open = new Map<string, Holding>();
  for (const { atMs, process, what, topic, partition } of sorted(ownership, (entry) => entry.atMs)) {
    const name = `${process} ${topic}/${partition}`;
    if (what === 'revoked') {
      const holding = open.get(name);
      if (holding !== undefined) holding.toMs = atMs;
      open.delete(name);
    } else if (what === 'assigned') {
      const holding = { process, fromMs: atMs, toMs: Infinity };
      open.set(name, holding);
      holdings.set(partition, [...(holdings.get(partition) ?? []), holding]);
    }
  }
  return holdings;
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
