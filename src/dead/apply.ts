import type { Clock } from '../domain/clock.ts';
import { messageOf } from '../domain/errors.ts';
import { factsOf, placeText } from './dead-letter.ts';
import type { DeadLetter, DeadLetterFacts } from './dead-letter.ts';
import type { DeadLetterPlan } from './plan.ts';
import { retryRecordOf } from './retry-record.ts';
import type { EncodeHeaders, RetryRecord } from './retry-record.ts';
import { scanDeadLetters } from './scan.ts';
import type { MarkedState, ScanParts } from './scan.ts';

/** What is handed over and not marked yet, at most: what a crash can make happen twice. */
const BATCH_LETTERS = 200;
const BATCH_MS = 1_000;
const BATCH_BYTES = 8 * 1024 * 1024;
const PLACES_NAMED = 5;
const DONE = Promise.resolve();

export interface ApplyParts extends ScanParts {
  /** Writes the state of these dead letters into the ledger; resolves once it is durable. */
  mark(letters: readonly DeadLetterFacts[], state: MarkedState): Promise<void>;
  /** Ends it after the letters in hand. */
  readonly stop: AbortSignal;
  /** Told how many letters of the plan are done. */
  onProgress(done: number): void;
}

/** A token bucket. Times are monotonic milliseconds. */
interface Tokens {
  waitMs(nowMs: number): number;
  tryReserve(nowMs: number): boolean;
  spend(nowMs: number): void;
}

export interface RedriveParts extends ApplyParts {
  /** Resolves once the broker has the record, rejects when it will not take it. */
  readonly handOver: (record: RetryRecord) => Promise<void>;
  readonly encodeHeaders: EncodeHeaders;
  /** What a redrive may hand over; of `limit/`. */
  readonly bucket: Tokens;
  readonly clock: Clock;
  /** Rejects never; may end early when stopped. */
  readonly sleep: (ms: number, stop: AbortSignal) => Promise<void>;
}

/**
 * Marks the plan's dead letters as given up.
 * @returns how many were marked.
 * @throws Error when the ledger does not take a mark.
 */
export async function drop(plan: DeadLetterPlan, parts: ApplyParts): Promise<number> {
  let done = 0;
  let batch: DeadLetterFacts[] = [];
  const flush = async (): Promise<void> => {
    if (batch.length > 0) await parts.mark(batch, 'dropped');
    done += batch.length;
    batch = [];
    parts.onProgress(done);
  };
  await scanDeadLetters(plan.places.spans(), parts, async (letter, state) => {
    if (state !== 'open' || !plan.places.has(letter.place)) return true;
    batch.push(factsOf(letter));
    if (batch.length >= BATCH_LETTERS) await flush();
    return !parts.stop.aborted;
  });
  await flush();
  return done;
}

export interface Redriven {
  /** Dead letters that are `redriven` now. */
  readonly letters: number;
  /** Deliveries that were handed over for them. */
  readonly deliveries: number;
}

/**
 * Hands each delivery of the plan over to be tried again, once, and then marks its
 * dead letters: never before the broker has it, so none is lost, and in small batches,
 * so that a crash between the two repeats at most the last one.
 *
 * @throws Error for the first one that broker or ledger does not take; all before it are done.
 */
export async function redrive(plan: DeadLetterPlan, parts: RedriveParts): Promise<Redriven> {
  const batch = new RedriveBatch(parts);
  const handedOver = new Set<string>();
  await scanDeadLetters(plan.places.spans(), parts, async (letter, state) => {
    if (state !== 'open' || !plan.places.has(letter.place)) return true;
    if (handedOver.has(letter.deliveryId)) {
      await batch.addTwin(letter);
    } else {
      await batch.makeRoom();
      if (parts.stop.aborted) return false;
      handedOver.add(letter.deliveryId);
      batch.add(letter);
    }
    return !parts.stop.aborted;
  });
  await batch.flush();
  return batch.redriven;
}

/** Letters that were handed over, from the first until all of them are marked. */
class RedriveBatch {
  readonly redriven = { letters: 0, deliveries: 0 };
  readonly #parts: RedriveParts;
  #letters: { readonly letter: DeadLetterFacts; readonly ack: Promise<void> | null }[] = [];
  #bytes = 0;
  #sinceMs = 0;

  constructor(parts: RedriveParts) {
    this.#parts = parts;
  }

  /** Waits for a token; marks first what would wait too long with it. */
  async makeRoom(): Promise<void> {
    const { bucket, clock, sleep, stop } = this.#parts;
    const waitMs = bucket.waitMs(clock.monotonicMs());
    const isFull = this.#letters.length >= BATCH_LETTERS || this.#bytes >= BATCH_BYTES;
    if (isFull || clock.monotonicMs() + waitMs - this.#sinceMs >= BATCH_MS) await this.flush();
    while (!stop.aborted && !bucket.tryReserve(clock.monotonicMs()))
      await sleep(bucket.waitMs(clock.monotonicMs()), stop);
  }

  add(letter: DeadLetter): void {
    const { handOver, encodeHeaders, clock, bucket } = this.#parts;
    if (this.#letters.length === 0) this.#sinceMs = clock.monotonicMs();
    const ack = handOver(retryRecordOf(letter, clock.wallMs(), encodeHeaders));
    // Looked at in `flush`; until then a refusal must not count as one that nobody handles.
    ack.catch(() => undefined);
    bucket.spend(clock.monotonicMs());
    this.#bytes += letter.value?.length ?? 0;
    this.#letters.push({ letter: factsOf(letter), ack });
    this.redriven.deliveries++;
  }

  /** A dead letter whose delivery is handed over already: it is marked with it. */
  async addTwin(letter: DeadLetter): Promise<void> {
    if (this.#letters.length >= BATCH_LETTERS) await this.flush();
    this.#letters.push({ letter: factsOf(letter), ack: null });
  }

  async flush(): Promise<void> {
    const batch = this.#letters;
    this.#letters = [];
    this.#bytes = 0;
    if (batch.length === 0) return;
    const acks = await Promise.allSettled(batch.map(({ ack }) => ack ?? DONE));
    const refused = acks.find((ack) => ack.status === 'rejected');
    const refusedIds = new Set(
      batch.filter((_, i) => acks[i]?.status === 'rejected').map(({ letter }) => letter.deliveryId),
    );
    const taken = batch.map(({ letter }) => letter).filter(({ deliveryId }) => !refusedIds.has(deliveryId));
    await this.#mark(taken);
    if (refused !== undefined) throw new Error(`the broker refused a retry: ${messageOf(refused.reason)}`);
  }

  async #mark(letters: readonly DeadLetterFacts[]): Promise<void> {
    try {
      if (letters.length > 0) await this.#parts.mark(letters, 'redriven');
    } catch (error) {
      const named = letters.slice(0, PLACES_NAMED).map(({ place }) => placeText(place));
      const more = letters.length > named.length ? ', …' : '';
      throw new Error(
        `${letters.length} dead letters were handed over and not marked, so the next redrive repeats them (${named.join(', ')}${more}): ${messageOf(error)}`,
        { cause: error },
      );
    }
    this.redriven.letters += letters.length;
    this.#parts.onProgress(this.redriven.letters);
  }
}
