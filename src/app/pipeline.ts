import type { Config } from '../config/config.ts';
import type { SchemaStore } from '../decode/schema-store.ts';
import { systemClock } from '../domain/clock.ts';
import { Admission } from '../ingest/admission.ts';
import { Assignments } from '../ingest/assignments.ts';
import { CatchUp } from '../ingest/catch-up.ts';
import { Committer } from '../ingest/committer.ts';
import { FlowGate } from '../ingest/flow-gate.ts';
import { Lease } from '../ingest/lease.ts';
import { Intake } from '../ingest/intake.ts';
import { CLASS_SHARES, LaneShares } from '../ingest/lane-shares.ts';
import { Ownership, type OwnershipOptions } from '../ingest/ownership.ts';
import { Peek } from '../ingest/peek.ts';
import { SchemaWait } from '../ingest/schema-wait.ts';
import { TenantPartitions } from '../ingest/tenant-partitions.ts';
import type { TenantSpread } from '../ingest/tenant-spread.ts';
import type { KafkaProducer } from '../kafka/producer.ts';
import type { KafkaConsumer } from '../kafka/consumer.ts';
import type { PipelineReader } from '../kafka/pipeline-reader.ts';
import { LaneCounters } from '../observability/lane-counters.ts';
import { laneSlots } from '../observability/lane-slots.ts';
import { LanePool } from '../lanes/lane-pool.ts';
import type { Settled } from '../lanes/protocol.ts';
import { LedgerBatcher } from '../ledger/batcher.ts';
import type { Ledger } from '../ledger/client.ts';
import type { DelayTopics } from '../retry/delay-topics.ts';
import { HandoverProducer } from '../retry/handover-producer.ts';
import { Settler } from '../settle/settler.ts';
import { Projections } from './projections.ts';
import { mappingFor, type Rekey } from './rekey.ts';
import { noticedSource, openReader } from './reading.ts';
import { recoverFor } from './recovery.ts';
import { RetryDoor } from './retry-door.ts';
import { spreadLimitsOf, spreadOf } from './spread.ts';
import type { Recovered, TopicPartition } from '../domain/record.ts';
import type { LedgerNotices } from './ledger-notices.ts';
import type { Notices } from './notices.ts';
import type { Overflow } from './overflow.ts';
import { underWayDurable } from './under-way.ts';

/** What the pipeline runs on; whoever made these closes them. */
export interface PipelineParts {
  readonly config: Config;
  readonly brokers: string;
  /** Which process this is, in ledger rows. */
  readonly instance: string;
  readonly ledger: Ledger;
  readonly producer: KafkaProducer;
  readonly schemas: SchemaStore;
  /** One per lane. */
  readonly counters: readonly SharedArrayBuffer[];
  readonly notices: Notices;
  readonly ledgerNotices: LedgerNotices;
  /** Null: what the ledger does not take waits in memory. */
  readonly overflow: Overflow | null;
  /** Partitions are taken on although the ledger does not answer. */
  readonly allowDuplicates: boolean;
  /** Moves records to one of the topics that the pipeline reads; null when nothing is rekeyed. */
  readonly rekey: Rekey | null;
  /** They are there, with this many partitions each. */
  readonly delayTopics: DelayTopics;
  readonly delayPartitions: number;
}

/** The running stages, for whoever stops, measures or asks them. */
export interface Pipeline {
  readonly intake: Intake;
  readonly assignments: Assignments;
  readonly gate: FlowGate;
  readonly tenantPartitions: TenantPartitions;
  readonly ownership: Ownership;
  readonly committer: Committer;
  readonly reader: PipelineReader;
  readonly lanes: LanePool;
  readonly batcher: LedgerBatcher;
  readonly handovers: HandoverProducer;
  readonly retryDoor: RetryDoor;
  readonly overflow: Overflow | null;
  readonly rekey: Rekey | null;
  readonly schemaWait: SchemaWait;
  /** The timer of the regular commits. */
  readonly commitTimer: NodeJS.Timeout;
}

/**
 * The whole way of a record. Read upwards it is the order in which the stages are
 * opened, since each needs the next:
 *
 *   consumer → intake (peek, admit, pack) → lanes (decode, route, limit, deliver, classify)
 *            → settler (ledger rows, hand-overs) → assignments (frontiers) → committer → consumer
 *
 * What is handed over to a delay topic comes back by the consumer, when it is due.
 */
export async function openPipeline(parts: PipelineParts): Promise<Pipeline> {
  const { config, notices, delayTopics } = parts;
  const assignments = new Assignments((topic) => delayTopics.get(topic) ?? null);
  const door = openDoor(parts, assignments);
  const { settler, batcher, handovers, retryDoor } = openSettling(parts, assignments, door.admission, () =>
    lease.isHeld(systemClock.monotonicMs()),
  );
  const recover: OwnershipOptions['recover'] = (partitions) => recoverFor(parts, consumer, partitions);
  const lanes = await openLanes(parts, {
    onSettled: (lane, settled) => {
      settler.onSettled(lane, settled);
      settled.notices.forEach(notices.destination);
      intake.onRoom();
    },
    // What the dead thread reported must be in the ledger before the ledger is asked.
    recover: (partitions) => batcher.flush().then(() => recover(partitions)),
  });
  const { member: consumer, reader } = await openReader(
    parts,
    groupListener(() => ({ ownership, committer, lease })),
  ).catch(async (error: unknown) => {
    await lanes.close();
    throw error;
  });
  const { committer, lease, commitTimer } = openCommits(parts, consumer, assignments);
  const schemaWait = openSchemaWait(parts, () => intake);
  const intake = new Intake({
    source: noticedSource(reader, notices, lease, committer),
    feed: lanes,
    lanes: lanes.size,
    assignments,
    ...door,
    peek: new Peek(projectionsFor(parts.schemas, lanes), config.kafka.maxRecordBytes),
    clock: systemClock,
    retries: retryDoor,
    mappingOf: (topic, record) => mappingFor(config, topic, record),
    isCatchingUp: openCatchUp(parts, assignments, reader),
    mayAdmit: () => settler.hasRoom(),
    onSchemaNeeded: (schemaId) => {
      schemaWait.need(schemaId);
    },
    onError: notices.pollFailed,
  });
  const ownership: Ownership = new Ownership({
    group: reader,
    assignments,
    committer,
    revokeDeadlineMs: config.kafka.revokeDeadlineMs,
    hasLapsed: () => lease.hasLapsed,
    recover,
    ...epochsOf(intake, lanes, retryDoor, door.admission, () => shareOf(assignments, parts.delayPartitions)),
    flush: () => batcher.flush(),
    settle: (timeoutMs) => underWayDurable(handovers, batcher, timeoutMs),
    onError: notices.kafkaError,
    onRecoveryFailed: parts.ledgerNotices.awaited,
    onUnfit: notices.unfit,
  });
  intake.start();
  return {
    intake,
    assignments,
    ...door,
    ownership,
    committer,
    reader,
    lanes,
    batcher,
    handovers,
    retryDoor,
    overflow: parts.overflow,
    rekey: parts.rekey,
    schemaWait,
    commitTimer,
  };
}

/** What the group tells, to those who act on it; they are made after the member. */
function groupListener(
  of: () => {
    readonly ownership: Ownership;
    readonly committer: Committer;
    readonly lease: Lease;
  },
): Parameters<typeof openReader>[1] {
  return {
    onAssign: (partitions) => {
      of().ownership.onAssign(partitions);
    },
    onRevoke: (partitions) => {
      of().ownership.onRevoke(partitions);
    },
    onCommit: (error, offsets, isEvicted) => {
      const { ownership, committer, lease } = of();
      committer.answer(error, offsets);
      if (!isEvicted) return;
      lease.onEvicted();
      ownership.onEvicted();
    },
  };
}

interface Commits {
  readonly committer: Committer;
  readonly lease: Lease;
  readonly commitTimer: NodeJS.Timeout;
}

/** What may be committed, and what may be sent: the lanes read in their counters until when. */
function openCommits(
  { config, counters, notices }: PipelineParts,
  consumer: KafkaConsumer,
  assignments: Assignments,
): Commits {
  const committer = new Committer(consumer, assignments, notices.commitFailed);
  const lanes = counters.map((buffer) => new LaneCounters(buffer));
  const lease = new Lease({
    nowMs: systemClock.monotonicMs(),
    publish: (untilMs) => {
      for (const lane of lanes) lane.set(laneSlots.leaseUntilMs, untilMs);
    },
    affirm: (onAnswer) => {
      committer.affirm(onAnswer);
    },
    onLapse: notices.leaseLapsed,
  });
  const commitTimer = setInterval(() => {
    committer.tick();
  }, config.kafka.commitIntervalMs);
  return { committer, lease, commitTimer };
}

function openCatchUp(
  { counters }: PipelineParts,
  assignments: Assignments,
  reader: PipelineReader,
): () => boolean {
  const lanes = counters.map((buffer) => new LaneCounters(buffer));
  const catchUp = new CatchUp({
    clock: systemClock,
    assignments: () => assignments.all(),
    highWatermark: (topic, partition) => reader.highWatermark(topic, partition),
    busyMs: () => lanes.map((lane) => lane.get(laneSlots.busySeconds) * 1000),
  });
  return () => catchUp.isOn();
}

/** Asks for schemas, and has intake look at once at the records that waited for them. */
function openSchemaWait({ schemas, notices }: PipelineParts, intake: () => Intake): SchemaWait {
  return new SchemaWait(async (schemaId) => {
    await schemas.resolve(schemaId);
    intake().onRoom();
  }, notices.schemaLookupFailed);
}

/** How intake, lanes and their door hear of the beginning and the end of an epoch. */
function epochsOf(
  intake: Intake,
  lanes: LanePool,
  retryDoor: RetryDoor,
  admission: Admission,
  shareNow: () => number,
): Pick<OwnershipOptions, 'onBegin' | 'onRevoking' | 'onEnd'> {
  return {
    onBegin: ({ id, topic, partition, delayMs }, recovered) => {
      const isRetry = delayMs !== null;
      if (isRetry) retryDoor.begin(id);
      lanes.broadcast({ kind: 'share', share: shareNow() });
      lanes.broadcast({ kind: 'assignment', assignment: id, topic, partition, isRetry, recovered });
    },
    onRevoking: (assignment) => {
      intake.forget(assignment);
    },
    onEnd: (ended) => {
      for (const assignment of ended) {
        admission.end(assignment);
        retryDoor.end(assignment.id);
      }
      lanes.broadcast({ kind: 'abandon', assignments: ended.map(({ id }) => id) });
      lanes.broadcast({ kind: 'share', share: shareNow() });
    },
  };
}

/** What part of all partition numbers is here. */
function shareOf(assignments: Assignments, partitions: number): number {
  const owned = new Set(Array.from(assignments.all(), ({ partition }) => partition));
  return Math.min(1, owned.size / partitions);
}

interface Door {
  readonly gate: FlowGate;
  readonly admission: Admission;
  readonly tenantPartitions: TenantPartitions;
  readonly spread: TenantSpread;
}

function openDoor({ config, notices }: PipelineParts, assignments: Assignments): Door {
  const { lanes } = config;
  const gate = new FlowGate(lanes.count, lanes);
  const shares = new LaneShares(lanes.count, lanes, { ...CLASS_SHARES, tenant: lanes.tenantShare });
  return {
    gate,
    admission: new Admission(assignments, gate, shares),
    tenantPartitions: new TenantPartitions({ onSplit: notices.tenantSplit }),
    spread: spreadOf(config),
  };
}

interface Settling {
  readonly settler: Settler<Settled>;
  readonly batcher: LedgerBatcher;
  readonly handovers: HandoverProducer;
  readonly retryDoor: RetryDoor;
}

function openSettling(
  parts: PipelineParts,
  assignments: Assignments,
  admission: Admission,
  isOwner: () => boolean,
): Settling {
  const { kafka, ledger } = parts.config;
  const batcher = new LedgerBatcher({
    sink: parts.ledger,
    bounds: ledger,
    clock: systemClock,
    onDurable: (records) => {
      settler.onLedgerAck(records);
      parts.notices.rowsDurable?.();
    },
    onState: parts.notices.ledgerState,
    overflow: parts.overflow?.bounds ?? null,
    onDiverting: parts.ledgerNotices.diverting,
    onOverflowFailed: parts.ledgerNotices.overflowFailed,
  });
  const handovers = new HandoverProducer({
    producer: parts.producer,
    topics: { dead_letter: kafka.deadLetterTopic, bad_event: kafka.badEventTopic },
    delayTopics: parts.delayTopics,
    partitionOf: (id) => {
      const assignment = assignments.get(id);
      // A source topic that was given more partitions since the start has none of its number there.
      return assignment === undefined ? null : assignment.partition % parts.delayPartitions;
    },
    clock: systemClock,
    isOwner,
    onDurable: (handover) => {
      settler.onHandoverAck(handover);
      parts.notices.handedOver?.(handover.to, handover.to === 'retry' && handover.row === null);
    },
    onFailure: parts.notices.handoverFailed,
  });
  const settler = new Settler<Settled>({ records: assignments, admission, ledger: batcher, handovers });
  return { settler, batcher, handovers, retryDoor: new RetryDoor(handovers, systemClock) };
}

interface LaneHandlers {
  readonly onSettled: (lane: number, settled: Settled) => void;
  readonly recover: (partitions: readonly TopicPartition[]) => Promise<readonly Recovered[]>;
}

function openLanes(
  { config, instance, counters, notices }: PipelineParts,
  { onSettled, recover }: LaneHandlers,
): Promise<LanePool> {
  return LanePool.open({
    setup: {
      destinations: config.destinations,
      delivery: config.delivery,
      ledger: config.ledger,
      fields: { ...config.fields, rekeyedTopic: config.kafka.rekey?.topic ?? null },
      limits: config.limits,
      spreadLimits: spreadLimitsOf(config),
      retryDelaysMs: config.retry.delaysMs,
      duplicates: config.duplicates,
      classes: config.lanes.classes,
      weights: config.lanes.weights,
      lanes: config.lanes.count,
      instance,
    },
    counters,
    stallTimeoutMs: config.lanes.stallTimeoutMs,
    onSettled,
    recover,
    onRestart: notices.laneRestarted,
    onCrash: notices.laneCrashed,
  });
}

function projectionsFor(schemas: SchemaStore, lanes: LanePool): Projections {
  return new Projections(schemas, (id, source) => {
    lanes.broadcast({ kind: 'schema', id, source });
  });
}
