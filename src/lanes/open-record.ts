import { encodeBody } from '../deliver/body.ts';
import type { BodyFormat } from '../domain/destination.ts';
import type { Event } from '../domain/event.ts';
import type { RekeyedFrom } from '../domain/rekeyed-from.ts';
import type { RetryHeaders } from '../domain/retry-headers.ts';
import type { EncodedRecord } from '../ledger/rows.ts';
import type { RecordBytes } from './record-bytes.ts';

const NO_CELLS = new Uint8Array(0);

/** An assignment as a lane knows it; once ended, nothing of it is sent or reported as done. */
export interface LaneAssignment {
  readonly id: number;
  readonly topic: string;
  readonly partition: number;
  /** Its topic is a delay topic. */
  readonly isRetry: boolean;
  /** When it was assigned, monotonic. */
  readonly sinceMs: number;
  /** Ids of what a former owner delivered, by offset; an offset leaves with its record. */
  readonly recovered: Map<number, ReadonlySet<string>>;
  ended: boolean;
}

/** Where a record stands on Kafka, and its bytes as they came. */
export interface RecordOrigin {
  readonly assignment: LaneAssignment;
  readonly sequence: number;
  readonly offset: number;
  readonly timestampMs: number;
  /** Which part of its tenant's destinations it is for, and of how many; 0 of 1 where the tenant is in one lane. */
  readonly part: number;
  readonly parts: number;
  /** What admission counted for it. */
  readonly bytes: number;
}

/** A record a lane works on, from its batch until the last of its deliveries has ended. */
export class OpenRecord {
  readonly origin: RecordOrigin;
  /** The one delivery it is, when it comes from a delay topic. */
  readonly retry: RetryHeaders | null;
  /** Where it was before it was moved to the topic keyed by tenant; null when it was not. */
  rekeyed: RekeyedFrom | null = null;
  /** A part of its batch until it is detached, which it is when it is still open at the next tick of its lane. */
  bytes: RecordBytes;
  /** Deliveries that have not ended. */
  deliveriesLeft = 0;
  /** What all of its ledger rows begin with; see `ledger/rows.ts`. */
  encodedRow: EncodedRecord = NO_CELLS;
  #cloudEventsBody: Buffer | null = null;

  constructor(origin: RecordOrigin, bytes: RecordBytes, retry: RetryHeaders | null) {
    this.origin = origin;
    this.bytes = bytes;
    this.retry = retry;
  }

  /** The topic of the pipeline that its event was first read from, the rekeyed one included; so for the next two. */
  get topic(): string {
    return this.retry === null ? this.origin.assignment.topic : this.retry.sourceTopic;
  }

  get partition(): number {
    return this.retry === null ? this.origin.assignment.partition : this.retry.sourcePartition;
  }

  get offset(): number {
    return this.retry === null ? this.origin.offset : this.retry.sourceOffset;
  }

  get producedAtMs(): number {
    if (this.retry !== null) return this.retry.sourceTimestampMs;
    return this.rekeyed === null ? this.origin.timestampMs : this.rekeyed.timestampMs;
  }

  /**
   * Whether this lane says what is to be said of the event as a whole. Of the copies that a
   * spread tenant's record comes in, the first one does; a retry comes in one.
   */
  get speaksForEvent(): boolean {
    return this.origin.part === 0 || this.origin.assignment.isRetry;
  }

  /** The request body of its event, encoded once however many destinations share it. */
  body(event: Event, format: BodyFormat): Buffer {
    if (format === 'data') return event.data;
    this.#cloudEventsBody ??= encodeBody(event, format);
    return this.#cloudEventsBody;
  }

  /** Copies its bytes out of the batch, all of whose memory a record that waits would keep alive. To be called once. */
  detach(): void {
    this.bytes = this.bytes.copy();
  }
}
