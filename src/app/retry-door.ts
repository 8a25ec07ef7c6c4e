import type { Clock } from '../domain/clock.ts';
import { SeenEvents } from '../duplicates/seen-events.ts';
import type { Retries } from '../ingest/retries.ts';
import { isHopNeeded } from '../retry/delay-choice.ts';
import type { HandoverProducer } from '../retry/handover-producer.ts';
import { decodeRetryHeaders, encodeRetryHeaders } from '../retry/retry-headers.ts';

/** Longer than the longest delay, since a copy comes as late as what it is one of. */
const REMEMBERED_MS = 48 * 3_600_000;
/** Some megabytes. What is forgotten costs a repeat, no loss. */
const MOST_REMEMBERED = 100_000;

/**
 * What intake asks about records of delay topics.
 *
 * A process that dies between the broker's ack of a hop and the commit reads the hopped
 * record again and makes a copy; so does an ack that is lost. Copies that waited in
 * topics would each be copied again at the next crash, and soon be many. So of the
 * records that say the same of a delivery, its attempts and when it is due, one is tried,
 * and of those that have hopped as often one hops: the first one read, as long as this
 * process owns its partition. One that a dead process had let hop is past its time when
 * it is read again, so it is tried, and what it had become, perhaps several hops of it, is
 * a copy.
 */
export class RetryDoor implements Retries {
  readonly isHopNeeded = isHopNeeded;
  copies = 0;
  readonly #handovers: Pick<HandoverProducer, 'add'>;
  readonly #clock: Clock;
  readonly #seen = new SeenEvents({ windowMs: REMEMBERED_MS, maxRemembered: MOST_REMEMBERED });

  constructor(handovers: Pick<HandoverProducer, 'add'>, clock: Clock) {
    this.#handovers = handovers;
    this.#clock = clock;
  }

  begin(assignment: number): void {
    this.#seen.begin(assignment, undefined, this.#clock.monotonicMs());
  }

  end(assignment: number): void {
    this.#seen.end(assignment);
  }

  read: Retries['read'] = (headers) => {
    const retry = decodeRetryHeaders(headers);
    return 'problem' in retry ? null : retry;
  };

  isCopy: Retries['isCopy'] = ({ deliveryId, attempts, dueMs, hops }, isHop, assignment, offset) => {
    const place = `${attempts}/${dueMs}/${isHop ? hops : 'tried'}`;
    const isCopy = this.#seen.see(deliveryId, place, assignment, offset, this.#clock.monotonicMs());
    if (isCopy) this.copies++;
    return isCopy;
  };

  hop: Retries['hop'] = ({ note, ...hop }) => {
    const headers = encodeRetryHeaders({ ...note, hops: note.hops + 1 }, hop.headers);
    this.#handovers.add({ ...hop, headers, to: 'retry', row: null });
  };
}
