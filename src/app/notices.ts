import type { UserError } from '../domain/errors.ts';
import type { TopicPartition, TopicPartitionOffset } from '../domain/record.ts';
import type { SplitTenant } from '../ingest/tenant-partitions.ts';
import type { PipelineTopics } from '../kafka/pipeline-topics.ts';
import type { LaneRestart } from '../lanes/lane-pool.ts';
import type { DestinationNotice } from '../lanes/protocol.ts';
import type { LedgerState } from '../ledger/batch-sender.ts';
import type { Log } from '../observability/log.ts';
import type { HandoverRecord } from '../retry/handover-producer.ts';

/** What the stages tell of themselves, and what becomes of it: log lines, and the state that readiness asks for. */
export interface Notices {
  /** The Kafka client's latest error since a broker could be reached, null when there was none. */
  lastKafkaError: string | null;
  readonly assigned: (partitions: readonly TopicPartition[]) => void;
  readonly revoked: (partitions: readonly TopicPartition[]) => void;
  readonly paused: (partitions: readonly TopicPartition[]) => void;
  readonly resumed: (partitions: readonly TopicPartition[]) => void;
  readonly kafkaError: (message: string) => void;
  readonly kafkaConnection: (isUp: boolean) => void;
  readonly pollFailed: (message: string) => void;
  /** The broker has accepted these. */
  readonly committed: (offsets: readonly TopicPartitionOffset[]) => void;
  readonly commitFailed: (message: string) => void;
  /** Main stood still for so long that this process may have lost its partitions. */
  readonly leaseLapsed: (stoodStillMs: number) => void;
  readonly schemaLookupFailed: (schemaId: number, error: unknown) => void;
  readonly handoverFailed: (topic: string, message: string) => void;
  readonly ledgerState: (state: LedgerState, error: Error | null) => void;
  /** Rows of a lane's report are durable; null where nobody looks, since it comes often. */
  readonly rowsDurable: (() => void) | null;
  /** The broker has a hand-over; null where nobody looks. @param isHop a retry was passed on to its next delay topic. */
  readonly handedOver: ((to: HandoverRecord['to'], isHop: boolean) => void) | null;
  /** What was found when the topics beside the sources were made. */
  readonly topicsReady: (topics: PipelineTopics) => void;
  readonly tenantSplit: (split: SplitTenant) => void;
  /** A lane tells what has become of a destination of a tenant. */
  readonly destination: (notice: DestinationNotice) => void;
  readonly laneRestarted: (restart: LaneRestart) => void;
  readonly laneCrashed: (lane: number, error: unknown) => void;
  /** Records that the group had not read are not there any more, and it goes on without them. */
  readonly recordsSkipped: (problem: string) => void;
  /** Only a person can decide how to go on. */
  readonly unfit: (error: UserError) => void;
}

/** @param onFailure the dispatcher cannot go on. */
export function logNotices(log: Log, onFailure: (error: Error) => void): Notices {
  const notices: Notices = {
    lastKafkaError: null,
    assigned: (partitions) => {
      notices.lastKafkaError = null;
      log.write('partitions_assigned', { partitions: namesOf(partitions) });
    },
    revoked: (partitions) => {
      log.write('partitions_revoked', { partitions: namesOf(partitions) });
    },
    paused: (partitions) => {
      log.write('partition_paused', { partitions: namesOf(partitions) });
    },
    resumed: (partitions) => {
      log.write('partition_resumed', { partitions: namesOf(partitions) });
    },
    kafkaError: (message) => {
      notices.lastKafkaError = message;
      log.write('kafka_error', { error: message });
    },
    kafkaConnection: (isUp) => {
      if (isUp) notices.lastKafkaError = null;
      else notices.lastKafkaError ??= 'no broker can be reached';
    },
    pollFailed: (message) => {
      log.write('poll_failed', { error: message });
    },
    committed: (offsets) => {
      log.write('offsets_committed', { offsets });
    },
    commitFailed: (message) => {
      log.write('commit_failed', { error: message });
    },
    leaseLapsed: (stoodStillMs) => {
      log.write('lease_lapsed', { stoodStillMs: Math.round(stoodStillMs) });
    },
    schemaLookupFailed: (schemaId, error) => {
      log.write('schema_lookup_failed', { schemaId, error: String(error) });
    },
    handoverFailed: (topic, message) => {
      log.write('handover_failed', { topic, error: message });
    },
    ledgerState: (state, error) => {
      if (state === 'ok') log.write('ledger_recovered');
      else
        log.write(state === 'alarm' ? 'ledger_refused' : 'ledger_insert_failed', { error: error?.message });
    },
    ...oftenNotices(log),
    topicsReady: ({ partitions, created, unequal, missing }) => {
      if (created.length > 0) log.write('topics_created', { topics: created, partitions });
      if (missing.length > 0) log.write('source_topics_missing', { topics: missing });
      if (unequal.length > 0) log.write('partition_counts_differ', { topics: Object.fromEntries(unequal) });
    },
    tenantSplit: (split) => {
      log.write('tenant_on_several_partitions', { ...split });
    },
    destination: ({ notice, tenant, destination }) => {
      const percent = /^failing_(\d+)$/.exec(notice)?.[1];
      if (percent !== undefined) {
        log.write('destination_failing', { tenant, destination, percent: Number(percent) });
      } else if (notice === 'disabled') log.write('destination_disabled', { tenant, destination });
      else if (notice === 'breaker_opened') log.write('breaker_opened', { tenant, destination });
      else log.write('breaker_closed', { tenant, destination });
    },
    laneRestarted: ({ error, ...rest }) => {
      log.write('lane_restarted', { ...rest, err: error });
    },
    laneCrashed: (lane, error) => {
      log.write('lane_failed', { lane, err: error });
      onFailure(new Error(`lane ${lane} ended`, { cause: error }));
    },
    recordsSkipped: (problem) => {
      log.write('records_skipped', { problem });
    },
    unfit: onFailure,
  };
  return notices;
}

/** What comes for each batch or hand-over: nothing at all where its lines would not come out. */
function oftenNotices(log: Log): Pick<Notices, 'rowsDurable' | 'handedOver'> {
  return {
    rowsDurable: log.writes('rows_durable')
      ? () => {
          log.write('rows_durable');
        }
      : null,
    handedOver: log.writes('handed_over')
      ? (to, isHop) => {
          log.write('handed_over', { to, isHop });
        }
      : null,
  };
}

function namesOf(partitions: readonly TopicPartition[]): string[] {
  return partitions.map(({ topic, partition }) => `${topic}/${partition}`);
}
