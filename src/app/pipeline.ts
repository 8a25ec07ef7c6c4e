import type { Config } from '../config/config.ts';
import type { SchemaStore } from '../decode/schema-store.ts';
import { systemClock } from '../domain/clock.ts';
import { Assignments } from '../ingest/assignments.ts';
import { Committer } from '../ingest/committer.ts';
import { FlowGate } from '../ingest/flow-gate.ts';
import { Intake } from '../ingest/intake.ts';
import { Ownership } from '../ingest/ownership.ts';
import { Peek } from '../ingest/peek.ts';
import { SchemaWait } from '../ingest/schema-wait.ts';
import { KafkaConsumer } from '../kafka/consumer.ts';
import type { KafkaProducer } from '../kafka/producer.ts';
import { consumerProperties } from '../kafka/properties.ts';
import { LanePool } from '../lanes/lane-pool.ts';
import type { Settled } from '../lanes/protocol.ts';
import { LedgerBatcher } from '../ledger/batcher.ts';
import type { Ledger } from '../ledger/client.ts';
import type { Log } from '../observability/log.ts';
import { HandoverProducer } from '../retry/handover-producer.ts';
import { Settler } from '../settle/settler.ts';
import { batcherEvents } from './batcher-events.ts';
import { Projections } from './projections.ts';

/** What the pipeline runs on; whoever made these closes them. */
export interface PipelineParts {
  readonly config: Config;
  readonly brokers: string;
  readonly instance: string;
  readonly ledger: Ledger;
  readonly producer: KafkaProducer;
  readonly schemas: SchemaStore;
  readonly counters: readonly SharedArrayBuffer[];
  readonly log: Log;
  onLaneCrash(lane: number, error: unknown): void;
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
  /** The Kafka client's latest error, null when there was none. */
  lastKafkaError(): string | null;
}

/**
 * The whole way of a record, in its order: Kafka → intake (peek, admit, pack) →
 * lanes (decode, route, limit, deliver, classify) → settler (ledger rows,
 * hand-overs) → frontier → commit.
 */
export async function openPipeline(parts: PipelineParts): Promise<Pipeline> {
  const { config, log } = parts;
  const assignments = new Assignments();
  const gate = new FlowGate(config.lanes.count, config.lanes);
  let lastKafkaError: string | null = null;
  const onKafkaError = (message: string): void => {
    lastKafkaError = message;
    log.write('kafka_error', { error: message });
  };

  const batcher = new LedgerBatcher({
    sink: parts.ledger,
    bounds: config.ledger,
    clock: systemClock,
    onDurable: (records) => {
      settler.onLedgerAck(records);
    },
    ...batcherEvents(log),
  });
  const handovers = new HandoverProducer(
    parts.producer,
    { dead_letter: config.kafka.deadLetterTopic, bad_event: config.kafka.badEventTopic },
    (assignment, sequence) => {
      settler.onHandoverAck(assignment, sequence);
    },
    (topic, message) => {
      log.write('handover_failed', { topic, error: message });
    },
  );
  const settler = new Settler<Settled>({ records: assignments, gate, ledger: batcher, handovers });

  const lanes = await LanePool.open({
    setup: {
      destinations: config.destinations,
      delivery: config.delivery,
      ledger: config.ledger,
      fields: config.fields,
      instance: parts.instance,
    },
    counters: parts.counters,
    onSettled: (lane, settled) => {
      settler.onSettled(lane, settled);
    },
    onCrash: parts.onLaneCrash,
  });

  const consumer = await KafkaConsumer.open(consumerProperties(config.kafka, parts.brokers), config.kafka.topics, {
    onAssign: (partitions) => {
      log.write('partitions_assigned', { partitions });
      ownership.onAssign(partitions);
    },
    onRevoke: (partitions) => {
      log.write('partitions_revoked', { partitions });
      ownership.onRevoke(partitions);
    },
    onCommit: (error, offsets) => {
      committer.answer(error, offsets);
    },
    onError: onKafkaError,
  });
  const committer = new Committer(consumer, assignments, (error) => {
    log.write('commit_failed', { error });
  });
  const ownership = new Ownership({
    group: consumer,
    assignments,
    committer,
    revokeDeadlineMs: config.kafka.revokeDeadlineMs,
    onBegin: ({ id, topic, partition }) => {
      lanes.broadcast({ kind: 'assignment', assignment: id, topic, partition });
    },
    onRevoking: (assignment) => {
      intake.forget(assignment);
    },
    onEnd: (ended) => {
      lanes.broadcast({ kind: 'abandon', assignments: ended.map(({ id }) => id) });
    },
    flush: () => batcher.flush(),
    onError: onKafkaError,
  });

  const schemaWait = new SchemaWait(
    (schemaId) => parts.schemas.resolve(schemaId),
    (schemaId, error) => {
      log.write('schema_lookup_failed', { schemaId, error: String(error) });
    },
  );
  const projections = new Projections(parts.schemas, (id, source) => {
    lanes.broadcast({ kind: 'schema', id, source });
  });
  const intake = new Intake({
    source: consumer,
    feed: lanes,
    lanes: lanes.size,
    assignments,
    gate,
    peek: new Peek(projections, config.kafka.maxRecordBytes),
    clock: systemClock,
    mappingOf: (topic) => config.fields.byTopic[topic] ?? config.fields.default,
    mayAdmit: () => settler.hasRoom(),
    onSchemaNeeded: (schemaId) => {
      schemaWait.need(schemaId);
    },
    onError: (error) => {
      log.write('poll_failed', { error });
    },
  });
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
    lastKafkaError: () => lastKafkaError,
  };
}
