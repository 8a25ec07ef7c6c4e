import type { Config, KafkaConfig } from '../config/config.ts';
import type { SchemaStore } from '../decode/schema-store.ts';
import { systemClock } from '../domain/clock.ts';
import { mappingOf, type FieldMapping } from '../domain/event.ts';
import { NOTHING_RECOVERED } from '../domain/record.ts';
import type { SourceRecord, TopicPartition, TopicPartitionOffset } from '../domain/record.ts';
import { rekeyedFrom } from '../domain/rekeyed-from.ts';
import type { Assignment } from '../ingest/assignment.ts';
import { Assignments } from '../ingest/assignments.ts';
import { Committer } from '../ingest/committer.ts';
import { headerPairs } from '../ingest/header-pairs.ts';
import { Ownership } from '../ingest/ownership.ts';
import { Peek } from '../ingest/peek.ts';
import { SchemaWait } from '../ingest/schema-wait.ts';
import { KafkaConsumer } from '../kafka/consumer.ts';
import { openProducer, type KafkaProducer } from '../kafka/producer.ts';
import {
  consumerProperties,
  PRODUCED_RECORD_MAX_BYTES,
  rekeyConsumerProperties,
  rekeyProducerProperties,
} from '../kafka/properties.ts';
import { TopicReader } from '../kafka/topic-reader.ts';
import type { Log } from '../observability/log.ts';
import { Rekeyer, type RekeyerOptions } from '../rekey/rekeyer.ts';
import type { Notices } from './notices.ts';
import { checkOffsetLoss } from './offset-loss.ts';
import { Projections } from './projections.ts';
import { startsOf } from './rekey-start.ts';

/** What was moved and not committed is moved twice after a crash, so commits come often. */
const COMMIT_INTERVAL_MS = 200;
const COMMIT_TIMEOUT_MS = 5_000;
const COMMITTED_TIMEOUT_MS = 5_000;
const LEAVE_TIMEOUT_MS = 8_000;

export interface RekeyParts {
  readonly config: Config;
  readonly brokers: string;
  readonly schemas: SchemaStore;
  readonly log: Log;
  readonly notices: Pick<Notices, 'recordsSkipped' | 'unfit'>;
  /** Of the topic keyed by tenant, which is there. */
  readonly partitions: number;
}

/** The stage that moves records of `kafka.rekey.topics`, beside the pipeline that reads what it has moved. */
export interface Rekey {
  readonly rekeyer: Pick<Rekeyer<Assignment>, 'stats' | 'health'>;
  /**
   * Reads nothing more, waits for what is on its way, commits and leaves the group.
   * @returns whether everything that was taken is settled on its source.
   */
  drain(deadlineMs: number): Promise<boolean>;
  /** Ends it without waiting for what is on its way; nothing where it has been drained. */
  stop(): Promise<void>;
}

/** Which mapping an event has: that of the topic it was moved from, where it was. */
export function mappingFor(
  { fields, kafka }: Pick<Config, 'fields' | 'kafka'>,
  topic: string,
  record: SourceRecord,
): FieldMapping {
  const rekeyed = topic === kafka.rekey?.topic ? rekeyedFrom(headersOf(record)) : null;
  return mappingOf(fields, rekeyed?.topic ?? topic);
}

/** The topics of the pipeline that events come from, the internal one included. */
export function sourceTopicsOf({ topics, rekey }: KafkaConfig): string[] {
  return rekey === null ? [...topics] : [...topics, rekey.topic];
}

/**
 * Null when nothing is rekeyed.
 * @throws UserError when no broker answers.
 */
export async function openRekey(parts: RekeyParts): Promise<Rekey | null> {
  const { config, brokers, log } = parts;
  const { kafka } = config;
  if (kafka.rekey === null) return null;
  const onError = (error: string): void => {
    log.write('kafka_error', { error, client: 'rekey' });
  };
  const producer = await openProducer(rekeyProducerProperties(kafka, brokers), onError);
  const assignments = new Assignments();
  const consumer = await KafkaConsumer.open(rekeyConsumerProperties(kafka, brokers), kafka.rekey.topics, {
    onAssign: (partitions) => {
      log.write('partitions_assigned', { partitions: namesOf(partitions), client: 'rekey' });
      ownership.onAssign(partitions);
    },
    onRevoke: (partitions) => {
      log.write('partitions_revoked', { partitions: namesOf(partitions), client: 'rekey' });
      ownership.onRevoke(partitions);
    },
    onCommit: (error, offsets, isEvicted) => {
      committer.answer(error, offsets);
      if (isEvicted) ownership.onEvicted();
    },
    onError,
    onConnection: () => undefined,
  }).catch(async (error: unknown) => {
    await producer.close();
    throw error;
  });
  const committer = new Committer(consumer, assignments, (error) => {
    log.write('commit_failed', { error, client: 'rekey' });
  });
  const schemaWait = new SchemaWait(
    async (schemaId) => {
      await parts.schemas.resolve(schemaId);
      rekeyer.onSchemaKnown();
    },
    (schemaId, error) => {
      log.write('schema_lookup_failed', { schemaId, error: String(error) });
    },
  );
  const rekeyer = new Rekeyer<Assignment>({
    ...rekeyerOptions(parts, kafka.rekey.topic),
    source: consumer,
    target: producer,
    partitions: assignments,
    onSchemaNeeded: (schemaId) => {
      schemaWait.need(schemaId);
    },
  });
  const ownership = openOwnership(parts, { consumer, assignments, committer, onError }, (assignment) => {
    rekeyer.forget(assignment);
  });
  const commitTimer = setInterval(
    () => {
      committer.tick();
    },
    Math.min(COMMIT_INTERVAL_MS, kafka.commitIntervalMs),
  );
  rekeyer.start();
  const running: Running = {
    ...{ rekeyer, assignments, ownership, committer, consumer, producer, schemaWait, commitTimer },
    log,
    ended: null,
  };
  return { rekeyer, drain: (deadlineMs) => drain(running, deadlineMs), stop: () => stop(running, true) };
}

interface Membership {
  readonly consumer: KafkaConsumer;
  readonly assignments: Assignments;
  readonly committer: Committer;
  readonly onError: (message: string) => void;
}

function openOwnership(
  { config: { kafka }, brokers, log, notices }: RekeyParts,
  { consumer, assignments, committer, onError }: Membership,
  onRevoking: (assignment: Assignment) => void,
): Ownership {
  /** Of the partitions that are being taken on; one rebalance is open at a time. */
  let starts: readonly TopicPartitionOffset[] = [];
  const checkLoss = (groupId: string, offsets: readonly TopicPartitionOffset[]): Promise<void> =>
    checkOffsetLoss(
      { consumer, groupId, policy: kafka.lostRecords, onSkipped: notices.recordsSkipped },
      offsets,
    );
  const committedOf = async (asked: readonly TopicPartition[]): Promise<readonly TopicPartitionOffset[]> => {
    const committed = await consumer.committed(asked, COMMITTED_TIMEOUT_MS);
    await checkLoss(`${kafka.groupId}.rekey`, committed);
    return committed;
  };
  return new Ownership({
    group: {
      assign: (partitions) => {
        consumer.assign(partitions.map((place) => starts.find(isAt(place)) ?? place));
      },
      unassign: (partitions) => {
        consumer.unassign(partitions);
      },
    },
    assignments,
    committer,
    revokeDeadlineMs: kafka.revokeDeadlineMs,
    hasLapsed: () => false,
    // Nobody can tell what was moved and not committed, but by reading all of the topic.
    recover: async (partitions) => {
      starts = await startsOf(partitions, { committed: committedOf }, () =>
        TopicReader.open(consumerProperties(kafka, brokers)),
      );
      await checkLoss(kafka.groupId, starts);
      if (starts.length > 0) log.write('rekey_begins_at_group', { partitions: placesOf(starts) });
      return partitions.map(() => NOTHING_RECOVERED);
    },
    onBegin: () => undefined,
    onRevoking,
    onEnd: () => undefined,
    flush: () => Promise.resolve(),
    settle: () => Promise.resolve(),
    onError,
    onRecoveryFailed: (error) => {
      onError(String(error));
    },
    onUnfit: notices.unfit,
  });
}

function rekeyerOptions(
  { config, schemas, partitions, log }: RekeyParts,
  name: string,
): Omit<RekeyerOptions<Assignment>, 'source' | 'target' | 'partitions' | 'onSchemaNeeded'> {
  const maxValueBytes = config.kafka.maxRecordBytes;
  return {
    topic: { name, partitions, maxBytes: PRODUCED_RECORD_MAX_BYTES, maxValueBytes },
    finder: new Peek(new Projections(schemas, () => undefined), maxValueBytes),
    mappingOf: (topic) => mappingOf(config.fields, topic),
    headersOf,
    clock: systemClock,
    onFailure: (error) => {
      log.write('rekey_failed', { topic: name, error });
    },
    onError: (error) => {
      log.write('poll_failed', { error, client: 'rekey' });
    },
  };
}

interface Running {
  readonly rekeyer: Rekeyer<Assignment>;
  readonly assignments: Assignments;
  readonly ownership: Ownership;
  readonly committer: Committer;
  readonly consumer: KafkaConsumer;
  readonly producer: KafkaProducer;
  readonly schemaWait: SchemaWait;
  readonly commitTimer: NodeJS.Timeout;
  readonly log: Log;
  ended: Promise<void> | null;
}

async function drain(running: Running, deadlineMs: number): Promise<boolean> {
  const { rekeyer, assignments, ownership, committer, schemaWait } = running;
  rekeyer.stopTaking();
  schemaWait.stop();
  const owned = [...assignments.all()];
  const isMoved = await ownership.drain(owned, deadlineMs);
  const isCommitted = await committer.commitAll(owned, COMMIT_TIMEOUT_MS);
  for (const assignment of owned) assignments.end(assignment);
  await stop(running, isCommitted);
  return isMoved && isCommitted;
}

/** @param canLeave leaving holds a thread until a broker answers, and the end of the process waits for that. */
function stop(running: Running, canLeave: boolean): Promise<void> {
  running.ended ??= end(running, canLeave);
  return running.ended;
}

async function end(
  { rekeyer, schemaWait, commitTimer, consumer, producer, log }: Running,
  canLeave: boolean,
): Promise<void> {
  schemaWait.stop();
  rekeyer.stop();
  clearInterval(commitTimer);
  if (!canLeave) return;
  const left = await consumer.close(LEAVE_TIMEOUT_MS);
  if (left === 'timed_out') log.write('leave_timed_out', { timeoutMs: LEAVE_TIMEOUT_MS, client: 'rekey' });
  await producer.close();
}

function headersOf({ headers }: SourceRecord): ReturnType<typeof headerPairs> {
  return headers === undefined ? [] : headerPairs(headers);
}

function isAt(place: TopicPartition): (other: TopicPartition) => boolean {
  return (other) => other.partition === place.partition && other.topic === place.topic;
}

function placesOf(places: readonly TopicPartitionOffset[]): string[] {
  return places.map(({ topic, partition, offset }) => `${topic}/${partition}@${offset}`);
}

function namesOf(partitions: readonly TopicPartition[]): string[] {
  return partitions.map(({ topic, partition }) => `${topic}/${partition}`);
}
