import { encodeBody } from '../deliver/body.ts';
import type { BodyFormat } from '../domain/destination.ts';
import type { Event, FieldMapping } from '../domain/event.ts';
import type { Recovered } from '../domain/record.ts';

/** An assignment as a lane knows it; once ended, nothing of it is sent or reported as done. */
export interface LaneAssignment {
  readonly id: number;
  readonly topic: string;
  readonly partition: number;
  readonly mapping: FieldMapping;
  /** What a former owner delivered; null once the partition is past it. */
  recovered: Recovered | null;
  ended: boolean;
}

/** Where a record stands on Kafka, and its bytes as they came. */
export interface RecordOrigin {
  readonly assignment: LaneAssignment;
  readonly sequence: number;
  readonly offset: number;
  readonly timestampMs: number;
  /** What admission counted for it. */
  readonly bytes: number;
}

/** A record a lane works on, from its batch until the last of its deliveries has ended. */
export class OpenRecord {
  readonly origin: RecordOrigin;
  /** Deliveries that have not ended. */
  deliveriesLeft = 0;
  /** What all of its ledger rows begin with; see `ledger/rows.ts`. */
  encodedRow = '';
  key: Buffer | null;
  /** Packed as in `domain/packed-headers.ts`. */
  headers: Buffer | null;
  value: Buffer | null;
  #cloudEventsBody: Buffer | null = null;
  #detached = false;

  constructor(origin: RecordOrigin, key: Buffer | null, headers: Buffer | null, value: Buffer | null) {
    this.origin = origin;
    this.key = key;
    this.headers = headers;
    this.value = value;
  }

  /** The request body of its event, encoded once however many destinations share it. */
  body(event: Event, format: BodyFormat): Buffer {
    if (format === 'data') return event.data;
    this.#cloudEventsBody ??= encodeBody(event, format);
    return this.#cloudEventsBody;
  }

  /**
   * Copies its bytes out of the batch. They are views on it until then, and a
   * record that waits would keep the memory of the whole batch alive.
   */
  detach(): void {
    if (this.#detached) return;
    this.#detached = true;
    this.key = this.key && Buffer.from(this.key);
    this.headers = this.headers && Buffer.from(this.headers);
    this.value = this.value && Buffer.from(this.value);
  }
}
