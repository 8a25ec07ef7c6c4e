/**
 * Everything that crosses between main and a lane thread: two closed unions, and
 * the layout of the packed batch. Nothing else is posted on a lane's port.
 */
import type { MessagePort } from 'node:worker_threads';
import type {
  ClassWeights,
  DeliveryConfig,
  DuplicatesConfig,
  LanesConfig,
  LedgerConfig,
  LimitsConfig,
} from '../config/config.ts';
import type { Destination, RateLimit } from '../domain/destination.ts';
import type { FieldMappings } from '../domain/event.ts';
import type { RecordHeader, Recovered } from '../domain/record.ts';
import type { EndpointNotice } from './endpoint.ts';

/** A limit that lanes share. */
export interface SharedLimit {
  readonly limit: RateLimit;
  /** The bucket itself, with a holder for each lane: see `limit/shared-token-bucket.ts`. */
  readonly memory: SharedArrayBuffer;
}

/** What a lane is started with. */
export interface LaneTask {
  readonly lane: number;
  readonly port: MessagePort;
  readonly counters: SharedArrayBuffer;
  readonly destinations: readonly Destination[];
  readonly delivery: DeliveryConfig;
  readonly ledger: LedgerConfig;
  readonly fields: FieldMappings & {
    /** Whose records have the mapping of the topic they were moved from; their headers tell it. */
    readonly rekeyedTopic?: string | null;
  };
  readonly limits: LimitsConfig;
  /** Of tenants that are spread over lanes and have a limit. */
  readonly spreadLimits: ReadonlyMap<string, SharedLimit>;
  /** Of the delay topics, ascending. */
  readonly retryDelaysMs: readonly number[];
  /** Null: a producer's duplicates are not looked for. */
  readonly duplicates: DuplicatesConfig | null;
  /** Of the source topics whose records are not first attempts. */
  readonly classes: LanesConfig['classes'];
  /** Of the classes of work in a lane. */
  readonly weights: ClassWeights;
  /** How many lanes the process has: each gets an equal part of what a channel may send. */
  readonly lanes: number;
  /** Which process wrote a ledger row. */
  readonly instance: string;
}

/** Main → lane. Messages arrive in order, so a definition always precedes its first use. */
export type ToLane =
  /** A writer schema that later batches refer to by id. */
  | { readonly kind: 'schema'; readonly id: number; readonly source: string }
  /** An assignment that later batches refer to by number. */
  | {
      readonly kind: 'assignment';
      readonly assignment: number;
      readonly topic: string;
      readonly partition: number;
      /** Its topic is a delay topic: each record names the one delivery that is tried again. */
      readonly isRetry: boolean;
      /** What a former owner delivered and did not commit, to be skipped. */
      readonly recovered: Recovered;
    }
  /** Packed records; the buffer is transferred. */
  | { readonly kind: 'batch'; readonly buffer: ArrayBuffer; readonly count: number }
  /** These assignments have ended: forget what was not sent yet, and report nothing as done. */
  | { readonly kind: 'abandon'; readonly assignments: readonly number[] }
  /** What part of all partitions this process has, 0…1: its part of what a channel may send. */
  | { readonly kind: 'share'; readonly share: number }
  /** No more batches; close connections and end. */
  | { readonly kind: 'close' };

/** Lane → main. */
export type FromLane = Settled | { readonly kind: 'ready' };

/** What a lane finished since its last message, in order. */
export interface Settled {
  readonly kind: 'settled';
  /** TSV rows of the ledger's tables, encoded in the lane; null when there are none. */
  readonly attempts: Uint8Array<ArrayBuffer> | null;
  readonly attemptRows: number;
  readonly events: Uint8Array<ArrayBuffer> | null;
  readonly eventRows: number;
  /**
   * Pairs (assignment, sequence) whose deliveries have all ended: done once these rows are durable. A lane lets go of
   * a record in no other way while its assignment lasts: main gives whatever is not here to the lane's next thread.
   */
  readonly records: Uint32Array<ArrayBuffer>;
  readonly handovers: readonly Handover[];
  /** For the operator. */
  readonly notices: readonly DestinationNotice[];
  /** What the lane let go of: done and abandoned records alike. */
  readonly releasedRecords: number;
  readonly releasedBytes: number;
}

/** A record or delivery that leaves by a Kafka topic; its record stays open until the broker has it. */
export interface Handover {
  readonly to: 'dead_letter' | 'bad_event' | 'retry';
  readonly assignment: number;
  readonly sequence: number;
  readonly key: Uint8Array<ArrayBuffer> | null;
  readonly value: Uint8Array<ArrayBuffer> | null;
  /** The record's own headers, then ours. */
  readonly headers: readonly RecordHeader[];
  /** `retry` only: not before this, Unix epoch milliseconds; 0 otherwise. */
  readonly dueAtMs: number;
  /** One TSV row of `attempts` that is true once the broker has the hand-over; null when there is none. */
  readonly row: Uint8Array<ArrayBuffer> | null;
}

/** What has become of a destination of a tenant. */
export interface DestinationNotice {
  readonly tenant: string;
  readonly destination: string;
  readonly notice: EndpointNotice;
}
