import {
  AttemptRows,
  EventRows,
  type AttemptRow,
  type EncodedRecord,
  type EventRow,
} from '../ledger/rows.ts';
import type { DestinationNotice, Handover, Settled } from './protocol.ts';
import type { OpenRecord } from './open-record.ts';

/** It is posted when it has this much of anything, or when the lane ticks. */
const FULL_ROW_BYTES = 256 * 1024;
const FULL_RECORDS = 1_000;

/**
 * What a lane has finished and main has not heard of: ledger rows, already
 * encoded; records that are done; hand-overs. It leaves as one message, in the
 * order in which things ended, so that a record's rows never follow its end.
 */
export class Outbox {
  readonly #post: (message: Settled, transfer: ArrayBuffer[]) => void;
  readonly #attempts = new AttemptRows();
  readonly #events = new EventRows();
  #records: number[] = [];
  #handovers: Handover[] = [];
  #notices: DestinationNotice[] = [];
  #releasedRecords = 0;
  #releasedBytes = 0;

  constructor(post: (message: Settled, transfer: ArrayBuffer[]) => void) {
    this.#post = post;
  }

  attempt(encodedRecord: EncodedRecord, row: AttemptRow): void {
    this.#attempts.append(encodedRecord, row);
  }

  event(encodedRecord: EncodedRecord, row: EventRow): void {
    this.#events.append(encodedRecord, row);
  }

  handover(handover: Handover): void {
    this.#handovers.push(handover);
  }

  notice(notice: DestinationNotice): void {
    this.#notices.push(notice);
  }

  /** All deliveries of the record have ended. */
  done({ origin }: OpenRecord): void {
    this.#records.push(origin.assignment.id, origin.sequence);
    this.letGo(origin.bytes);
  }

  /** The record is given up, not done: its assignment has ended. */
  abandoned({ origin }: OpenRecord): void {
    this.letGo(origin.bytes);
  }

  /** A record of this size is not the lane's any more. */
  letGo(bytes: number): void {
    this.#releasedRecords++;
    this.#releasedBytes += bytes;
  }

  postIfFull(): void {
    const rowBytes = this.#attempts.bytes + this.#events.bytes;
    if (rowBytes >= FULL_ROW_BYTES || this.#releasedRecords >= FULL_RECORDS) this.post();
  }

  post(): void {
    if (this.#isEmpty) return;
    const attempts = this.#attempts.take();
    const events = this.#events.take();
    const records = Uint32Array.from(this.#records);
    const transfer: ArrayBuffer[] = [records.buffer];
    if (attempts !== null) transfer.push(attempts.bytes.buffer);
    if (events !== null) transfer.push(events.bytes.buffer);
    this.#post(
      {
        kind: 'settled',
        attempts: attempts?.bytes ?? null,
        attemptRows: attempts?.rows ?? 0,
        events: events?.bytes ?? null,
        eventRows: events?.rows ?? 0,
        records,
        handovers: this.#handovers,
        notices: this.#notices,
        releasedRecords: this.#releasedRecords,
        releasedBytes: this.#releasedBytes,
      },
      transfer,
    );
    this.#records = [];
    this.#handovers = [];
    this.#notices = [];
    this.#releasedRecords = 0;
    this.#releasedBytes = 0;
  }

  get #isEmpty(): boolean {
    const holdsRows = this.#attempts.rows > 0 || this.#events.rows > 0;
    const holdsOthers = this.#handovers.length > 0 || this.#notices.length > 0;
    return !holdsRows && !holdsOthers && this.#releasedRecords === 0;
  }
}
