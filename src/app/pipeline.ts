import type { Config } from '../config/config.ts';
import type { SchemaStore } from '../decode/schema-store.ts';
import { systemClock } from '../domain/clock.ts';
import { Assignments } from '../ingest/assignments.ts';
import { Committer } from '../ingest/committer.ts';
import { FlowGate } from '../ingest/flow-gate.ts';
import { Intake, type RecordSource } from '../ingest/intake.ts';
import { Ownership, type OwnershipOptions } from '../ingest/ownership.ts';
import { Peek } from '../ingest/peek.ts';
import { SchemaWait } from '../ingest/schema-wait.ts';
import { KafkaConsumer } from '../kafka/consumer.ts';
import type { KafkaProducer } from '../kafka/producer.ts';
import { consumerProperties } from '../kafka/properties.ts';
import { LanePool } from '../lanes/lane-pool.ts';
import type { Settled } from '../lanes/protocol.ts';
import { LedgerBatcher } from '../ledger/batcher.ts';
import type { Ledger } from '../ledger/client.ts';
import { HandoverProducer } from '../retry/handover-producer.ts';
import { Settler } from '../settle/settler.ts';
import { Projections } from './projections.ts';
import { recoverDeliveries } from './recovery.ts';
import type { Notices } from './notices.ts';

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
}

/** The running stages, for whoever stops, measures or asks them. */
export interface Pipeline {
  readonly intake: Intake;
  readonly assignments: Assignments;
  readonly gate: FlowGate;
  readonly ownership: Ownership;
  readonly committer: Committer;
  readonly consumer: KafkaConsumer;
  readonly lanes: LanePool;
  readonly batcher: LedgerBatcher;
  readonly handovers: HandoverProducer;
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
 */
export async function openPipeline(parts: PipelineParts): Promise<Pipeline> {
  const { config, notices } = parts;
  const assignments = new Assignments();
  const gate = new FlowGate(config.lanes.count, config.lanes);
  const { settler, batcher, handovers } = openSettling(parts, assignments, gate);
  const lanes = await openLanes(parts, (lane, settled) => {
    settler.onSettled(lane, settled);
    intake.onRoom();
  });
  const consumer = await KafkaConsumer.open(
    consumerProperties(config.kafka, parts.brokers),
    config.kafka.topics,
    {
      onAssign: (partitions) => {
        notices.assigned(partitions);
        ownership.onAssign(partitions);
      },
      onRevoke: (partitions) => {
        notices.revoked(partitions);
        ownership.onRevoke(partitions);
      },
      onCommit: (error, offsets) => {
        committer.answer(error, offsets);
      },
      onError: notices.kafkaError,
      onConnection: notices.kafkaConnection,
    },
  ).catch(async (error: unknown) => {
    await lanes.close();
    throw error;
  });
  const committer = new Committer(consumer, assignments, notices.commitFailed);
  const schemaWait = new SchemaWait(
    schemaAsker(parts.schemas, () => intake),
    notices.schemaLookupFailed,
  );
  const intake = new Intake({
    source: noticedSource(consumer, notices),
    feed: lanes,
    lanes: lanes.size,
    assignments,
    gate,
    peek: new Peek(projectionsFor(parts.schemas, lanes), config.kafka.maxRecordBytes),
    clock: systemClock,
    mappingOf: (topic) => config.fields.byTopic[topic] ?? config.fields.default,
    mayAdmit: () => settler.hasRoom(),
    onSchemaNeeded: (schemaId) => {
      schemaWait.need(schemaId);
    },
    onError: notices.pollFailed,
  });
  const ownership = new Ownership({
    group: consumer,
    assignments,
    committer,
    revokeDeadlineMs: config.kafka.revokeDeadlineMs,
    recover: (partitions) => recoverDeliveries(consumer, parts.ledger, partitions),
    ...epochsOf(lanes),
    onRevoking: (assignment) => {
      intake.forget(assignment);
    },
    flush: () => batcher.flush(),
    onError: notices.kafkaError,
  });
  const commitTimer = tickEvery(committer, config.kafka.commitIntervalMs);
  intake.start();
  return {
    intake,
    assignments,
    gate,
    ownership,
    committer,
    consumer,
    lanes,
    batcher,
    handovers,
    schemaWait,
    commitTimer,
  };
}

function noticedSource(consumer: KafkaConsumer, notices: Notices): RecordSource {
  return {
    poll: (max, callback) => {
      consumer.poll(max, callback);
    },
    pause: (partitions) => {
      notices.paused(partitions);
      consumer.pause(partitions);
    },
    resume: (partitions) => {
      notices.resumed(partitions);
      consumer.resume(partitions);
    },
  };
}

/** Asks for a schema, and has intake look at once at the records that waited for it. */
function schemaAsker(schemas: SchemaStore, intake: () => Intake): (schemaId: number) => Promise<void> {
  return async (schemaId) => {
    await schemas.resolve(schemaId);
    intake().onRoom();
  };
}

function tickEvery(committer: Committer, intervalMs: number): NodeJS.Timeout {
  return setInterval(() => {
    committer.tick();
  }, intervalMs);
}

/** How lanes hear of the beginning and the end of an epoch. */
function epochsOf(lanes: LanePool): Pick<OwnershipOptions, 'onBegin' | 'onEnd'> {
  return {
    onBegin: ({ id, topic, partition }, recovered) => {
      lanes.broadcast({ kind: 'assignment', assignment: id, topic, partition, recovered });
    },
    onEnd: (ended) => {
      lanes.broadcast({ kind: 'abandon', assignments: ended.map(({ id }) => id) });
    },
  };
}

interface Settling {
  readonly settler: Settler<Settled>;
  readonly batcher: LedgerBatcher;
  readonly handovers: HandoverProducer;
}

function openSettling(parts: PipelineParts, assignments: Assignments, gate: FlowGate): Settling {
  const { kafka, ledger } = parts.config;
  const batcher = new LedgerBatcher({
    sink: parts.ledger,
    bounds: ledger,
    clock: systemClock,
    onDurable: (records) => {
      settler.onLedgerAck(records);
    },
    onState: parts.notices.ledgerState,
  });
  const handovers = new HandoverProducer(
    parts.producer,
    { dead_letter: kafka.deadLetterTopic, bad_event: kafka.badEventTopic },
    (assignment, sequence) => {
      settler.onHandoverAck(assignment, sequence);
    },
    parts.notices.handoverFailed,
  );
  const settler = new Settler<Settled>({ records: assignments, gate, ledger: batcher, handovers });
  return { settler, batcher, handovers };
}

function openLanes(
  { config, instance, counters, notices }: PipelineParts,
  onSettled: (lane: number, settled: Settled) => void,
): Promise<LanePool> {
  return LanePool.open({
    setup: {
      destinations: config.destinations,
      delivery: config.delivery,
      ledger: config.ledger,
      fields: config.fields,
      instance,
    },
    counters,
    onSettled,
    onCrash: notices.laneCrashed,
  });
}

function projectionsFor(schemas: SchemaStore, lanes: LanePool): Projections {
  return new Projections(schemas, (id, source) => {
    lanes.broadcast({ kind: 'schema', id, source });
  });
}
