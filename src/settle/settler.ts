import { limits } from '../domain/limits.ts';

/** What a lane reports, as settling needs it. */
export interface SettledWork {
  readonly attempts: Uint8Array<ArrayBuffer> | null;
  readonly attemptRows: number;
  readonly events: Uint8Array<ArrayBuffer> | null;
  readonly eventRows: number;
  readonly records: Uint32Array<ArrayBuffer>;
  readonly handovers: readonly { readonly assignment: number; readonly sequence: number }[];
  readonly releasedRecords: number;
  readonly releasedBytes: number;
}

/** A hand-over that the broker has. */
export interface DurableHandover {
  readonly assignment: number;
  readonly sequence: number;
  /** One TSV row of `attempts`; null when there is none. */
  readonly row: Uint8Array<ArrayBuffer> | null;
}

export interface SettlerOptions<Work extends SettledWork> {
  /** The frontiers: what is held is not durable. */
  readonly records: {
    hold(assignment: number, sequence: number): void;
    release(assignment: number, sequence: number): void;
  };
  /** What a lane has let go of makes room. */
  readonly admission: {
    /** By its size, whatever it is. */
    release(lane: number, records: number, bytes: number): void;
    /** Of whom it was: pairs (assignment, sequence) of records that are done. */
    settle(pairs: Uint32Array): void;
  };
  readonly ledger: {
    add(chunk: Pick<SettledWork, 'attempts' | 'attemptRows' | 'events' | 'eventRows' | 'records'>): void;
    readonly pendingBytes: number;
  };
  readonly handovers: {
    add(handover: Work['handovers'][number]): void;
    readonly stats: { readonly pendingRecords: number; readonly pendingBytes: number };
  };
}

/**
 * Where what a lane reports becomes durable. A record is held open by its
 * admission and once more by each hand-over; the ledger's ack releases the former,
 * the broker's ack the latter. Hand-overs are counted before the rows go on, so
 * that a record can never look durable between the two.
 *
 * A hand-over that has a ledger row gives it to the ledger at the broker's ack, not
 * before, so that the row is true whenever it is read; the ledger's ack then
 * releases what the hand-over held.
 */
export class Settler<Work extends SettledWork> {
  readonly #options: SettlerOptions<Work>;

  constructor(options: SettlerOptions<Work>) {
    this.#options = options;
  }

  /** Whether what waits to become durable is below its bounds, so that more may be admitted. */
  hasRoom(): boolean {
    const { ledger, handovers } = this.#options;
    return (
      ledger.pendingBytes < limits.ledgerPendingMaxBytes &&
      handovers.stats.pendingRecords < limits.handoverPendingRecords &&
      handovers.stats.pendingBytes < limits.handoverPendingBytes
    );
  }

  onSettled(lane: number, work: Work): void {
    const { records, handovers, ledger, admission } = this.#options;
    for (const handover of work.handovers) {
      records.hold(handover.assignment, handover.sequence);
      handovers.add(handover);
    }
    // The ledger may give the pairs away.
    admission.settle(work.records);
    ledger.add(work);
    admission.release(lane, work.releasedRecords, work.releasedBytes);
  }

  /** The ledger has acknowledged the rows of these records: pairs (assignment, sequence). */
  onLedgerAck(pairs: Uint32Array): void {
    for (let i = 0; i < pairs.length; i += 2) {
      this.#options.records.release(pairs[i] as number, pairs[i + 1] as number);
    }
  }

  /** The broker has a hand-over of this record; `row` is what the ledger may now be told of it. */
  onHandoverAck({ assignment, sequence, row }: DurableHandover): void {
    if (row === null) {
      this.#options.records.release(assignment, sequence);
      return;
    }
    this.#options.ledger.add({
      attempts: row,
      attemptRows: 1,
      events: null,
      eventRows: 0,
      records: Uint32Array.of(assignment, sequence),
    });
  }
}
