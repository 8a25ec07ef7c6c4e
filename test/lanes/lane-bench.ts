import { vi } from 'vitest';
import type { SeenEvents } from '../../src/duplicates/seen-events.ts';
import { systemClock } from '../../src/domain/clock.ts';
import type { Destination, RateLimit } from '../../src/domain/destination.ts';
import type { FieldMapping } from '../../src/domain/event.ts';
import { INVALID_REASONS, type InvalidReason } from '../../src/domain/outcome.ts';
import { NOTHING_RECOVERED } from '../../src/domain/record.ts';
import { packHeaders } from '../../src/domain/packed-headers.ts';
import { LanePacker, type PackedRecord } from '../../src/ingest/lane-packer.ts';
import { Alarm } from '../../src/lanes/alarm.ts';
import { Attempts } from '../../src/lanes/attempts.ts';
import { DeliveryQueue } from '../../src/lanes/delivery-queue.ts';
import { Endpoint } from '../../src/lanes/endpoint.ts';
import type { EventReader } from '../../src/lanes/event-reader.ts';
import { Lane, type LaneOptions } from '../../src/lanes/lane.ts';
import { LedgerEntries } from '../../src/lanes/ledger-entries.ts';
import type { OpenRecord } from '../../src/lanes/open-record.ts';
import { Outbox } from '../../src/lanes/outbox.ts';
import { Outcomes } from '../../src/lanes/outcomes.ts';
import type { Handover, Settled } from '../../src/lanes/protocol.ts';
import { Tenants, type LanePart, type TenantMakers } from '../../src/lanes/tenants.ts';
import { LEDGER_COLUMNS } from '../../src/ledger/columns.ts';
import { BucketChain } from '../../src/limit/bucket-chain.ts';
import { TokenBucket } from '../../src/limit/token-bucket.ts';
import { createLaneCounters, LaneCounters } from '../../src/observability/lane-counters.ts';
import { RouteTable } from '../../src/route/route-table.ts';
import { clientOf, eventOf, FakeOrigin, type SentRequest } from './lane-parts.ts';

const TICK_MS = 20;
const WHOLE: LanePart = { part: 0, parts: 1 };

/** How the receiver, or the network before it, treats one request. */
export type Treatment =
  | {
      readonly kind: 'answer';
      readonly status: number;
      readonly afterMs: number;
      readonly retryAfter?: string;
    }
  | { readonly kind: 'fail'; readonly code: string; readonly beforeSend: boolean; readonly afterMs: number }
  | { readonly kind: 'silence' };

export interface LaneRecord {
  /** Of the event; absent: one of its own. */
  readonly id?: string;
  readonly tenant: string;
  readonly type: string;
  readonly key?: string;
  readonly expiresAtMs?: number;
  readonly invalid?: InvalidReason;
  /** Set for one that only the full decode finds out. */
  readonly undecodable?: boolean;
}

/** A row of the attempts table, by column. */
export type AttemptCells = Readonly<Record<(typeof LEDGER_COLUMNS.attempts)[number][0], string>>;

/** Plays undici for one request. An abort ends in `onError` at once, as in undici 7. */
function treat({ handler }: SentRequest, treatment: Treatment): void {
  let done = false;
  const end = (finish: () => void): void => {
    if (done) return;
    done = true;
    finish();
  };
  const fail = (error: Error): void => {
    end(() => handler.onError(error));
  };
  const connect = (): void => {
    handler.onConnect((reason) => {
      fail(reason ?? new Error('aborted'));
    });
  };
  if (treatment.kind === 'fail') {
    const error = Object.assign(new Error(treatment.code), { code: treatment.code });
    if (!treatment.beforeSend) connect();
    if (treatment.afterMs === 0) fail(error);
    else setTimeout(fail, treatment.afterMs, error);
    return;
  }
  connect();
  if (treatment.kind === 'silence') return;
  setTimeout(() => {
    end(() => {
      const { status, retryAfter } = treatment;
      handler.onHeaders(
        status,
        retryAfter === undefined ? [] : ['retry-after', retryAfter].map((text) => Buffer.from(text)),
      );
      handler.onData(Buffer.from('answer'));
      handler.onComplete();
    });
  }, treatment.afterMs);
}

/** A whole lane without its thread, sockets and Avro: records in, settled messages out. The test's timers are faked. */
export class LaneBench {
  readonly messages: Settled[] = [];
  readonly counters: LaneCounters;
  readonly receiver: FakeOrigin;
  readonly lane: Lane;
  readonly tenants: Tenants;
  /** Records sent per assignment, their number being their sequence and offset. */
  readonly sent = new Map<number, LaneRecord[]>();
  sentRecords = 0;
  sentBytes = 0;
  readonly #ticker: NodeJS.Timeout;
  readonly #packer = new LanePacker();
  readonly #retrySequences = new Map<number, number>();

  constructor(
    destinations: readonly Destination[],
    connections: number,
    treatmentOf: (request: SentRequest) => Treatment,
    seen: SeenEvents | null = null,
    byTopic: Readonly<Record<string, FieldMapping>> = {},
    classes: LaneOptions['classes'] = {},
  ) {
    const clock = systemClock;
    this.counters = new LaneCounters(createLaneCounters(destinations.length));
    this.receiver = new FakeOrigin(connections, (request) => {
      treat(request, treatmentOf(request));
    });
    const client = clientOf(this.receiver.origin, systemClock.monotonicMs(), TICK_MS);
    const outbox = new Outbox((message, transfer) =>
      this.messages.push(structuredClone(message, { transfer })),
    );
    const entries = new LedgerEntries(outbox, clock, { instance: 'bench', lane: 0 });
    const clocks = { alarm: new Alarm(clock), wallMs: clock.wallMs };
    const outcomes = new Outcomes({
      clock,
      random: () => 0.5,
      entries,
      outbox,
      counters: this.counters,
      delaysMs: [1_000],
      onEnded: (delivery) => {
        delivery.queue.leave(delivery);
        this.lane.endDelivery(delivery);
      },
    });
    const attempts = new Attempts({
      client,
      clock,
      counters: this.counters,
      outcomes,
      read: { maxExcerptBytes: 100, maxResponseBytes: 1_000 },
      onFewWaiting: (load) => {
        this.lane.unpark(load);
      },
      onNotice: ({ event, queue }, notice) => {
        outbox.notice({ tenant: event.tenant, destination: queue.destination.id, notice });
      },
      onRoom: () => {
        this.lane.takeRecords();
      },
    });
    const makers: TenantMakers = {
      openTurns: () => null,
      openQueue: (destination, { load }) =>
        new DeliveryQueue(
          destination,
          [],
          this.receiver.origin,
          new Endpoint(destination, new BucketChain(null, null, bucketOf(destination.rateLimit)), () => 0.5),
          load,
          {
            destination: this.counters.destination(destinations.indexOf(destination)),
            lane: this.counters,
          },
          attempts,
          clocks,
        ),
    };
    this.tenants = new Tenants(new RouteTable(destinations), makers, clock.monotonicMs);
    this.lane = new Lane({
      fields: { default: {} as FieldMapping, byTopic },
      classes,
      weights: { first: 8, retry: 4, replay: 2, bulk: 1 },
      clock,
      reader: { define: () => undefined, read: readPlainly } as unknown as EventReader,
      seen,
      tenants: this.tenants,
      client,
      entries,
      outbox,
      counters: this.counters,
      onShare: () => undefined,
    });
    this.#ticker = setInterval(() => {
      this.lane.tick();
    }, TICK_MS);
  }

  begin(assignment: number, recovered = NOTHING_RECOVERED, topic = 't'): void {
    this.sent.set(assignment, []);
    this.lane.receive({
      kind: 'assignment',
      assignment,
      topic,
      partition: assignment,
      isRetry: false,
      recovered,
    });
  }

  /** Begins the delay topic's partition of that number, as assignment `retryAssignment(partition)`. */
  beginRetries(partition: number, recovered = NOTHING_RECOVERED): void {
    this.lane.receive({
      kind: 'assignment',
      assignment: retryAssignment(partition),
      topic: 'retry.1s',
      partition,
      isRetry: true,
      recovered,
    });
  }

  /** @param lanePart which part of their tenant's destinations they are for; all of them unless a test is about that. */
  send(assignment: number, records: readonly LaneRecord[], lanePart: LanePart = WHOLE): void {
    if (records.length === 0) return;
    const sent = this.sent.get(assignment)!;
    for (const record of records) {
      const sequence = sent.length;
      this.#pack({
        assignment,
        sequence,
        invalid: INVALID_REASONS.indexOf(record.invalid ?? 'none'),
        tenant: Buffer.from(record.invalid === undefined ? record.tenant : ''),
        value: Buffer.from(JSON.stringify({ id: eventIdOf(assignment, sequence), ...record })),
        ...lanePart,
      });
      sent.push(record);
    }
    this.#flush();
  }

  /**
   * Brings hand-overs back as the records of the delay topic that the broker made of them.
   * @returns the sequence of the last.
   */
  sendRetries(partition: number, handovers: readonly RetryRecord[], lanePart: LanePart = WHOLE): number {
    let sequence = (this.#retrySequences.get(partition) ?? 0) - 1;
    for (const { headers, value } of handovers) {
      sequence++;
      const tenant = headers.find(([name]) => name === 'eventdispatch-tenant')?.[1];
      this.#pack({
        assignment: retryAssignment(partition),
        sequence,
        invalid: 0,
        tenant: tenant ?? Buffer.alloc(0),
        value,
        headers: packHeaders(headers),
        ...lanePart,
      });
    }
    this.#retrySequences.set(partition, sequence + 1);
    this.#flush();
    return sequence;
  }

  #pack(
    record: Pick<PackedRecord, 'assignment' | 'sequence' | 'invalid' | 'tenant' | 'value'> &
      Partial<PackedRecord>,
  ): void {
    this.sentRecords++;
    this.#packer.add({
      offset: record.sequence,
      timestampMs: 1_000,
      schemaId: 1,
      tenantStart: 0,
      tenantEnd: record.tenant.length,
      key: null,
      headers: null,
      ...WHOLE,
      ...record,
    });
  }

  #flush(): void {
    this.sentBytes += this.#packer.bytes;
    const batch = this.#packer.take();
    if (batch !== null) this.lane.receive({ kind: 'batch', ...batch });
  }

  async pass(ms: number): Promise<void> {
    await vi.advanceTimersByTimeAsync(ms);
  }

  stop(): void {
    clearInterval(this.#ticker);
  }

  /** Records reported as done, in order, as `assignment/sequence`. */
  get done(): string[] {
    return this.messages.flatMap(({ records }) => doneIn(records));
  }

  get handovers(): Handover[] {
    return this.messages.flatMap(({ handovers }) => handovers);
  }

  /** All rows, those that hand-overs carry included: the broker of the bench acknowledges at once. */
  get rows(): AttemptCells[] {
    return this.messages.flatMap((message) => [...rowsIn(message), ...handedRowsIn(message)]);
  }
}

export type RetryRecord = Pick<Handover, 'headers' | 'value'>;

export function retryAssignment(partition: number): number {
  return 100 + partition;
}

export function eventIdOf(assignment: number, sequence: number): string {
  return `${assignment}-${sequence}`;
}

/** Headers of ours and the record's own, as text. */
/** By their names; what the one header of a retry says, by the names it has in a dead letter. */
export function headersOf({ headers }: Pick<Handover, 'headers'>): Record<string, string> {
  const pairs = headers.flatMap(([name, value]): [string, string][] => {
    const text = Buffer.from(value).toString();
    if (name !== 'eventdispatch-retry') return [[name, text]];
    const facts = Object.entries(JSON.parse(text) as Record<string, string | number>);
    return facts.map(([fact, known]) => [`eventdispatch-${fact}`, String(known)]);
  });
  return Object.fromEntries(pairs);
}

function bucketOf(limit: RateLimit | null): TokenBucket | null {
  return limit && new TokenBucket(limit.ratePerSecond, limit.burst);
}

export function doneIn(records: Uint32Array): string[] {
  const done: string[] = [];
  for (let i = 0; i < records.length; i += 2) done.push(`${records[i]}/${records[i + 1]}`);
  return done;
}

/** Rows of the message's own, which are true without any hand-over. */
export function rowsIn({ attempts }: Settled): AttemptCells[] {
  return attempts === null ? [] : cellsOf(attempts);
}

export function handedRowsIn({ handovers }: Settled): AttemptCells[] {
  return handovers.flatMap(({ row }) => (row === null ? [] : cellsOf(row)));
}

export function cellsOf(rows: Uint8Array): AttemptCells[] {
  const lines = Buffer.from(rows).toString('utf8').trimEnd().split('\n');
  return lines.map((line) => {
    const cells = line.split('\t');
    return Object.fromEntries(LEDGER_COLUMNS.attempts.map(([name], i) => [name, cells[i]])) as AttemptCells;
  });
}

/** Stands in for the Avro decode: the bench's records are JSON. */
function readPlainly(record: OpenRecord): ReturnType<EventReader['read']> {
  const { id, tenant, type, key, expiresAtMs, undecodable } = JSON.parse(
    String(record.bytes.value),
  ) as LaneRecord & { id: string };
  if (undecodable === true) return 'undecodable';
  return { ...eventOf(id, tenant, type), key: key ?? '', expiresAtMs: expiresAtMs ?? null };
}
