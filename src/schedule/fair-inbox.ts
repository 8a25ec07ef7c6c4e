import type { Priority } from '../domain/destination.ts';
import type { WorkClass } from '../domain/work-class.ts';
import { EntryStore } from './entry-store.ts';
import { TenantQueue } from './tenant-queue.ts';
import type { Flow, Weights } from './tenant-queue.ts';

export interface FairInboxOptions<Tenant> {
  /**
   * Bytes a tenant of weight 1 may take in one turn, > 0. Several usual records:
   * with less, turns cost more than what they order; with more, a tenant waits longer for its own.
   */
  readonly quantumBytes: number;
  /** A tenant's share, > 0; asked when the tenant becomes known. */
  readonly tenantWeight: (tenant: Tenant) => number;
  readonly weights: Weights;
}

/** Objects of forgotten tenants that are kept for others, so that tenants that come and go make no garbage. */
const SPARE_TENANTS = 4096;

/**
 * What a lane holds packed and has not decoded yet, taken fairly: `add` what has
 * come, `next`, then read the fields of the entry taken.
 *
 * Tenants take turns (deficit round-robin, in bytes, with debt): a turn adds
 * quantum × weight to what the tenant may take and lasts until that is used up, the
 * last entry taken in full; what it took too much is a debt, which its next turns
 * pay first. So, whatever the others hold:
 *
 * - a tenant without debt that gets an entry, or is unparked, has its turn after at
 *   most one turn of each other, and in that turn the other takes less than
 *   quantum × weight bytes plus one entry;
 * - of two tenants that have always something, neither gets ahead of the other, in
 *   bytes over weight, by more than one quantum and one entry of each.
 *
 * Inside a tenant its classes share, and the priorities of a class (`TenantQueue`);
 * entries of the same tenant, class and priority leave in the order they came in.
 *
 * A tenant is always in one of three states: *forgotten*; *in the ring*, with
 * entries, or without until its turn has come and its debt is paid; *parked*, out
 * of the ring, with entries or without.
 *
 *   forgotten ── add ──► in the ring ── park ──► parked
 *        │ ▲                │   ▲                 ▲  │
 *        │ └── turn, empty ─┘   └───── unpark ────┼──┘
 *        └──────────────── park ──────────────────┘
 *
 * Each operation takes constant time, but for debts: one takes bytes / (quantum ×
 * weight) turns to pay. How many entries there are is for admission to bound.
 */
export class FairInbox<Batch, Tenant extends string | number = string> {
  readonly #options: FairInboxOptions<Tenant>;
  readonly #entries = new EntryStore<Batch>();
  readonly #tenants = new Map<Tenant, TenantQueue<Batch, Tenant>>();
  readonly #spare: TenantQueue<Batch, Tenant>[] = [];
  /** Whose turn it is; null when the ring is empty. What joins the ring joins it before this one, as the last. */
  #turn: TenantQueue<Batch, Tenant> | null = null;
  #size = 0;
  /** Entries of tenants in the ring. */
  #ready = 0;

  #batch: Batch | null = null;
  #recordIndex = 0;
  #position = 0;
  #bytes = 0;
  #tenant: Tenant | null = null;
  #flow: Flow | null = null;

  /** @throws RangeError when the quantum or a weight is not a number above 0. */
  constructor(options: FairInboxOptions<Tenant>) {
    const { classes, priorities } = options.weights;
    const weights = [...Object.values(classes), ...Object.values(priorities)];
    for (const n of [options.quantumBytes, ...weights]) assertPositive(n);
    this.#options = options;
  }

  /** Entries held, those of parked tenants included. */
  get size(): number {
    return this.#size;
  }

  /** Tenants that are not forgotten. */
  get tenants(): number {
    return this.#tenants.size;
  }

  /** Batches that entries keep alive; one whose entries were not added in a row may count more than once. */
  get batches(): number {
    return this.#entries.batches;
  }

  /**
   * @param recordIndex of the record in its batch.
   * @param position of its first payload byte in its batch.
   * @param bytes its size; an empty one counts as one byte.
   * @throws RangeError when the tenant's weight is not a number above 0.
   */
  add(
    batch: Batch,
    recordIndex: number,
    position: number,
    bytes: number,
    tenant: Tenant,
    workClass: WorkClass,
    priority: Priority,
  ): void {
    const queue = this.#tenants.get(tenant) ?? this.#remember(tenant, false);
    queue.add(this.#entries.put(batch, recordIndex, position, bytes), workClass, priority);
    this.#size++;
    if (!queue.isParked) this.#ready++;
  }

  /**
   * Takes the next entry of the tenants that are not parked. The getters below tell
   * it until the next call, and keep its batch alive until then.
   *
   * @returns false when there is none.
   */
  next(): boolean {
    const queue = this.#queueInTurn();
    if (queue === null) {
      this.#batch = null;
      return false;
    }
    const flow = queue.first();
    queue.deficit -= queue.costBytes(flow);
    const entry = queue.shift(flow);
    this.#size--;
    this.#ready--;
    const entries = this.#entries;
    this.#batch = entries.batch(entry);
    this.#recordIndex = entries.recordIndex(entry);
    this.#position = entries.position(entry);
    this.#bytes = entries.bytes(entry);
    this.#tenant = queue.name;
    this.#flow = flow;
    entries.release(entry);
    return true;
  }

  get batch(): Batch {
    return this.#batch as Batch;
  }

  get recordIndex(): number {
    return this.#recordIndex;
  }

  get position(): number {
    return this.#position;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get tenant(): Tenant {
    return this.#tenant as Tenant;
  }

  get workClass(): WorkClass {
    return (this.#flow as Flow).queue.workClass;
  }

  get priority(): Priority {
    return (this.#flow as Flow).priority;
  }

  /**
   * From now on nothing is taken of this tenant, nor of what is added to it, until
   * it is unparked. It loses the rest of its turn, and keeps its debt.
   */
  park(tenant: Tenant): void {
    const queue = this.#tenants.get(tenant);
    if (queue === undefined) {
      this.#remember(tenant, true);
    } else if (!queue.isParked) {
      this.#unlink(queue);
      queue.isParked = true;
      queue.deficit = Math.min(queue.deficit, 0);
      this.#ready -= queue.size;
    }
  }

  /** Puts a parked tenant back into the ring, as its last; of another nothing changes. */
  unpark(tenant: Tenant): void {
    const queue = this.#tenants.get(tenant);
    if (queue?.isParked !== true) return;
    queue.isParked = false;
    this.#ready += queue.size;
    this.#link(queue);
  }

  /**
   * Moves every entry into one batch, since one that is left over keeps all of its
   * old batch alive. What is next stays the same.
   *
   * @param place copies a record as the nth of the new batch, n counting its calls
   *   from 0, and returns the position of the record's first payload byte there.
   */
  repack(
    into: Batch,
    place: (batch: Batch, recordIndex: number, position: number, bytes: number) => number,
  ): void {
    const entries = this.#entries;
    let count = 0;
    const moveEntry = (entry: number): void => {
      const batch = entries.batch(entry);
      const position = place(
        batch,
        entries.recordIndex(entry),
        entries.position(entry),
        entries.bytes(entry),
      );
      entries.move(entry, into, count++, position);
    };
    for (const queue of this.#tenants.values()) queue.forEach(moveEntry);
  }

  /** Passes the turn on to who has an entry and may take it. */
  #queueInTurn(): TenantQueue<Batch, Tenant> | null {
    if (this.#ready === 0) {
      // Nobody waits, so nobody is owed what a debt stands for.
      while (this.#turn !== null) this.#forget(this.#turn);
      return null;
    }
    for (;;) {
      const queue = this.#turn as TenantQueue<Batch, Tenant>;
      if (queue.size > 0 && queue.deficit > 0) return queue;
      if (queue.size === 0 && queue.deficit >= 0) this.#forget(queue);
      else this.#beginTurn(queue.next);
    }
  }

  #beginTurn(queue: TenantQueue<Batch, Tenant>): void {
    this.#turn = queue;
    queue.deficit += queue.turnBytes;
  }

  #remember(tenant: Tenant, isParked: boolean): TenantQueue<Batch, Tenant> {
    const { tenantWeight, quantumBytes, weights } = this.#options;
    const weight = tenantWeight(tenant);
    assertPositive(weight);
    const queue = this.#spare.pop() ?? new TenantQueue(tenant, this.#entries, weights);
    queue.name = tenant;
    queue.turnBytes = weight * quantumBytes;
    queue.deficit = 0;
    queue.isParked = isParked;
    this.#tenants.set(tenant, queue);
    if (!isParked) this.#link(queue);
    return queue;
  }

  /** To be called on an empty queue in the ring. */
  #forget(queue: TenantQueue<Batch, Tenant>): void {
    this.#unlink(queue);
    this.#tenants.delete(queue.name);
    if (this.#spare.length < SPARE_TENANTS) this.#spare.push(queue);
  }

  #link(queue: TenantQueue<Batch, Tenant>): void {
    const turn = this.#turn;
    if (turn === null) {
      this.#beginTurn(queue);
      return;
    }
    queue.previous = turn.previous;
    queue.next = turn;
    turn.previous.next = queue;
    turn.previous = queue;
  }

  #unlink(queue: TenantQueue<Batch, Tenant>): void {
    const { next, previous } = queue;
    previous.next = next;
    next.previous = previous;
    queue.next = queue;
    queue.previous = queue;
    if (this.#turn !== queue) return;
    if (next === queue) this.#turn = null;
    else this.#beginTurn(next);
  }
}

function assertPositive(n: number): void {
  if (!(n > 0 && n < Infinity)) throw new RangeError(`a quantum or weight is ${n}, not a number above 0`);
}
