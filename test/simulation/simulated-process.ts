import type { FieldMapping } from '../../src/domain/event.ts';
import type { SourceRecord } from '../../src/domain/record.ts';
import { RetryDoor } from '../../src/app/retry-door.ts';
import type { recoverDeliveries } from '../../src/app/recovery.ts';
import type { SeenEvents } from '../../src/duplicates/seen-events.ts';
import type { recoverSeenEvents } from '../../src/app/seen-events.ts';
import { Admission } from '../../src/ingest/admission.ts';
import type { Assignments } from '../../src/ingest/assignments.ts';
import type { Committer } from '../../src/ingest/committer.ts';
import { FlowGate } from '../../src/ingest/flow-gate.ts';
import type { Intake, IntakeOptions } from '../../src/ingest/intake.ts';
import { CLASS_SHARES, LaneShares } from '../../src/ingest/lane-shares.ts';
import type { Lease } from '../../src/ingest/lease.ts';
import type { Ownership, OwnershipOptions } from '../../src/ingest/ownership.ts';
import { Peek } from '../../src/ingest/peek.ts';
import { TenantPartitions } from '../../src/ingest/tenant-partitions.ts';
import { TenantSpread } from '../../src/ingest/tenant-spread.ts';
import { BatchReader } from '../../src/lanes/batch-reader.ts';
import type { Delivery } from '../../src/lanes/delivery.ts';
import type { Settled } from '../../src/lanes/protocol.ts';
import type { LedgerBatcher } from '../../src/ledger/batcher.ts';
import { laneSlots } from '../../src/observability/lane-slots.ts';
import type { HandoverProducer } from '../../src/retry/handover-producer.ts';
import type { Settler } from '../../src/settle/settler.ts';
import type { UndiciHandler } from '../lanes/lane-parts.ts';
import { BrokerMember } from './broker-member.ts';
import type { FakeBroker } from './fake-broker.ts';
import type { FakeLedger } from './fake-ledger.ts';
import type { Faults } from './faults.ts';
import type { Epoch, Judge, Origin } from './judge.ts';
import { BAD_EVENTS, DEAD_LETTERS, DELAYS, PARTITIONS } from './scenario.ts';
import { composeLane, DUPLICATES, type SimulatedLane } from './simulated-lane.ts';
import { Owner, type VirtualTime } from './virtual-time.ts';

/** The parts under test; a variant of one is a planted bug. */
export interface Parts {
  readonly Assignments: typeof Assignments;
  readonly Committer: typeof Committer;
  readonly HandoverProducer: typeof HandoverProducer;
  readonly Intake: typeof Intake;
  readonly Lease: typeof Lease;
  readonly LedgerBatcher: typeof LedgerBatcher;
  readonly Ownership: typeof Ownership;
  readonly SeenEvents: typeof SeenEvents;
  readonly Settler: typeof Settler;
  readonly recoverDeliveries: typeof recoverDeliveries;
  readonly recoverSeenEvents: typeof recoverSeenEvents;
}

export interface World {
  readonly time: VirtualTime;
  readonly faults: Faults;
  readonly judge: Judge;
  readonly broker: FakeBroker;
  readonly ledger: FakeLedger;
  readonly parts: Parts;
  crash(process: SimulatedProcess): void;
}

const COMMIT_INTERVAL_MS = 700;
const LANE_TICK_MS = 50;
const REVOKE_DEADLINE_MS = 2_000;
const DRAIN_DEADLINE_MS = 10_000;
const COMMIT_TIMEOUT_MS = 2_000;
const BOUNDS = { maxRecords: 12, maxBytes: 1_000_000 };
const LEDGER_BOUNDS = { batchMaxRows: 20, batchMaxBytes: 100_000, batchMaxAgeMs: 150 };
const OVERFLOW_BOUNDS = { afterRows: 15, afterBytes: 100_000, afterAgeMs: 1_200, maxPartBytes: 2_000 };
const MAPPING = { tenant: { from: 'key' } } as unknown as FieldMapping;

/** One life of a dispatcher: what `src/app/pipeline.ts` puts together, on fakes; its lane is real but for thread and sockets. */
export class SimulatedProcess extends Owner {
  readonly instance: string;
  readonly member: BrokerMember;
  readonly #world: World;
  readonly #assignments: Assignments;
  readonly #admission: Admission;
  readonly #lane: SimulatedLane;
  readonly #batcher: LedgerBatcher;
  readonly #settler: Settler<Settled>;
  readonly #committer: Committer;
  readonly #ownership: Ownership;
  readonly #lease: Lease;
  readonly #retryDoor: RetryDoor;
  readonly #intake: Intake;
  /** By the ids of assignments. */
  readonly #epochs = new Map<number, Epoch>();
  /** Offsets by assignment and sequence. */
  readonly #offsets = new Map<string, number>();
  /** Where a record was read, by the memory of its value. */
  readonly #reads = new WeakMap<ArrayBufferLike, SourceRecord>();
  #isTicking = false;
  #isLeaving = false;

  constructor(world: World, instance: string) {
    super();
    this.#world = world;
    this.instance = instance;
    const { time, broker, parts } = world;
    this.#assignments = new parts.Assignments((topic) => DELAYS.get(topic) ?? null);
    const shares = new LaneShares(1, BOUNDS, { ...CLASS_SHARES, tenant: 0.75 }, 16);
    this.#admission = new Admission(this.#assignments, new FlowGate(1, BOUNDS), shares);
    const handovers = this.#openHandovers();
    this.#batcher = this.#openBatcher();
    this.#settler = new parts.Settler<Settled>({
      records: this.#assignments,
      admission: this.#admission,
      ledger: this.#batcher,
      handovers,
    });
    this.member = new BrokerMember(broker, this, {
      onAssign: (partitions) => {
        this.#ownership.onAssign(partitions);
      },
      onRevoke: (partitions) => {
        this.#ownership.onRevoke(partitions);
      },
      onCommit: (error, offsets, isEvicted) => {
        this.#committer.answer(error, offsets);
        if (!isEvicted) return;
        this.#lease.onEvicted();
        this.#ownership.onEvicted();
      },
      onRead: (record) => {
        this.#reads.set(record.value!.buffer, record);
      },
      onStep: () => {
        this.onStep();
      },
    });
    this.#lane = composeLane({
      clock: time,
      instance,
      Seen: parts.SeenEvents,
      random: () => world.faults.random.fraction(),
      post: (message) => {
        this.#receive(message);
      },
      onRequest: (delivery, handler) => {
        this.#request(delivery, handler);
      },
    });
    this.#committer = new parts.Committer(this.member, this.#assignments, () => undefined);
    this.#lease = this.#openLease();
    this.#retryDoor = new RetryDoor(handovers, time);
    this.#intake = new parts.Intake(this.#intakeOptions(this.#retryDoor));
    this.#ownership = new parts.Ownership(this.#ownershipOptions());
    this.#commitRegularly();
    this.#intake.start();
    broker.join(this.member);
  }

  /** Something has just been done to the world outside, and nothing of it may be known here. */
  onStep(): void {
    if (this.state === 'running' && this.#world.faults.happens('crash')) this.#world.crash(this);
  }

  /** As `src/app/shutdown.ts` does it. */
  async leave(): Promise<void> {
    if (this.state !== 'running' || this.#isLeaving) return;
    this.#isLeaving = true;
    this.#intake.stopAdmitting();
    const owned = [...this.#assignments.all()];
    await this.#ownership.drain(owned, DRAIN_DEADLINE_MS);
    await this.#committer.commitAll(owned, COMMIT_TIMEOUT_MS);
    this.member.leave();
    this.state = 'dead';
  }

  #openHandovers(): HandoverProducer {
    const { time, parts } = this.#world;
    return new parts.HandoverProducer({
      producer: { produce: (...args) => this.member.produce(...args) },
      topics: { dead_letter: DEAD_LETTERS, bad_event: BAD_EVENTS },
      delayTopics: DELAYS,
      partitionOf: (id) => {
        const assignment = this.#assignments.get(id);
        return assignment === undefined ? null : assignment.partition % PARTITIONS;
      },
      clock: time,
      isOwner: () => this.#lease.isHeld(time.nowMs),
      onDurable: (handover) => {
        this.#settler.onHandoverAck(handover);
      },
      onFailure: () => undefined,
    });
  }

  #openBatcher(): LedgerBatcher {
    const { time, parts, ledger, faults, judge } = this.#world;
    return new parts.LedgerBatcher({
      sink: { insert: (table, pieces, token) => ledger.insert(this, table, pieces, token) },
      bounds: LEDGER_BOUNDS,
      overflow: ledger.hasOverflow
        ? { ...OVERFLOW_BOUNDS, to: { put: (part) => ledger.put(this, part) } }
        : null,
      onDiverting: () => {
        judge.seen.diverted++;
      },
      clock: time,
      random: () => faults.random.fraction(),
      onDurable: (records) => {
        this.#settler.onLedgerAck(records);
      },
    });
  }

  #openLease(): Lease {
    return new this.#world.parts.Lease({
      nowMs: this.#world.time.nowMs,
      publish: (untilMs) => {
        this.#lane.counters.set(laneSlots.leaseUntilMs, untilMs);
      },
      affirm: (onAnswer) => {
        this.#committer.affirm(onAnswer);
      },
      onLapse: () => undefined,
    });
  }

  #intakeOptions(retryDoor: RetryDoor): IntakeOptions {
    const { time, judge } = this.#world;
    const { member } = this;
    return {
      source: {
        poll: (max, callback) => {
          member.poll(max, (error, records) => {
            this.#lease.onPoll(time.nowMs);
            this.#committer.tickWhereMuch();
            callback(error, records);
          });
        },
        pause: (partitions) => {
          member.pause(partitions);
        },
        resume: (partitions) => {
          member.resume(partitions);
        },
        hold: (place) => {
          member.hold(place);
        },
        release: (place) => {
          member.release(place);
        },
        seek: (place, callback) => {
          member.seek(place, callback);
        },
      },
      feed: {
        send: (_lane, buffer, count) => {
          this.#send(buffer, count);
        },
      },
      lanes: 1,
      assignments: this.#assignments,
      admission: this.#admission,
      tenantPartitions: new TenantPartitions({ onSplit: () => undefined, watchedTenants: 10 }),
      spread: new TenantSpread(),
      peek: new Peek({ find: () => ({ walk: () => 0, tenantStart: () => 0, tenantEnd: () => 0 }) }, 10_000),
      clock: time,
      retries: {
        read: retryDoor.read,
        isHopNeeded: retryDoor.isHopNeeded,
        isCopy: retryDoor.isCopy,
        hop: (hop) => {
          const { offset } = this.#reads.get(hop.value!.buffer)!;
          judge.origins.set(hop.value!.buffer, {
            epoch: this.#epochs.get(hop.assignment)!,
            offset,
            isHop: true,
          });
          retryDoor.hop(hop);
        },
      },
      mappingOf: () => MAPPING,
      // Few: some wait in memory, and some are read again.
      keptRetries: { records: 6, bytes: 100_000, recordsPerPartition: 3, bytesPerPartition: 100_000 },
      isCatchingUp: () => this.#world.faults.random.fraction() < 0.5,
      mayAdmit: () => this.#settler.hasRoom(),
      onSchemaNeeded: () => undefined,
      onError: () => undefined,
    };
  }

  #ownershipOptions(): OwnershipOptions {
    const { ledger, parts, judge, time } = this.#world;
    const recovery: Parameters<typeof recoverDeliveries>[0] = {
      consumer: this.member,
      ledger: {
        query: <T>(sql: string, params?: Readonly<Record<string, unknown>>) =>
          ledger.query<T>(this, sql, params),
      },
      undrained: ledger.hasOverflow ? (places) => ledger.undrained(this, places) : null,
      isDelayTopic: (topic) => DELAYS.has(topic),
      onLedgerSkipped: null,
    };
    return {
      group: this.member,
      assignments: this.#assignments,
      committer: this.#committer,
      revokeDeadlineMs: REVOKE_DEADLINE_MS,
      hasLapsed: () => this.#lease.hasLapsed,
      recover: async (partitions) => {
        const recovered = await parts.recoverDeliveries(recovery, partitions);
        const question = { ...recovery, duplicates: DUPLICATES, nowMs: time.wallMs() };
        const seen = await parts.recoverSeenEvents(question, partitions);
        return recovered.map((known, i) => ({ ...known, ...seen[i] }));
      },
      onBegin: ({ id, topic, partition, delayMs }, recovered) => {
        if (delayMs !== null) this.#retryDoor.begin(id);
        const recoveredAtMs = judge.askedAtMs(this, { topic, partition });
        const epoch = { process: this, topic, partition, recoveredAtMs };
        this.#epochs.set(id, epoch);
        judge.epochs.set(`${this.instance} ${id}`, epoch);
        judge.seen.skipped += recovered.deliveryIds.size;
        this.#toLane(() => {
          const isRetry = delayMs !== null;
          this.#lane.lane.receive({
            kind: 'assignment',
            assignment: id,
            topic,
            partition,
            isRetry,
            recovered,
          });
        });
      },
      onRevoking: (assignment) => {
        this.#intake.forget(assignment);
      },
      onEnd: (ended) => {
        for (const assignment of ended) {
          this.#admission.end(assignment);
          this.#retryDoor.end(assignment.id);
        }
        const assignments = ended.map(({ id }) => id);
        this.#toLane(() => {
          this.#lane.lane.receive({ kind: 'abandon', assignments });
        });
      },
      flush: () => this.#batcher.flush(),
      // Virtual time has no room for a wait of its own here: recovery then knows less than it might.
      settle: () => Promise.resolve(),
      onError: () => undefined,
      onRecoveryFailed: (error) => {
        if (String(error).includes('fake ledger')) judge.accuse(String(error));
      },
      onUnfit: (error) => {
        judge.accuse(String(error));
      },
    };
  }

  #commitRegularly(): void {
    this.#world.time.at(COMMIT_INTERVAL_MS, this, () => {
      this.#committer.tick();
      this.#commitRegularly();
    });
  }

  #send(buffer: ArrayBuffer, count: number): void {
    const reader = new BatchReader(buffer, count);
    while (reader.next()) this.#offsets.set(`${reader.assignment}/${reader.sequence}`, reader.offset);
    this.#toLane(() => {
      this.#lane.lane.receive({ kind: 'batch', buffer, count });
      this.#tickWhileBusy();
    });
  }

  /** Messages between main and lane take the same time, so they stay in order. */
  #toLane(receive: () => void): void {
    this.#world.time.at(1, this, receive);
  }

  #tickWhileBusy(): void {
    if (this.#isTicking) return;
    this.#isTicking = true;
    this.#world.time.at(LANE_TICK_MS, this, () => {
      this.#isTicking = false;
      this.#lane.lane.tick();
      if (this.#assignments.openRecords > 0 || this.#lane.counters.get(laneSlots.openRecords) > 0)
        this.#tickWhileBusy();
    });
  }

  #receive(message: Settled): void {
    const { time, judge } = this.#world;
    for (const { assignment, sequence, value } of message.handovers) {
      judge.origins.set(value!.buffer, this.#originOf(assignment, sequence));
    }
    time.at(1, this, () => {
      this.#settler.onSettled(0, message);
      this.#intake.onRoom();
    });
  }

  #originOf(assignment: number, sequence: number): Origin {
    const offset = this.#offsets.get(`${assignment}/${sequence}`)!;
    return { epoch: this.#epochs.get(assignment)!, offset, isHop: false };
  }

  #request({ id, record, attemptedAtMs }: Delivery, handler: UndiciHandler): void {
    const { time, faults, judge } = this.#world;
    const { assignment, sequence } = record.origin;
    const origin = this.#originOf(assignment.id, sequence);
    // As the ledger has it.
    judge.onRequest(origin, this.member, id, (Math.floor(attemptedAtMs) / 1_000).toFixed(3));
    const treatment = treatmentOf(faults);
    let isOver = false;
    const end = (finish: () => void): void => {
      if (isOver) return;
      isOver = true;
      finish();
    };
    const fail = (code: string): void => {
      end(() => {
        handler.onError(Object.assign(new Error(code), { code }));
      });
    };
    time.at(1, this, () => {
      if (treatment.kind === 'refused') {
        fail('ECONNREFUSED');
        return;
      }
      handler.onConnect(() => {
        fail('EVENTDISPATCH_DEADLINE');
      });
      time.at(faults.latencyMs(100), null, () => {
        if (treatment.isTaken) judge.onTaken(id);
        this.onStep();
        if (treatment.kind === 'silent') return;
        time.at(faults.latencyMs(50), this, () => {
          if (treatment.kind === 'reset') fail('ECONNRESET');
          else
            end(() => {
              if (treatment.status === 200) judge.onDelivered(origin, id);
              handler.onHeaders(treatment.status, treatment.headers);
              handler.onComplete();
            });
        });
      });
    });
  }
}

interface Treatment {
  readonly kind: 'refused' | 'silent' | 'reset' | 'answer';
  readonly status: number;
  readonly headers: Buffer[];
  readonly isTaken: boolean;
}

function treatmentOf(faults: Faults): Treatment {
  if (!faults.happens('requestFails')) return { kind: 'answer', status: 200, headers: [], isTaken: true };
  const { random } = faults;
  const isTaken = random.chance(0.5);
  switch (random.between(0, 6)) {
    case 0:
      return { kind: 'refused', status: 0, headers: [], isTaken: false };
    case 1:
      return { kind: 'silent', status: 0, headers: [], isTaken };
    case 2:
      return { kind: 'reset', status: 0, headers: [], isTaken };
    case 3: {
      const headers = ['retry-after', String(random.between(1, 4))].map((text) => Buffer.from(text));
      return { kind: 'answer', status: 429, headers, isTaken: false };
    }
    case 4:
      return { kind: 'answer', status: 400, headers: [], isTaken: false };
    default:
      return { kind: 'answer', status: 500, headers: [], isTaken };
  }
}
