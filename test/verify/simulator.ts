import { deliveryId } from '../../src/domain/ids.ts';
import type {
  DestinationFacts,
  Fault,
  History,
  LedgerRow,
  OwnershipEntry,
  ProducedEvent,
  ReceivedRequest,
  Snapshot,
} from '../../src/verify/history.ts';

/** Of the run, in milliseconds from its start. */
const LOAD_MS = 30_000;
const HEALED_MS = 60_000;
const FRESH_MS = HEALED_MS + 500;
const UNFLUSHED_MS = 400;
const CLOCK_MS = 50;
const ANSWER_MS = 10;
const TAKE_OVER_MS = 600;
const EVENTS = 200;
const TENANTS = ['t1', 't2', 't3'];
const PROCESSES = ['p1', 'p2'];
const PARTITIONS = 2;
/** When the breaker of `broken` is open. */
const OPEN: readonly [number, number] = [5_000, 8_000];

const DESTINATIONS: readonly DestinationFacts[] = [
  destination('limited', { rate: { perSecond: 20, burst: 3 } }),
  destination('flaky', { maxAttempts: 3, backoffMs: [1_000, 2_000], maxRetryAfterMs: 3_000 }),
  destination('ordered', { isOrdered: true }),
  destination('down', { tenant: 't1', maxAttempts: 2, backoffMs: [500], isHealthy: false }),
  destination('broken', {
    tenant: 't2',
    maxAttempts: 9,
    backoffMs: [200],
    breakerOpenMs: 1_000,
    isHealthy: false,
  }),
  destination('picky', { types: ['b'] }),
];

/** A delivery that is due: its next attempt, or its first one again. */
interface Due {
  readonly atMs: number;
  readonly event: ProducedEvent;
  readonly destination: DestinationFacts;
  readonly attempt: number;
  readonly isRedriven: boolean;
}

interface Row {
  readonly row: LedgerRow;
  readonly durableMs: number;
}

/**
 * A small model of dispatchers that do all right: limits are kept, rows become durable a little after their
 * attempt, a process that is killed takes the rows with it that are not durable yet, and its partitions go to
 * the other one, which does those deliveries again. What its recorders would write down is the history.
 */
export function simulatedHistory(seed: number): History {
  return new Simulation(seed).run();
}

class Simulation {
  readonly #random: () => number;
  readonly #produced: ProducedEvent[] = [];
  readonly #requests: ReceivedRequest[] = [];
  readonly #rows: Row[] = [];
  readonly #due: Due[] = [];
  readonly #faults: Fault[];
  readonly #ownership: OwnershipEntry[] = [];
  /** When a bucket, or an ordered key, may send next. */
  readonly #freeMs = new Map<string, number>();
  /** When a record's own deliveries have all left or ended, durably. */
  readonly #settledMs = new Map<ProducedEvent, Map<string, number>>();

  constructor(seed: number) {
    this.#random = generator(seed);
    this.#faults = this.#makeFaults();
  }

  run(): History {
    this.#produce();
    for (let due = this.#due.pop(); due !== undefined; due = this.#due.pop()) this.#attempt(due);
    this.#moves();
    const snapshots = [3_000, 6_000, 9_000, 12_000, 20_000, 59_000].map((atMs) => this.#snapshot(atMs));
    return {
      run: {
        seed: 1,
        destinations: DESTINATIONS,
        healedAtMs: HEALED_MS,
        bounds: {
          unflushedMs: UNFLUSHED_MS,
          clockMs: CLOCK_MS,
          duplicatesPerFault: 200,
          freshMs: 5_000,
          rssBytes: 500,
          descriptors: 100,
          openRecords: 1_000,
        },
        required: {
          crashesInFlight: 1,
          rebalances: 1,
          duplicates: 1,
          deadLetters: 1,
          openBreakers: 1,
          killPoints: 1,
        },
      },
      produced: this.#produced,
      requests: this.#requests,
      ownership: [...this.#ownership, ...snapshots.flatMap((snapshot) => this.#commits(snapshot))],
      ledger: this.#rows.map(({ row }) => row),
      snapshots,
      faults: this.#faults,
      breakers: [
        {
          atMs: OPEN[0],
          process: this.#ownerOf(1, OPEN[0]),
          tenant: 't2',
          destination: 'broken',
          isOpen: true,
        },
        {
          atMs: OPEN[1],
          process: this.#ownerOf(1, OPEN[0]),
          tenant: 't2',
          destination: 'broken',
          isOpen: false,
        },
      ],
      usage: PROCESSES.map((process) => ({
        ...{ atMs: 5_000, process },
        ...{ rssBytes: this.#below(500), descriptors: this.#below(100), openRecords: this.#below(1_000) },
      })),
    };
  }

  /** A kill and a stop at least; the process of partition 0 is hit first, and the ledger is down for a while. */
  #makeFaults(): Fault[] {
    const downMs = 1_500 + this.#below(1_000);
    const killMs = 2_200 + this.#below(2_000);
    const stopMs = 8_500 + this.#below(2_000);
    return [
      { what: 'ledger_down', process: '', fromMs: downMs, toMs: downMs + 1_200 },
      { what: 'kill', process: 'p1', point: 'answered', fromMs: killMs, toMs: killMs },
      { what: 'stop', process: 'p2', fromMs: stopMs, toMs: stopMs + 7_000 },
    ];
  }

  #produce(): void {
    const next = Array.from({ length: PARTITIONS }, () => 0);
    const add = (atMs: number, tenant: string, isFresh: boolean): void => {
      const number = this.#produced.length;
      const partition = TENANTS.indexOf(tenant) % PARTITIONS;
      const event: ProducedEvent = {
        ...{ atMs, tenant, eventId: `e${number}`, key: tenant, topic: 'events', partition, isFresh },
        type: this.#random() < 0.3 ? 'b' : 'a',
        offset: next[partition]!++,
        payload: `hash-${number}`,
      };
      this.#produced.push(event);
      for (const to of DESTINATIONS) {
        const isWanted =
          (to.tenant === '*' || to.tenant === tenant) && (to.types?.includes(event.type) ?? true);
        if (isWanted) this.#add({ atMs, event, destination: to, attempt: 1, isRedriven: false });
      }
    };
    for (let i = 0; i < EVENTS; i++) {
      add((i * LOAD_MS) / EVENTS, TENANTS[this.#below(TENANTS.length)] as string, false);
    }
    TENANTS.forEach((tenant, index) => {
      add(FRESH_MS + index, tenant, true);
    });
  }

  /** Keeps what is due in descending order; of the same time, what was added first is taken first. */
  #add(due: Due): void {
    let low = 0;
    let high = this.#due.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#due[middle]!.atMs > due.atMs) low = middle + 1;
      else high = middle;
    }
    this.#due.splice(low, 0, due);
  }

  #attempt(due: Due): void {
    const { event, destination: to } = due;
    const atMs = this.#allowedMs(due);
    if (atMs > due.atMs) {
      this.#add({ ...due, atMs });
      return;
    }
    const process = this.#ownerOf(event.partition, atMs);
    const status = this.#statusOf(due);
    const retryAfterMs = to.id === 'flaky' && status === 503 && this.#random() < 0.2 ? 2_500 : null;
    const { tenant, eventId, payload } = event;
    const id = deliveryId(tenant, eventId, to.id);
    const destinationId = to.id;
    this.#requests.push({
      ...{ atMs: atMs + 1, destination: destinationId, deliveryId: id, status, retryAfterMs, process },
      ...{ tenant, eventId, payload, isSigned: true },
    });
    this.#reserve(due, atMs);
    const row = this.#rowOf(due, { id, status, atMs, process });
    const nextMs =
      Math.max(row.nextAttemptAtMs ?? 0, atMs + ANSWER_MS + (retryAfterMs ?? 0)) + this.#below(100);
    const isKept = this.#write(due, {
      ...row,
      nextAttemptAtMs: row.nextAttemptAtMs === null ? null : nextMs,
    });
    if (!isKept || status === 200) return;
    if (row.outcome === 'retrying') this.#add({ ...due, atMs: nextMs, attempt: due.attempt + 1 });
    else if (!due.isRedriven && !event.isFresh && this.#random() < 0.5) this.#redrive(due, row);
  }

  /** Rows become durable later. @returns false when a fault came before that: another process does it again. */
  #write(due: Due, row: LedgerRow): boolean {
    const endMs = row.attemptedAtMs + row.durationMs;
    const durableMs = this.#durableMs(endMs + this.#below(UNFLUSHED_MS - ANSWER_MS - 1));
    const fault = this.#faults.find(
      ({ what, process, fromMs }) =>
        what !== 'ledger_down' &&
        process === row.process &&
        fromMs >= row.attemptedAtMs &&
        fromMs < durableMs,
    );
    if (fault === undefined) {
      this.#rows.push({ row, durableMs });
      this.#settle(due, durableMs);
      return true;
    }
    // One that was only stopped writes its rows when it goes on.
    if (fault.what === 'stop') {
      const isCut = fault.fromMs < endMs;
      const durationMs = isCut ? fault.toMs - row.attemptedAtMs + 1 : row.durationMs;
      const left =
        row.isFinal && row.outcome === 'delivered' ? row : { ...row, outcome: 'retrying', isFinal: false };
      this.#rows.push({ row: { ...left, handOver: '', durationMs }, durableMs: fault.toMs + UNFLUSHED_MS });
    }
    this.#add({ ...due, atMs: this.#durableMs(fault.fromMs + TAKE_OVER_MS + this.#below(300)) });
    return false;
  }

  #redrive(due: Due, dead: LedgerRow): void {
    const atMs = 42_000 + this.#below(5_000);
    const mark = { outcome: 'redriven', isFinal: false, class: '', status: 0, attempt: 0, handOver: '' };
    this.#rows.push({
      row: { ...dead, ...mark, attemptedAtMs: atMs, durationMs: 0, process: 'cli' },
      durableMs: atMs + 10,
    });
    this.#add({ ...due, atMs: atMs + this.#below(300), attempt: 1, isRedriven: true });
  }

  #rowOf(
    { event, destination: to, attempt }: Due,
    { id, status, atMs, process }: { id: string; status: number; atMs: number; process: string },
  ): LedgerRow {
    const isLast = attempt >= to.maxAttempts;
    const outcome = status === 200 ? 'delivered' : isLast ? 'dead' : 'retrying';
    const { tenant, eventId, topic, partition, offset } = event;
    const backoffMs = to.backoffMs[Math.min(attempt, to.backoffMs.length) - 1] ?? 0;
    return {
      ...{ deliveryId: id, destination: to.id, tenant, eventId, topic, partition, offset, attempt, outcome },
      isFinal: outcome !== 'retrying',
      reason: status === 200 ? 'ok' : `http_${status}`,
      status,
      class: status === 200 ? 'delivered' : 'server_error',
      ambiguous: status !== 200,
      handOver: outcome === 'retrying' ? 'retry' : outcome === 'dead' ? 'dead_letter' : '',
      attemptedAtMs: atMs,
      durationMs: ANSWER_MS,
      nextAttemptAtMs: outcome === 'retrying' ? atMs + ANSWER_MS + backoffMs : null,
      process,
    };
  }

  #statusOf({ destination: { id }, atMs, isRedriven, attempt }: Due): number {
    if (id === 'down') return isRedriven ? 200 : 503;
    if (id === 'broken') return atMs < OPEN[1] ? 503 : 200;
    if (id === 'flaky') return atMs < HEALED_MS && this.#random() < (attempt === 1 ? 0.5 : 0.3) ? 503 : 200;
    return 200;
  }

  /** Not before its bucket, its key and its breaker let it go, and not by a process that stands still. */
  #allowedMs(due: Due): number {
    const { destination: to, atMs } = due;
    const freeMs = Math.max(atMs, this.#freeMs.get(this.#queueOf(due)) ?? 0);
    if (to.id === 'broken' && freeMs > OPEN[0] - ANSWER_MS && freeMs < OPEN[1])
      return OPEN[1] + CLOCK_MS + this.#below(500);
    return freeMs;
  }

  #reserve(due: Due, atMs: number): void {
    const { rate, isOrdered } = due.destination;
    if (rate !== null) this.#freeMs.set(this.#queueOf(due), atMs + 1_000 / rate.perSecond);
    if (!isOrdered) return;
    // A delivery that is done again holds up what is behind it, as its record does.
    this.#freeMs.set(this.#queueOf(due), atMs + ANSWER_MS);
  }

  #queueOf({ destination: to, event }: Due): string {
    return `${to.id} ${event.tenant}`;
  }

  #durableMs(wantedMs: number): number {
    const outage = this.#faults.find(
      ({ what, fromMs, toMs }) => what === 'ledger_down' && fromMs <= wantedMs && toMs >= wantedMs,
    );
    return outage === undefined ? wantedMs : outage.toMs + this.#below(UNFLUSHED_MS / 2);
  }

  #settle({ event, destination: to }: Due, durableMs: number): void {
    const settled = this.#settledMs.get(event) ?? new Map<string, number>();
    this.#settledMs.set(event, settled);
    // Later attempts are of retries, which are records of their own.
    settled.set(to.id, Math.min(settled.get(to.id) ?? Infinity, durableMs));
  }

  /** Partition 0 begins at p1 and partition 1 at p2; a fault moves all of a process to the other one. */
  #ownerOf(partition: number, atMs: number): string {
    let owner = PROCESSES[partition] as string;
    for (const { what, process, fromMs } of this.#faults) {
      if (what !== 'ledger_down' && process === owner && fromMs <= atMs)
        owner = PROCESSES.find((other) => other !== owner) as string;
    }
    return owner;
  }

  #moves(): void {
    for (const { what, process, fromMs } of this.#faults) {
      if (what === 'ledger_down') continue;
      for (let partition = 0; partition < PARTITIONS; partition++) {
        if (this.#ownerOf(partition, fromMs - 1) !== process) continue;
        const place = { topic: 'events', partition, offset: -1 };
        const heir = this.#ownerOf(partition, fromMs);
        this.#ownership.push({ ...place, atMs: fromMs + TAKE_OVER_MS - 1, process, what: 'revoked' });
        this.#ownership.push({ ...place, atMs: fromMs + TAKE_OVER_MS, process: heir, what: 'assigned' });
      }
    }
  }

  #snapshot(atMs: number): Snapshot {
    const committed = Array.from({ length: PARTITIONS }, (_, partition) => ({
      ...{ topic: 'events', partition },
      offset: this.#frontier(partition, atMs),
    }));
    const rows = this.#rows.filter(({ durableMs }) => durableMs <= atMs).map(({ row }) => row);
    return { atMs, committed, rows };
  }

  #frontier(partition: number, atMs: number): number {
    const records = this.#produced.filter((event) => event.partition === partition);
    const open = records.find((event) => {
      const wanted = DESTINATIONS.filter(
        (to) => (to.tenant === '*' || to.tenant === event.tenant) && (to.types?.includes(event.type) ?? true),
      );
      const settled = this.#settledMs.get(event);
      return event.atMs > atMs || wanted.some(({ id }) => (settled?.get(id) ?? Infinity) > atMs);
    });
    return open?.offset ?? records.length;
  }

  #commits({ atMs, committed }: Snapshot): OwnershipEntry[] {
    return committed.map((place) => ({
      ...place,
      atMs: atMs - 1,
      process: this.#ownerOf(place.partition, atMs),
      what: 'committed',
    }));
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }
}

function destination(id: string, change: Partial<DestinationFacts>): DestinationFacts {
  return {
    ...{ id, tenant: '*', types: null, maxAttempts: 5, backoffMs: [1_000], maxRetryAfterMs: 60_000 },
    ...{ rate: null, isOrdered: false, breakerOpenMs: null, mayPause: false, isHealthy: true },
    ...change,
  };
}

/** Mulberry32. */
function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
