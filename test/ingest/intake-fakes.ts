import { vi } from 'vitest';
import type { FieldMapping } from '../../src/domain/event.ts';
import type {
  RecordHeader,
  SourceRecord,
  TopicPartition,
  TopicPartitionOffset,
} from '../../src/domain/record.ts';
import { Admission } from '../../src/ingest/admission.ts';
import { Assignments } from '../../src/ingest/assignments.ts';
import { FlowGate, type LaneBounds } from '../../src/ingest/flow-gate.ts';
import { Intake, type RecordSource } from '../../src/ingest/intake.ts';
import type { KeptBounds } from '../../src/ingest/kept-retries.ts';
import type { LaneFeed } from '../../src/ingest/lane-door.ts';
import type { Hop } from '../../src/ingest/retries.ts';
import type { RetryHeaders } from '../../src/domain/retry-headers.ts';
import { retryHeadersOf } from '../lanes/lane-parts.ts';
import { LaneShares, type Shares } from '../../src/ingest/lane-shares.ts';
import { Peek, type RecordProjection } from '../../src/ingest/peek.ts';
import { TenantPartitions, type SplitTenant } from '../../src/ingest/tenant-partitions.ts';
import { TenantSpread } from '../../src/ingest/tenant-spread.ts';
import { BatchReader } from '../../src/lanes/batch-reader.ts';
import { ManualClock } from '../domain/manual-clock.ts';

const MAPPING = { tenant: { from: 'avro', path: ['tenantId'] } } as unknown as FieldMapping;

/** Longer than a refused record may hold back the next poll. */
const LONGEST_HOLD_MS = 500;

type PollCallback = Parameters<RecordSource['poll']>[1];

/** What a lane was sent, in order. */
export interface Admitted {
  readonly lane: number;
  readonly partition: number;
  readonly offset: number;
  readonly tenant: string;
  readonly bytes: number;
  readonly assignment: number;
  readonly sequence: number;
  readonly invalid: number;
  readonly part: number;
  readonly parts: number;
  /** Wall clock. */
  readonly atMs: number;
}

interface FakePartition {
  readonly records: readonly SourceRecord[];
  next: number;
  paused: boolean;
}

/** A partition's log on "Kafka", paused and resumed as librdkafka does it; polls are answered when the test says. */
export class FakeSource implements RecordSource {
  readonly partitions: readonly FakePartition[];
  readonly calls: string[] = [];
  /** Answers to seeks from now on; null is success, and so is the end of the list. */
  seekErrors: (string | null)[] = [];
  /** The next so many seeks land one record too far. */
  seeksTooFar = 0;
  #waiting: PollCallback | null = null;
  #turn = 0;

  constructor(logs: readonly (readonly SourceRecord[])[]) {
    this.partitions = logs.map((records) => ({ records, next: 0, paused: false }));
  }

  get isPolled(): boolean {
    return this.#waiting !== null;
  }

  get isReadToTheEnd(): boolean {
    return this.partitions.every(({ records, next }) => next === records.length);
  }

  poll(_max: number, callback: PollCallback): void {
    if (this.#waiting !== null) throw new Error('polled twice at once');
    this.#waiting = callback;
  }

  pause(partitions: readonly TopicPartition[]): void {
    for (const { partition } of partitions) this.#set(partition, true);
  }

  resume(partitions: readonly TopicPartition[]): void {
    for (const { partition } of partitions) this.#set(partition, false);
  }

  hold({ partition }: TopicPartition): void {
    this.#set(partition, true, 'hold');
  }

  release({ partition }: TopicPartition): void {
    this.#set(partition, false, 'release');
  }

  seek({ partition, offset }: TopicPartitionOffset, callback: (error: string | null) => void): void {
    const log = this.partitions[partition]!;
    if (!log.paused) throw new Error(`partition ${partition} is sought while it is read`);
    setTimeout(() => {
      const error = this.seekErrors.shift() ?? null;
      if (error === null) {
        log.next = log.records.findIndex((record) => record.offset >= offset);
        if (this.seeksTooFar > 0 && log.next < log.records.length - 1) {
          this.seeksTooFar--;
          log.next++;
        }
      }
      callback(error);
    }, 1);
  }

  /** Reads a partition again from some records before, as after a pause that raced with a fetch. */
  rewind(partition: number, by: number): void {
    const log = this.partitions[partition]!;
    log.next = Math.max(0, log.next - by);
  }

  /** Answers the poll that waits with up to so many records, the partitions taking turns. */
  answer(max: number, error: string | null = null): void {
    const callback = this.#waiting;
    if (callback === null) throw new Error('nobody polls');
    this.#waiting = null;
    const records: SourceRecord[] = [];
    for (
      let tries = 0;
      error === null && records.length < max && tries < max + this.partitions.length;
      tries++
    ) {
      const log = this.partitions[this.#turn++ % this.partitions.length]!;
      const record = log.paused ? undefined : log.records[log.next];
      if (record === undefined) continue;
      records.push(record);
      log.next++;
    }
    callback(error, records);
  }

  #set(partition: number, paused: boolean, name = paused ? 'pause' : 'resume'): void {
    const log = this.partitions[partition]!;
    // Resume only what you paused: librdkafka's races are about the rest.
    if (log.paused === paused)
      throw new Error(`partition ${partition} is ${paused ? '' : 'not '}paused already`);
    log.paused = paused;
    this.calls.push(`${name} ${partition}`);
  }
}

class FakeFeed implements LaneFeed {
  readonly admitted: Admitted[] = [];
  readonly #partitionOf: (assignment: number) => number;
  readonly #clock: ManualClock;

  constructor(partitionOf: (assignment: number) => number, clock: ManualClock) {
    this.#partitionOf = partitionOf;
    this.#clock = clock;
  }

  send(lane: number, buffer: ArrayBuffer, count: number): void {
    const reader = new BatchReader(buffer, count);
    while (reader.next()) {
      const { assignment, sequence, offset, tenant, payloadBytes: bytes, invalid, part, parts } = reader;
      this.admitted.push({
        lane,
        partition: this.#partitionOf(assignment),
        offset,
        tenant,
        bytes,
        assignment,
        sequence,
        invalid,
        part,
        parts,
        atMs: this.#clock.wallMs(),
      });
    }
  }
}

/** Records are: magic 0, schema id, tenant. */
const tenantToTheEnd = (range: { end: number }): RecordProjection => ({
  walk: (_value, _start, end) => {
    range.end = end;
    return 0;
  },
  tenantStart: () => 5,
  tenantEnd: () => range.end,
});

export function recordOf(partition: number, offset: number, tenant: string, schemaId = 1): SourceRecord {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(schemaId, 1);
  return { topic: 't', partition, offset, timestamp: 1, value: Buffer.concat([head, Buffer.from(tenant)]) };
}

/** A record of a delay topic, of tenant `a`; without a due time its headers are no retry's. */
export function retryRecordOf(
  partition: number,
  offset: number,
  timestamp: number,
  dueMs: number | null,
  schemaId = 1,
  destinationId = '',
): SourceRecord {
  const headers: Record<string, Buffer>[] = [];
  if (dueMs !== null) headers.push({ due: Buffer.from(String(dueMs)) });
  if (destinationId !== '') headers.push({ to: Buffer.from(destinationId) });
  return { ...recordOf(partition, offset, 'a', schemaId), timestamp, headers };
}

const NOTE = retryHeadersOf({ sourceTopic: 'source' });

function readDue(headers: readonly RecordHeader[]): RetryHeaders | null {
  const { due, to } = Object.fromEntries(headers.map(([name, value]) => [name, String(value)]));
  return due === undefined ? null : { ...NOTE, destinationId: to ?? 'd', dueMs: Number(due) };
}

/** What is not due is read again, each time. */
export const NOTHING_KEPT: KeptBounds = {
  records: 0,
  bytes: 0,
  recordsPerPartition: 0,
  bytesPerPartition: 0,
};

/** An intake on fakes: everything the pipeline would do happens when the test says. */
export class IntakeBench {
  readonly clock = new ManualClock();
  readonly source: FakeSource;
  readonly feed: FakeFeed;
  readonly gate: FlowGate;
  readonly assignments: Assignments;
  readonly hops: Hop[] = [];
  /** Places of records that say what another has said. */
  readonly copies = new Set<string>();
  readonly mappingsAsked = new Set<string>();
  readonly knownSchemas = new Set<number>([1]);
  readonly neededSchemas: number[] = [];
  readonly errors: string[] = [];
  readonly shares: LaneShares;
  readonly admission: Admission;
  readonly splitTenants: SplitTenant[] = [];
  readonly intake: Intake;
  mayAdmit = true;
  isCatchingUp = false;
  #released = 0;

  /**
   * @param delays of the topic that each partition stands for; null and left out is a source.
   * @param shares of tenants and classes; nothing is shared out unless a test is about that.
   */
  constructor(
    logs: readonly (readonly SourceRecord[])[],
    lanes: number,
    bounds: LaneBounds,
    delays: readonly (number | null)[] = [],
    {
      Counts = LaneShares,
      spread = new TenantSpread(),
      keptRetries = NOTHING_KEPT,
      ...shares
    }: Partial<Shares> & {
      Counts?: typeof LaneShares;
      spread?: TenantSpread;
      keptRetries?: KeptBounds | undefined;
    } = {},
  ) {
    let begun = 0;
    this.assignments = new Assignments(() => delays[begun++] ?? null);
    const projection = tenantToTheEnd({ end: 0 });
    this.source = new FakeSource(logs);
    const partitionOf = new Map<number, number>();
    logs.forEach((_, partition) =>
      partitionOf.set(this.assignments.begin({ topic: 't', partition }).id, partition),
    );
    this.feed = new FakeFeed((assignment) => partitionOf.get(assignment) ?? -1, this.clock);
    this.gate = new FlowGate(lanes, bounds);
    this.shares = new Counts(lanes, bounds, { tenant: 1, first: 1, retry: 1, ...shares });
    this.admission = new Admission(this.assignments, this.gate, this.shares);
    this.intake = new Intake({
      source: this.source,
      feed: this.feed,
      lanes,
      assignments: this.assignments,
      admission: this.admission,
      tenantPartitions: new TenantPartitions({ onSplit: (split) => this.splitTenants.push(split) }),
      spread,
      peek: new Peek({ find: (id) => (this.knownSchemas.has(id) ? projection : 'unresolved') }, 1024),
      clock: this.clock,
      retries: {
        read: readDue,
        isHopNeeded: (dueMs, nowMs) => dueMs > nowMs,
        isCopy: (_note, _isHop, assignment, offset) => this.copies.has(`${assignment}/${offset}`),
        hop: (hop) => this.hops.push(hop),
      },
      keptRetries,
      isCatchingUp: () => this.isCatchingUp,
      mappingOf: (topic) => {
        this.mappingsAsked.add(topic);
        return MAPPING;
      },
      mayAdmit: () => this.mayAdmit,
      onSchemaNeeded: (schemaId) => this.neededSchemas.push(schemaId),
      onError: (message) => this.errors.push(message),
    });
  }

  get paused(): number {
    return [...this.assignments.all()].filter((assignment) => this.intake.isPaused(assignment)).length;
  }

  /** One poll answered, and the next one asked for unless a refused record holds it back. */
  async poll(max: number, error: string | null = null): Promise<void> {
    await this.untilPolled();
    this.source.answer(max, error);
    await new Promise((resolve) => setImmediate(resolve));
  }

  /**
   * Lets the time pass that a refused record may hold back the next poll. The test's timers are faked.
   * @returns how much it was, in milliseconds.
   */
  async untilPolled(): Promise<number> {
    let heldMs = 0;
    while (!this.source.isPolled && heldMs < LONGEST_HOLD_MS) {
      await vi.advanceTimersByTimeAsync(5);
      this.clock.nowMs += 5;
      heldMs += 5;
    }
    return heldMs;
  }

  /** The lanes let go of the oldest so many records, which are durable at once. */
  release(count: number): void {
    const gone = this.feed.admitted.slice(this.#released, this.#released + count);
    this.#released += gone.length;
    for (const { lane, bytes, assignment, sequence } of gone) {
      this.admission.settle(Uint32Array.of(assignment, sequence));
      this.admission.release(lane, 1, bytes);
      this.assignments.release(assignment, sequence);
    }
    if (gone.length > 0) this.intake.onRoom();
  }

  offsetsOf(partition: number): number[] {
    return this.feed.admitted.filter((record) => record.partition === partition).map(({ offset }) => offset);
  }
}
