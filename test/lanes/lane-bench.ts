import { vi } from 'vitest';
import { DeadlineWheel, type Deadlined } from '../../src/deliver/deadline-wheel.ts';
import type { HttpClient } from '../../src/deliver/http-client.ts';
import { systemClock } from '../../src/domain/clock.ts';
import type { Destination } from '../../src/domain/destination.ts';
import type { FieldMapping } from '../../src/domain/event.ts';
import { INVALID_REASONS, type InvalidReason } from '../../src/domain/outcome.ts';
import type { Recovered } from '../../src/domain/record.ts';
import { LanePacker } from '../../src/ingest/lane-packer.ts';
import { Alarm } from '../../src/lanes/alarm.ts';
import { Attempts } from '../../src/lanes/attempts.ts';
import { DeliveryQueue } from '../../src/lanes/delivery-queue.ts';
import type { EventReader } from '../../src/lanes/event-reader.ts';
import { Lane } from '../../src/lanes/lane.ts';
import { LedgerEntries } from '../../src/lanes/ledger-entries.ts';
import type { OpenRecord } from '../../src/lanes/open-record.ts';
import { Outbox } from '../../src/lanes/outbox.ts';
import type { Settled } from '../../src/lanes/protocol.ts';
import { Tenants } from '../../src/lanes/tenants.ts';
import { LEDGER_COLUMNS } from '../../src/ledger/columns.ts';
import { TokenBucket } from '../../src/limit/token-bucket.ts';
import { createLaneCounters, LaneCounters } from '../../src/observability/lane-counters.ts';
import { RouteTable } from '../../src/route/route-table.ts';
import { eventOf, FakeOrigin, type SentRequest } from './lane-parts.ts';

const TICK_MS = 20;
const NOTHING: Recovered = { deliveryIds: new Map(), lastOffset: -1 };

/** How the receiver, or the network before it, treats one request. */
export type Treatment =
  | { readonly kind: 'answer'; readonly status: number; readonly afterMs: number }
  | { readonly kind: 'fail'; readonly code: string; readonly beforeSend: boolean; readonly afterMs: number }
  | { readonly kind: 'silence' };

export interface LaneRecord {
  readonly tenant: string;
  readonly type: string;
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
      handler.onHeaders(treatment.status, []);
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
  /** Records sent per assignment, their number being their sequence and offset. */
  readonly sent = new Map<number, LaneRecord[]>();
  sentBytes = 0;
  readonly #ticker: NodeJS.Timeout;
  readonly #packer = new LanePacker();

  constructor(
    destinations: readonly Destination[],
    connections: number,
    treatmentOf: (request: SentRequest) => Treatment,
  ) {
    const clock = systemClock;
    this.counters = new LaneCounters(createLaneCounters(destinations.length));
    this.receiver = new FakeOrigin(connections, (request) => {
      treat(request, treatmentOf(request));
    });
    const client = this.#client();
    const outbox = new Outbox((message, transfer) =>
      this.messages.push(structuredClone(message, { transfer })),
    );
    const entries = new LedgerEntries(outbox, clock, { instance: 'bench', lane: 0 });
    const alarm = new Alarm(clock);
    const attempts = new Attempts({
      client,
      clock,
      random: () => 0.5,
      entries,
      outbox,
      counters: this.counters,
      read: { maxExcerptBytes: 100, maxResponseBytes: 1_000 },
      onEnded: (delivery) => {
        this.lane.endDelivery(delivery.record);
      },
      onRoom: () => {
        this.lane.takeRecords();
      },
    });
    const openQueue = (destination: Destination): DeliveryQueue => {
      const { rateLimit } = destination;
      const bucket = rateLimit && new TokenBucket(rateLimit.ratePerSecond, rateLimit.burst);
      const counters = {
        destination: this.counters.destination(destinations.indexOf(destination)),
        lane: this.counters,
      };
      return new DeliveryQueue(destination, [], this.receiver.origin, bucket, counters, attempts, alarm);
    };
    this.lane = new Lane({
      fields: { default: {} as FieldMapping, byTopic: {} },
      clock,
      reader: { define: () => undefined, read: readPlainly } as unknown as EventReader,
      tenants: new Tenants(new RouteTable(destinations), openQueue, clock.monotonicMs),
      client,
      entries,
      outbox,
      counters: this.counters,
    });
    this.#ticker = setInterval(() => {
      this.lane.tick();
    }, TICK_MS);
  }

  #client(): HttpClient {
    const wheel = new DeadlineWheel(TICK_MS, 64, systemClock.monotonicMs());
    const { origin } = this.receiver;
    return {
      watch: (entry: Deadlined) => {
        wheel.add(entry);
      },
      unwatch: (entry: Deadlined) => {
        wheel.remove(entry);
      },
      tick: (nowMs: number) => {
        wheel.advance(nowMs);
      },
      origin: () => origin,
      get inFlight() {
        return origin.inUse;
      },
    } as unknown as HttpClient;
  }

  begin(assignment: number, recovered = NOTHING): void {
    this.sent.set(assignment, []);
    this.lane.receive({ kind: 'assignment', assignment, topic: 't', partition: assignment, isRetry: false, recovered });
  }

  send(assignment: number, records: readonly LaneRecord[]): void {
    if (records.length === 0) return;
    const sent = this.sent.get(assignment)!;
    for (const record of records) {
      const sequence = sent.length;
      const tenant = Buffer.from(record.invalid === undefined ? record.tenant : '');
      this.#packer.add({
        assignment,
        sequence,
        offset: sequence,
        timestampMs: 1_000,
        schemaId: 1,
        invalid: INVALID_REASONS.indexOf(record.invalid ?? 'none'),
        tenant,
        tenantStart: 0,
        tenantEnd: tenant.length,
        key: null,
        headers: null,
        value: Buffer.from(JSON.stringify({ ...record, id: eventIdOf(assignment, sequence) })),
      });
      sent.push(record);
    }
    this.sentBytes += this.#packer.bytes;
    this.lane.receive({ kind: 'batch', ...this.#packer.take()! });
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

  get rows(): AttemptCells[] {
    return this.messages.flatMap(rowsIn);
  }
}

export function eventIdOf(assignment: number, sequence: number): string {
  return `${assignment}-${sequence}`;
}

export function doneIn(records: Uint32Array): string[] {
  const done: string[] = [];
  for (let i = 0; i < records.length; i += 2) done.push(`${records[i]}/${records[i + 1]}`);
  return done;
}

export function rowsIn({ attempts }: Settled): AttemptCells[] {
  if (attempts === null) return [];
  const lines = Buffer.from(attempts).toString('utf8').trimEnd().split('\n');
  return lines.map((line) => {
    const cells = line.split('\t');
    return Object.fromEntries(LEDGER_COLUMNS.attempts.map(([name], i) => [name, cells[i]])) as AttemptCells;
  });
}

/** Stands in for the Avro decode: the bench's records are JSON. */
function readPlainly(record: OpenRecord): ReturnType<EventReader['read']> {
  const { id, tenant, type, undecodable } = JSON.parse(String(record.bytes.value)) as LaneRecord & {
    id: string;
  };
  return undecodable === true ? 'undecodable' : eventOf(id, tenant, type);
}
