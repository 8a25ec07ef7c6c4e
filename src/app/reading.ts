import type { Config } from '../config/config.ts';
import { systemClock } from '../domain/clock.ts';
import type { Committer } from '../ingest/committer.ts';
import type { RecordSource } from '../ingest/intake.ts';
import type { Lease } from '../ingest/lease.ts';
import { KafkaConsumer, type ConsumerListener } from '../kafka/consumer.ts';
import { PartitionReader } from '../kafka/partition-reader.ts';
import { PipelineReader } from '../kafka/pipeline-reader.ts';
import { consumerProperties, delayReaderProperties } from '../kafka/properties.ts';
import type { Notices } from './notices.ts';
import { sourceTopicsOf } from './rekey.ts';

const CLOSE_TIMEOUT_MS = 5_000;

interface ReadingSettings {
  readonly config: Pick<Config, 'kafka'>;
  readonly brokers: string;
  readonly delayTopics: ReadonlyMap<string, number>;
  readonly notices: Notices;
}

interface OpenReader {
  readonly member: KafkaConsumer;
  readonly reader: PipelineReader;
}

/** Subscribes to the sources and the delay topics alike, and has each event of the group noticed before it is answered. */
export async function openReader(
  { config, brokers, delayTopics, notices }: ReadingSettings,
  listener: Pick<ConsumerListener, 'onAssign' | 'onRevoke' | 'onCommit'>,
): Promise<OpenReader> {
  const delays = await PartitionReader.open(delayReaderProperties(config.kafka, brokers), notices.kafkaError);
  const member = await KafkaConsumer.open(
    consumerProperties(config.kafka, brokers),
    [...sourceTopicsOf(config.kafka), ...delayTopics.keys()],
    {
      onAssign: (partitions) => {
        notices.assigned(partitions);
        listener.onAssign(partitions);
      },
      onRevoke: (partitions) => {
        notices.revoked(partitions);
        listener.onRevoke(partitions);
      },
      onCommit: (error, offsets, isEvicted) => {
        if (error === null) notices.committed(offsets);
        listener.onCommit(error, offsets, isEvicted);
      },
      onError: notices.kafkaError,
      onConnection: notices.kafkaConnection,
    },
  ).catch(async (error: unknown) => {
    await delays.close(CLOSE_TIMEOUT_MS);
    throw error;
  });
  const isDelayTopic = (topic: string): boolean => delayTopics.has(topic);
  return {
    member,
    reader: new PipelineReader(member, delays, isDelayTopic, systemClock.monotonicMs),
  };
}

/** The reader as intake knows it, with what is to be done at each poll, and what is to be told. */
export function noticedSource(
  reader: PipelineReader,
  notices: Notices,
  lease: Lease,
  committer: Committer,
): RecordSource {
  return {
    poll: (max, callback) => {
      reader.poll(max, (error, records) => {
        lease.onPoll(systemClock.monotonicMs());
        committer.tickWhereMuch();
        callback(error, records);
      });
    },
    pause: (partitions) => {
      notices.paused(partitions);
      reader.pause(partitions);
    },
    resume: (partitions) => {
      notices.resumed(partitions);
      reader.resume(partitions);
    },
    hold: (place) => {
      reader.pause([place]);
    },
    release: (place) => {
      reader.resume([place]);
    },
    seek: (place, callback) => {
      reader.seek(place, callback);
    },
  };
}
