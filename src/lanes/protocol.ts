/**
 * Everything that crosses between main and a lane thread: two closed unions, and
 * the layout of the packed batch. Nothing else is posted on a lane's port.
 */
import type { MessagePort } from 'node:worker_threads';
import type { DeliveryConfig, LedgerConfig } from '../config/config.ts';
import type { Destination } from '../domain/destination.ts';
import type { FieldMapping } from '../domain/event.ts';
import type { RecordHeader, Recovered } from '../domain/record.ts';

/** What a lane is started with. */
export interface LaneTask {
  readonly lane: number;
  readonly port: MessagePort;
  readonly counters: SharedArrayBuffer;
  readonly destinations: readonly Destination[];
  readonly delivery: DeliveryConfig;
  readonly ledger: LedgerConfig;
  readonly fields: {
    readonly default: FieldMapping;
    readonly byTopic: Readonly<Record<string, FieldMapping>>;
  };
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
      /** What a former owner delivered and did not commit, to be skipped. */
      readonly recovered: Recovered;
    }
  /** Packed records; the buffer is transferred. */
  | { readonly kind: 'batch'; readonly buffer: ArrayBuffer; readonly count: number }
  /** These assignments have ended: forget what was not sent yet, and report nothing as done. */
  | { readonly kind: 'abandon'; readonly assignments: readonly number[] }
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
  /** Pairs (assignment, sequence) whose deliveries have all ended: done once these rows are durable. */
  readonly records: Uint32Array<ArrayBuffer>;
  readonly handovers: readonly Handover[];
  /** What the lane let go of: done and abandoned records alike. */
  readonly releasedRecords: number;
  readonly releasedBytes: number;
}

/** A record or delivery that leaves by a Kafka topic; its record stays open until the broker has it. */
export interface Handover {
  readonly to: 'dead_letter' | 'bad_event';
  readonly assignment: number;
  readonly sequence: number;
  readonly key: Uint8Array<ArrayBuffer> | null;
  readonly value: Uint8Array<ArrayBuffer> | null;
  /** The record's own headers, then ours. */
  readonly headers: readonly RecordHeader[];
}
