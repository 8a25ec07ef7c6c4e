import type { TopicPartition, TopicPartitionOffset } from '../../src/domain/record.ts';
import type { RetryHeaders } from '../../src/domain/retry-headers.ts';
import { decodeRetryHeaders } from '../../src/retry/retry-headers.ts';
import type { BrokerMember } from './broker-member.ts';
import { placeOf, type BrokerWitness, type FakeBroker, type StoredRecord } from './fake-broker.ts';
import type { LedgerWitness, Row } from './fake-ledger.ts';
import { BAD_EVENTS, DEAD_LETTERS, DELAYS, deliveriesOf, eventOf, MAX_ATTEMPTS, SOURCE } from './scenario.ts';
import type { Owner, VirtualTime } from './virtual-time.ts';

/** One assignment of a partition to one life of a process. */
export interface Epoch {
  readonly process: Owner & { readonly instance: string };
  readonly topic: string;
  readonly partition: number;
  /** When the ledger was asked what is settled; what it stored later was not known. */
  readonly recoveredAtMs: number;
}

/** Whose work a hand-over is: the record it comes of, under the epoch that read it. */
export interface Origin {
  readonly epoch: Epoch;
  readonly offset: number;
  /** A record that only waits on. */
  readonly isHop: boolean;
}

/** A way in which a delivery left its record: a 2xx, or a record in another topic. */
interface Exit {
  readonly origin: Origin;
  readonly how: 'delivered' | 'retry' | 'dead_letter' | 'bad_event' | 'hop';
  readonly atMs: number;
  readonly isAnswerLost: boolean;
}

/** Duplicates by the window of GUARANTEES.md that explains them. */
export const WINDOWS = ['ambiguous', 'crash_or_revocation', 'hand_over_answer_lost'] as const;

/**
 * Watches broker, ledger and receivers, and knows nothing of the processes but what
 * they do there. Everything that must never happen is a line in `violations`.
 */
export class Judge implements BrokerWitness, LedgerWitness {
  readonly violations: string[] = [];
  readonly windows: Record<(typeof WINDOWS)[number], number> = {
    ambiguous: 0,
    crash_or_revocation: 0,
    hand_over_answer_lost: 0,
  };
  readonly seen = {
    deadLetters: 0,
    retries: 0,
    hops: 0,
    breakerOpen: 0,
    skipped: 0,
    duplicates: 0,
    diverted: 0,
  };
  readonly #time: VirtualTime;
  /** What becomes of each source record, by its place; see `deliveriesOf`. */
  readonly #events = new Map<string, readonly string[]>();
  readonly #retries = new Map<string, RetryHeaders>();
  /** Places of records of delay topics that say the same of a delivery; any one of them stands for the others. */
  readonly #twins = new Map<string, (TopicPartitionOffset & Pick<RetryHeaders, 'hops'>)[]>();
  readonly #exits = new Map<string, Exit[]>();
  /** When rows that settle a delivery of a record were stored. */
  readonly #settled = new Map<string, number[]>();
  readonly #finals = new Set<string>();
  /** Rows that are in the ledger or the overflow, and those that are in the ledger. */
  readonly #durable = new Set<string>();
  readonly #stored = new Set<string>();
  readonly #requests = new Set<string>();
  readonly #taken = new Map<string, number>();
  readonly #questions = new Map<Owner, Map<string, number>>();

  constructor(time: VirtualTime) {
    this.#time = time;
  }

  accuse(what: string): void {
    this.violations.push(`${String(this.#time.nowMs)} ms: ${what}`);
  }

  // The broker's side.

  onStored(
    topic: string,
    partition: number,
    { offset, value, headers }: StoredRecord,
    by: BrokerMember | null,
    produced: Uint8Array | null,
    isAnswerLost: boolean,
  ): void {
    const place = `${placeOf(topic, partition)}/${String(offset)}`;
    if (by === null) {
      this.#events.set(place, deliveriesOf(eventOf(Buffer.from(value!).toString())));
      return;
    }
    const origin = this.origins.get(produced!.buffer);
    if (origin === undefined) {
      this.accuse(`${place} comes of no record`);
      return;
    }
    if (topic === BAD_EVENTS) {
      this.#exit(origin, '', 'bad_event', isAnswerLost);
      return;
    }
    if (topic === DEAD_LETTERS) {
      this.seen.deadLetters++;
      const id = headers.find(([name]) => name === 'eventdispatch-delivery-id')?.[1];
      if (id === undefined) this.accuse(`${place} does not tell its delivery`);
      else this.#exit(origin, Buffer.from(id).toString(), 'dead_letter', isAnswerLost);
      return;
    }
    const retry = decodeRetryHeaders(headers);
    if ('problem' in retry) {
      this.accuse(`${place} has headers with a problem: ${retry.problem}`);
      return;
    }
    if (origin.isHop) this.seen.hops++;
    else this.seen.retries++;
    this.#exit(origin, retry.deliveryId, origin.isHop ? 'hop' : 'retry', isAnswerLost);
    this.#retries.set(place, retry);
    const twins = this.#twins.get(wordsOf(retry)) ?? [];
    this.#twins.set(wordsOf(retry), [...twins, { topic, partition, offset, hops: retry.hops }]);
    this.#checkCount(origin, retry, place);
  }

  onCommitted({ topic, partition, offset }: TopicPartitionOffset, before: number): void {
    if (offset < before)
      this.accuse(`the commit of ${placeOf(topic, partition)} goes back from ${before} to ${offset}`);
    for (const record of this.broker.log(topic, partition).records) {
      if (record.offset < before || record.offset >= offset) continue;
      const place = `${placeOf(topic, partition)}/${String(record.offset)}`;
      for (const delivery of this.#deliveriesAt(place)) {
        if (!this.#isDurable(place, delivery))
          this.accuse(`${place} is committed and not durable (${delivery})`);
      }
    }
  }

  /** Set right after both sides exist. */
  broker!: FakeBroker;
  /** By the process and the number of the assignment. */
  readonly epochs = new Map<string, Epoch>();
  /** Whose work a produced value is, by the memory that it is in. */
  readonly origins = new WeakMap<ArrayBufferLike, Origin>();

  // The ledger's side.

  onRow(row: Row, text: string): void {
    this.#durable.add(text);
    if (row.outcome === 'breaker_open') this.seen.breakerOpen++;
    if (row.outcome === 'duplicate') this.seen.duplicates++;
    const place = placeOfRow(row);
    const key = `${place} ${row.delivery_id}`;
    if (row.hand_over !== '' && !(this.#exits.get(key) ?? []).some(({ how }) => how === row.hand_over)) {
      this.accuse(`a row says ${row.hand_over} of ${key}, and the broker has none`);
    }
    if (row.class !== '' && !this.#requests.has(`${row.instance} ${row.delivery_id} ${row.attempted_at}`)) {
      this.accuse(`a row is about a request that nobody made: ${text}`);
    }
    const isFinal = row.is_final === '1';
    if (isFinal) this.#finals.add(row.delivery_id === '' ? place : row.delivery_id);
    if (!isFinal && row.hand_over === '') return;
    const settled = this.#settled.get(key) ?? [];
    const epoch = this.epochs.get(`${row.instance} ${row.epoch}`)!;
    if (settled.some((atMs) => atMs < epoch.recoveredAtMs))
      this.accuse(`${key} ends as ${row.outcome}, and the ledger knew that it was settled`);
    settled.push(this.#time.nowMs);
    this.#settled.set(key, settled);
  }

  onInserted(text: string): void {
    if (this.#stored.has(text)) this.accuse(`a row is there twice: ${text}`);
    this.#stored.add(text);
  }

  onTokenReused(token: string): void {
    this.accuse(`another batch came under the token of an earlier one: ${token}`);
  }

  onQuery(by: Owner, { topic, partition }: TopicPartition): void {
    const asked = this.#questions.get(by) ?? new Map<string, number>();
    this.#questions.set(by, asked.set(placeOf(topic, partition), this.#time.nowMs));
  }

  /** When this process asked last what is settled of a partition. */
  askedAtMs(by: Owner, { topic, partition }: TopicPartition): number {
    return this.#questions.get(by)?.get(placeOf(topic, partition)) ?? this.#time.nowMs;
  }

  // The receivers' side.

  /** @param attemptedAt as the row will say it. */
  onRequest({ epoch, offset }: Origin, member: BrokerMember, delivery: string, attemptedAt: string): void {
    const place = `${placeOf(epoch.topic, epoch.partition)}/${String(offset)}`;
    this.#requests.add(`${epoch.process.instance} ${delivery} ${attemptedAt}`);
    const owner = this.broker.owners[epoch.partition];
    if (owner !== null && owner !== member)
      this.accuse(`${epoch.process.instance} sends ${place}, which is another's`);
    const retry = this.#retries.get(place);
    if (retry !== undefined && this.#time.wallMs() < retry.dueMs)
      this.accuse(`${place} is sent before it is due`);
  }

  /** The receiver has taken it, whatever the process hears. */
  onTaken(delivery: string): void {
    this.#taken.set(delivery, (this.#taken.get(delivery) ?? 0) + 1);
  }

  /** The process has heard a 2xx. */
  onDelivered(origin: Origin, delivery: string): void {
    this.#exit(origin, delivery, 'delivered', false);
  }

  // In the end.

  /** Deliveries, and records without one, that have no final outcome yet. */
  unfinished(): string[] {
    const left: string[] = [];
    for (const [place, deliveries] of this.#events) {
      for (const id of deliveries) if (!this.#finals.has(id === '' ? place : id)) left.push(`${place} ${id}`);
    }
    return left;
  }

  /** Partitions whose last record is not committed. */
  uncommitted(): string[] {
    return [SOURCE, ...DELAYS.keys()].flatMap((topic) =>
      this.broker.owners.flatMap((_, partition) => {
        const last = this.broker.log(topic, partition).records.at(-1);
        const isBehind = last !== undefined && this.broker.committedOf({ topic, partition }) <= last.offset;
        return isBehind ? [placeOf(topic, partition)] : [];
      }),
    );
  }

  judgeTheEnd(): void {
    for (const left of this.unfinished()) this.accuse(`${left} has no final outcome`);
    for (const row of this.#durable)
      if (!this.#stored.has(row)) this.accuse(`a row was durable and is gone: ${row}`);
    for (const left of this.uncommitted()) this.accuse(`${left} is not committed to its end`);
    for (const [key, exits] of this.#exits) this.#judgeExits(key, exits);
    for (const [, times] of this.#taken) if (times > 1) this.windows.ambiguous += times - 1;
  }

  /** A record of a delivery has one exit. For each further one there must be a reason. */
  #judgeExits(key: string, exits: readonly Exit[]): void {
    for (let i = 1; i < exits.length; i++) {
      const [first, second] = [exits[i - 1]!, exits[i]!];
      if (first.isAnswerLost && first.origin === second.origin) this.windows.hand_over_answer_lost++;
      else if (first.origin.epoch !== second.origin.epoch) this.windows.crash_or_revocation++;
      else {
        const say = ({ how, atMs, origin }: Exit): string =>
          `${how} at ${atMs} by ${origin.epoch.process.instance}`;
        this.accuse(`${key} left twice in no window: ${say(first)}, ${say(second)}`);
      }
    }
  }

  #exit(origin: Origin, delivery: string, how: Exit['how'], isAnswerLost: boolean): void {
    const { epoch, offset } = origin;
    const key = `${placeOf(epoch.topic, epoch.partition)}/${String(offset)} ${delivery}`;
    const exits = this.#exits.get(key) ?? [];
    exits.push({ origin, how, atMs: this.#time.nowMs, isAnswerLost });
    this.#exits.set(key, exits);
    const known = (this.#settled.get(key) ?? []).some((atMs) => atMs < epoch.recoveredAtMs);
    if (known) this.accuse(`${key} leaves as ${how}, and the ledger knew that it was settled`);
  }

  #checkCount({ epoch, offset, isHop }: Origin, retry: RetryHeaders, place: string): void {
    const from = this.#retries.get(`${placeOf(epoch.topic, epoch.partition)}/${String(offset)}`);
    const before = from?.attempts ?? 0;
    if (retry.attempts < before || retry.attempts > before + (isHop ? 0 : 1))
      this.accuse(`${place} counts ${retry.attempts} attempts after ${before}`);
    if (retry.attempts >= MAX_ATTEMPTS) this.accuse(`${place} has no attempt left`);
    if (from !== undefined && from.firstSeenMs !== retry.firstSeenMs)
      this.accuse(`${place} was first seen anew`);
  }

  #deliveriesAt(place: string): readonly string[] {
    const deliveries = this.#events.get(place);
    if (deliveries !== undefined) return deliveries;
    const retry = this.#retries.get(place);
    return retry === undefined ? [] : [retry.deliveryId];
  }

  #isDurable(place: string, delivery: string): boolean {
    const key = `${place} ${delivery}`;
    // The row of a duplicate names no delivery.
    if (this.#settled.has(key) || this.#settled.has(`${place} `)) return true;
    if ((this.#exits.get(key) ?? []).some(({ how }) => how === 'hop')) return true;
    const retry = this.#retries.get(place);
    return retry !== undefined && this.#hasTwin(place, retry);
  }

  /**
   * Another record says the same, and waits to be read or has been dealt with. One of another number of hops has not
   * been dealt with by its hop, which may have made the very record that is asked about.
   */
  #hasTwin(place: string, retry: RetryHeaders): boolean {
    return (this.#twins.get(wordsOf(retry)) ?? []).some(({ topic, partition, offset, hops }) => {
      const other = `${placeOf(topic, partition)}/${String(offset)}`;
      if (other === place) return false;
      const key = `${other} ${retry.deliveryId}`;
      return (
        offset >= this.broker.committedOf({ topic, partition }) ||
        this.#settled.has(key) ||
        (hops === retry.hops && (this.#exits.get(key) ?? []).some(({ how }) => how === 'hop'))
      );
    });
  }
}

function wordsOf({ deliveryId, attempts, dueMs }: RetryHeaders): string {
  return `${deliveryId} ${String(attempts)} ${String(dueMs)}`;
}

function placeOfRow(row: Row): string {
  return row.retry_topic === ''
    ? `${row.topic}/${row.partition}/${row.offset}`
    : `${row.retry_topic}/${row.retry_partition}/${row.retry_offset}`;
}
