import { hash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DeadLetterFacts } from '../../dead/dead-letter.ts';
import type { Mark, MarkedState, MarkSource, Span } from '../../dead/scan.ts';
import type { Clock } from '../../domain/clock.ts';
import type { Destination } from '../../domain/destination.ts';
import type { Ledger } from '../../ledger/client.ts';
import { LedgerError } from '../../ledger/errors.ts';
import { AttemptRows, encodeRecord, NOTHING_SENT } from '../../ledger/rows.ts';

/** A mark that is not taken is sent again so often, under its token, which the ledger stores once. */
const MARK_TRIES = 5;
const RETRY_DELAY_MS = 1_000;

export interface LedgerMarksOptions {
  readonly ledger: Pick<Ledger, 'insert' | 'query'>;
  /** The dead-letter topic. */
  readonly topic: string;
  /** Who writes the marks. */
  readonly instance: string;
  readonly clock: Clock;
  readonly destinations: readonly Pick<Destination, 'id' | 'channel'>[];
}

/**
 * What became of dead letters, as rows of `attempts`: outcome `redriven` or `dropped`, attempt 0
 * since nothing was sent, and the dead letter's place in the `retry_` columns.
 */
export class LedgerMarks implements MarkSource {
  readonly #options: LedgerMarksOptions;

  constructor(options: LedgerMarksOptions) {
    this.#options = options;
  }

  marksOf({ partition, from, end }: Span): Promise<readonly Mark[]> {
    return this.#options.ledger.query<Mark>(
      `SELECT
         retry_offset AS offset,
         argMax(delivery_id, attempted_at) AS deliveryId,
         argMax(outcome, attempted_at) AS state
       FROM attempts
       WHERE retry_topic = {topic:String} AND retry_partition = {partition:UInt32}
         AND retry_offset >= {from:Int64} AND retry_offset < {end:Int64}
         AND outcome IN ('redriven', 'dropped')
       GROUP BY retry_offset`,
      { topic: this.#options.topic, partition, from, end },
    );
  }

  /** Resolves once the ledger has all of them. @throws LedgerError when it does not take them, tried for some seconds. */
  async mark(letters: readonly DeadLetterFacts[], state: MarkedState): Promise<void> {
    const rows = new AttemptRows();
    for (const letter of letters) this.#append(rows, letter, state);
    const taken = rows.take();
    if (taken === null) return;
    const token = hash('sha256', taken.bytes, 'hex');
    for (let tries = 1; ; tries++) {
      try {
        await this.#options.ledger.insert('attempts', [taken.bytes], token);
        return;
      } catch (error) {
        if (tries === MARK_TRIES || !(error instanceof LedgerError) || error.kind === 'fatal') throw error;
        await sleep(RETRY_DELAY_MS * tries);
      }
    }
  }

  #append(rows: AttemptRows, letter: DeadLetterFacts, state: MarkedState): void {
    const { topic, instance, clock, destinations } = this.#options;
    const { source, place } = letter;
    const record = encodeRecord({
      tenant: letter.tenant,
      eventId: letter.eventId,
      eventType: letter.eventType,
      // A dead letter's headers do not tell these two.
      eventTimeMs: 0,
      correlationId: '',
      topic: source.topic,
      partition: source.partition,
      offset: source.offset,
      producedAtMs: source.timestampMs,
      instance,
      lane: 0,
      epoch: 0,
      traceId: '',
    });
    rows.append(record, {
      deliveryId: letter.deliveryId,
      destinationId: letter.destinationId,
      channel: destinations.find(({ id }) => id === letter.destinationId)?.channel ?? '',
      attempt: 0,
      outcome: state,
      isFinal: state === 'dropped',
      reason: letter.reason,
      status: 0,
      attemptedAtMs: clock.wallMs(),
      durationUs: 0,
      nextAttemptAtMs: 0,
      response: '',
      attemptClass: '',
      ambiguous: false,
      handOver: '',
      retryTopic: topic,
      retryPartition: place.partition,
      retryOffset: place.offset,
      ...NOTHING_SENT,
    });
  }
}
