import type { KafkaConfig } from '../config/config.ts';
import { limits } from '../domain/limits.ts';

/** librdkafka properties; see its CONFIGURATION.md for names, units and ranges. */
export type KafkaProperties = Readonly<Record<string, string | number | boolean>>;

/** Room for our headers beside the largest value. */
const ENVELOPE_BYTES = 256 * 1024;

/**
 * The group waits so long for a member to give up what it was asked to. librdkafka's own five minutes are far more
 * than giving up takes here, and when the broker's word is lost on the way librdkafka 2.12 does not ask for it
 * again: after this time the member is evicted, joins anew, and the partitions have an owner.
 */
const LEAST_REBALANCE_TIMEOUT_MS = 60_000;
/** Beyond the deadline for what is in flight: making it durable, and committing it. */
const GIVE_UP_SLACK_MS = 30_000;

/** By librdkafka's own ten seconds a member is evicted before it has tried to reach a broker that is back for long. */
const RECONNECT_MAX_MS = 1_000;

/** The largest record that the producer sends. */
export const PRODUCED_RECORD_MAX_BYTES = limits.recordMaxBytes + ENVELOPE_BYTES;

/**
 * The consumer's properties: ours where delivery depends on them, bounded queues,
 * and the user's own on top for everything else (`config/` refuses the former).
 */
export function consumerProperties(
  kafka: KafkaConfig,
  brokers: string,
): Record<string, string | number | boolean> {
  return {
    'queued.max.messages.kbytes': limits.prefetchBytes / 1024,
    // Of each partition. What a pause throws away is fetched again, so it is not much; small fetches cost CPU.
    'queued.min.messages': 2_000,
    'fetch.message.max.bytes': 256 * 1024,
    'fetch.wait.max.ms': 50,
    'fetch.queue.backoff.ms': 20,
    'check.crcs': true,
    'socket.keepalive.enable': true,
    'topic.metadata.refresh.interval.ms': 30_000,
    'auto.offset.reset': 'earliest',
    'statistics.interval.ms': 2_000,
    'max.poll.interval.ms': rebalanceTimeoutMs(kafka),
    'reconnect.backoff.max.ms': RECONNECT_MAX_MS,
    ...kafka.properties,
    ...kafka.consumerProperties,
    ...groupProperties(kafka),
    'bootstrap.servers': brokers,
    'group.id': kafka.groupId,
    'enable.auto.commit': false,
    'enable.auto.offset.store': false,
    'enable.partition.eof': true,
  };
}

/** Of what reads the delay topics: little of each at a time, since most of it is not due and may be thrown away again. */
export function delayReaderProperties(
  kafka: KafkaConfig,
  brokers: string,
): Record<string, string | number | boolean> {
  return {
    ...consumerProperties(kafka, brokers),
    'queued.max.messages.kbytes': limits.delayPrefetchBytes / 1024,
    'queued.min.messages': 1,
    'fetch.message.max.bytes': 128 * 1024,
    'statistics.interval.ms': 0,
  };
}

/** Of the consumer that drains the ledger's overflow: whatever a user says of where to begin, it begins with the oldest. */
export function overflowProperties(
  kafka: KafkaConfig,
  brokers: string,
  groupId: string,
): Record<string, string | number | boolean> {
  return {
    ...consumerProperties(kafka, brokers),
    'group.id': groupId,
    'auto.offset.reset': 'earliest',
    // Records are large here: one that is worked on, and a few behind it.
    'queued.min.messages': 1,
  };
}

/** librdkafka takes no session that is longer. */
function rebalanceTimeoutMs({ revokeDeadlineMs, properties, consumerProperties: own }: KafkaConfig): number {
  const sessionMs = Number(own['session.timeout.ms'] ?? properties['session.timeout.ms'] ?? 0);
  return Math.max(LEAST_REBALANCE_TIMEOUT_MS, revokeDeadlineMs + GIVE_UP_SLACK_MS, sessionMs);
}

function groupProperties(kafka: KafkaConfig): KafkaProperties {
  return kafka.groupProtocol === 'consumer'
    ? { 'group.protocol': 'consumer', 'group.remote.assignor': 'range' }
    : { 'group.protocol': 'classic', 'partition.assignment.strategy': 'range' };
}

/** Of the consumer that moves records to the topic keyed by tenant: a group of its own. */
export function rekeyConsumerProperties(
  kafka: KafkaConfig,
  brokers: string,
): Record<string, string | number | boolean> {
  return { ...consumerProperties(kafka, brokers), 'group.id': `${kafka.groupId}.rekey` };
}

/** Of the producer beside it, which gives no record up: one that came later would stand before it. */
export function rekeyProducerProperties(
  kafka: KafkaConfig,
  brokers: string,
): Record<string, string | number | boolean> {
  return { ...producerProperties(kafka, brokers), 'message.timeout.ms': 0 };
}

/** Of the client that makes topics. */
export function adminProperties(
  kafka: KafkaConfig,
  brokers: string,
): Record<string, string | number | boolean> {
  return { 'socket.keepalive.enable': true, ...kafka.properties, 'bootstrap.servers': brokers };
}

/** The producer's properties: durable before quick, since what it writes is what nobody else keeps. */
export function producerProperties(
  kafka: KafkaConfig,
  brokers: string,
): Record<string, string | number | boolean> {
  return {
    'linger.ms': 5,
    'reconnect.backoff.max.ms': RECONNECT_MAX_MS,
    'compression.codec': 'lz4',
    'queue.buffering.max.kbytes': (limits.handoverPendingBytes + PRODUCED_RECORD_MAX_BYTES) / 1024,
    'socket.keepalive.enable': true,
    ...kafka.properties,
    ...kafka.producerProperties,
    'bootstrap.servers': brokers,
    'message.max.bytes': PRODUCED_RECORD_MAX_BYTES,
    'enable.idempotence': true,
    acks: 'all',
  };
}
