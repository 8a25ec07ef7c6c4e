import { limits } from '../../src/domain/limits.ts';
import type { TopicPartition, TopicPartitionOffset } from '../../src/domain/record.ts';
import type { LedgerPart } from '../../src/ledger/batch-sender.ts';
import { LEDGER_COLUMNS, type LedgerTable } from '../../src/ledger/columns.ts';
import { HeldDeliveries } from '../../src/overflow/held-deliveries.ts';
import type { Faults } from './faults.ts';
import type { Owner, VirtualTime } from './virtual-time.ts';

type AttemptColumn = (typeof LEDGER_COLUMNS.attempts)[number][0];

/** A row of `attempts` as the text of its cells. */
export type Row = Readonly<Record<AttemptColumn, string>>;

export interface LedgerWitness {
  /** It is durable: in the ledger or in the overflow. */
  onRow(row: Row, text: string): void;
  /** The ledger has it. */
  onInserted(text: string): void;
  onTokenReused(token: string): void;
  /** Nothing that is stored from now on is known to who asked. */
  onQuery(by: Owner, place: TopicPartition): void;
}

interface Step {
  onStep(): void;
}

interface SeenBounds {
  readonly since: number;
  readonly now: number;
  readonly limit: number;
}

interface Found {
  readonly partition: number;
  readonly places: readonly number[];
  /** Of each place. */
  readonly ids: readonly (readonly string[])[];
}

/** What makes a delivery settled, as the question has it. */
const SETTLED = "(is_final OR hand_over != '')";

/** What makes an event seen, as the question has it. */
const SEEN = "AND event_id != ''";
const NO_DUPLICATES = "AND outcome != 'duplicate'";

const COLUMNS = LEDGER_COLUMNS.attempts.map(([name]) => name);

/**
 * A ledger, with an overflow topic before it in half of all seeds, that outlives every process: it stores what comes under one token once, whatever it
 * is, and answers the questions of `app/recovery.ts` and `app/seen-events.ts`.
 */
export class FakeLedger {
  readonly rows: Row[] = [];
  isDown = false;
  readonly hasOverflow: boolean;
  readonly #time: VirtualTime;
  readonly #faults: Faults;
  readonly #witness: LedgerWitness;
  readonly #tokens = new Map<string, string>();
  readonly #stored = new Set<string>();
  readonly #overflow: { readonly table: LedgerTable; readonly text: string; readonly token: string }[] = [];

  constructor(time: VirtualTime, faults: Faults, witness: LedgerWitness) {
    this.hasOverflow = faults.random.chance(0.5);
    this.#time = time;
    this.#faults = faults;
    this.#witness = witness;
  }

  insert(
    owner: Owner & Step,
    table: LedgerTable,
    pieces: readonly Uint8Array[],
    token: string,
  ): Promise<void> {
    const text = Buffer.concat(pieces).toString();
    const faults = this.#faults;
    return new Promise((resolve, reject) => {
      this.#time.at(faults.latencyMs(60), null, () => {
        const error = this.#refusal();
        const isLate = error === null && faults.happens('insertComesLate');
        if (isLate) this.#time.at(faults.latencyMs(3_000), null, () => this.#store(table, text, token));
        else if (error === null) this.#store(table, text, token);
        owner.onStep();
        const isLost = isLate || faults.happens('insertAnswerLost');
        this.#time.at(faults.latencyMs(20), owner, () => {
          if (error !== null || isLost) reject(error ?? new Error('socket hang up'));
          else resolve();
        });
      });
    });
  }

  query<T>(owner: Owner, sql: string, params: Readonly<Record<string, unknown>> = {}): Promise<T[]> {
    const answer = this.#answerTo(sql, params);
    const topic = params['topic'] as string;
    const places: TopicPartitionOffset[] = [];
    for (let i = 0; `p${i}` in params; i++)
      places.push({ topic, partition: params[`p${i}`] as number, offset: params[`o${i}`] as number });
    return new Promise((resolve, reject) => {
      this.#time.at(this.#faults.latencyMs(60), null, () => {
        const isRefused = this.isDown || this.#faults.happens('queryFails');
        const found = isRefused ? [] : places.flatMap((place) => answer(owner, place));
        this.#time.at(this.#faults.latencyMs(20), owner, () => {
          if (isRefused) reject(new Error('connect ECONNREFUSED'));
          else resolve(found as T[]);
        });
      });
    });
  }

  #answerTo(
    sql: string,
    params: Readonly<Record<string, unknown>>,
  ): (by: Owner, place: TopicPartitionOffset) => unknown[] {
    const isRetry = sql.includes("retry_topic != ''");
    if (sql.includes('FROM attempts') && (isRetry || sql.includes("retry_topic = ''"))) {
      if (sql.includes(SETTLED))
        return (by, place) => {
          // Where there is an overflow it was read before, and what was not durable then may not be known.
          if (!this.hasOverflow) this.#witness.onQuery(by, place);
          return this.#settledFrom(place, isRetry);
        };
      if (sql.includes(SEEN))
        return (_by, place) =>
          this.#seenFrom(place, params as unknown as SeenBounds, sql.includes(NO_DUPLICATES));
    }
    throw new Error(`the fake ledger does not know this question: ${sql}`);
  }

  #refusal(): Error | null {
    if (this.isDown || this.#faults.happens('insertRefused')) return new Error('connect ECONNREFUSED');
    return this.#faults.happens('insertAlarms') ? new Error('Code: 60. Unknown table') : null;
  }

  /** Offers a part to the overflow topic. */
  put(owner: Owner & Step, { table, pieces, token }: LedgerPart): Promise<void> {
    const text = Buffer.concat(pieces).toString();
    const faults = this.#faults;
    return new Promise((resolve, reject) => {
      this.#time.at(faults.latencyMs(40), null, () => {
        const isRefused = faults.happens('putRefused');
        if (!isRefused) this.#overflow.push({ table, text, token });
        if (!isRefused) this.#witnessOnce(table, text, token);
        owner.onStep();
        const isLost = !isRefused && faults.happens('putAnswerLost');
        this.#time.at(faults.latencyMs(20), owner, () => {
          if (isRefused || isLost) reject(new Error('Local: Message timed out'));
          else resolve();
        });
      });
    });
  }

  /** What the overflow topic holds and the ledger has not, as `overflow/undrained.ts` reads it. */
  undrained(owner: Owner, places: readonly TopicPartitionOffset[]): Promise<HeldDeliveries> {
    return new Promise((resolve, reject) => {
      this.#time.at(this.#faults.latencyMs(40), null, () => {
        const isRefused = this.#faults.happens('queryFails');
        const held = new HeldDeliveries(places, limits.uncommittedRecords);
        for (const { table, text } of this.#overflow)
          if (table === 'attempts') held.add(Buffer.from(text), COLUMNS);
        if (!isRefused) for (const place of places) this.#witness.onQuery(owner, place);
        this.#time.at(this.#faults.latencyMs(20), owner, () => {
          if (isRefused) reject(new Error('Local: Timed out'));
          else resolve(held);
        });
      });
    });
  }

  /** Parts that wait in the overflow. */
  get waiting(): number {
    return this.#overflow.length;
  }

  /** Inserts the oldest part that waits, and a while later takes it out, again and again. */
  drain(): void {
    this.#time.at(this.#faults.latencyMs(200), null, () => {
      const [oldest] = this.#overflow;
      if (oldest === undefined || this.#refusal() !== null) {
        this.drain();
        return;
      }
      this.#store(oldest.table, oldest.text, oldest.token);
      this.#time.at(this.#faults.latencyMs(100), null, () => {
        this.#overflow.shift();
        this.drain();
      });
    });
  }

  #store(table: LedgerTable, text: string, token: string): void {
    this.#witnessOnce(table, text, token);
    const name = `${table} ${token}`;
    if (this.#stored.has(name)) return;
    this.#stored.add(name);
    if (table !== 'attempts') return;
    for (const line of linesOf(text)) {
      this.rows.push(rowOf(line));
      this.#witness.onInserted(line);
    }
  }

  /** What comes first under a token is durable from now on; what comes later under it must be the same. */
  #witnessOnce(table: LedgerTable, text: string, token: string): void {
    const name = `${table} ${token}`;
    const known = this.#tokens.get(name);
    if (known !== undefined) {
      if (known !== text) this.#witness.onTokenReused(name);
      return;
    }
    this.#tokens.set(name, text);
    if (table === 'attempts') for (const line of linesOf(text)) this.#witness.onRow(rowOf(line), line);
  }

  /** The SQL of `app/recovery.ts`, by hand. */
  #settledFrom({ topic, partition, offset }: TopicPartitionOffset, isRetry: boolean): Found[] {
    const found = new Map<number, Set<string>>();
    for (const row of this.rows) {
      const place = Number(isRetry ? row.retry_offset : row.offset);
      const isHere = isRetry
        ? row.retry_topic === topic && Number(row.retry_partition) === partition
        : row.topic === topic && Number(row.partition) === partition && row.retry_topic === '';
      if (!isHere || place < offset || (row.is_final !== '1' && row.hand_over === '')) continue;
      const ids = found.get(place) ?? new Set();
      found.set(place, ids.add(row.delivery_id));
    }
    return found.size === 0
      ? []
      : [{ partition, places: [...found.keys()], ids: [...found.values()].map((ids) => [...ids]) }];
  }

  /** The SQL of `app/seen-events.ts`, by hand. */
  #seenFrom(
    { topic, partition, offset }: TopicPartitionOffset,
    { since, now, limit }: SeenBounds,
    isFirstOnly: boolean,
  ): unknown[] {
    const firsts = new Map<
      string,
      { tenant: string; eventId: string; firstOffset: number; firstMs: number }
    >();
    for (const row of this.rows) {
      // Seconds, with three decimals.
      const attemptedMs = Number(row.attempted_at.replace('.', ''));
      if (row.topic !== topic || Number(row.partition) !== partition || row.retry_topic !== '') continue;
      if (Number(row.offset) < offset || attemptedMs < since) continue;
      if (row.event_id === '' || (isFirstOnly && row.outcome === 'duplicate')) continue;
      const name = `${row.tenant} ${row.event_id}`;
      const known = firsts.get(name);
      firsts.set(name, {
        tenant: row.tenant,
        eventId: row.event_id,
        firstOffset: Math.min(known?.firstOffset ?? Infinity, Number(row.offset)),
        firstMs: Math.min(known?.firstMs ?? Infinity, attemptedMs),
      });
    }
    const newest = [...firsts.values()].toSorted((a, b) => b.firstMs - a.firstMs).slice(0, limit);
    return newest.map(({ firstMs, ...first }) => ({ ...first, partition, ageMs: now - firstMs }));
  }
}

function linesOf(text: string): string[] {
  return text.split('\n').filter((line) => line !== '');
}

function rowOf(line: string): Row {
  const cells = line.split('\t');
  const row = {} as Record<AttemptColumn, string>;
  for (const [i, column] of COLUMNS.entries()) row[column] = cells[i] ?? '';
  return row;
}
