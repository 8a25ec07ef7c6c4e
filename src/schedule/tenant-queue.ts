import { PRIORITIES, type Priority } from '../domain/destination.ts';
import { WORK_CLASSES, type WorkClass } from '../domain/work-class.ts';
import { NO_ENTRY } from './entry-store.ts';
import type { EntryStore } from './entry-store.ts';

/** How a tenant's part is divided; all > 0. */
export interface Weights {
  /** Among the classes that have something. */
  readonly classes: Readonly<Record<WorkClass, number>>;
  /** Among the priorities of one class that have something. */
  readonly priorities: Readonly<Record<Priority, number>>;
}

/** Entries of one tenant, class and priority, first in first out. */
export class Flow {
  readonly queue: ClassQueue;
  readonly priority: Priority;
  /** Virtual time per byte: one over the weight. */
  readonly cost: number;
  head = NO_ENTRY;
  tail = NO_ENTRY;
  /** Virtual time at which its head starts: when the one before was done, or when the head came, if later. */
  start = 0;

  constructor(queue: ClassQueue, priority: Priority, weight: number) {
    this.queue = queue;
    this.priority = priority;
    this.cost = 1 / weight;
  }
}

/** One class of one tenant: is to the tenant what a flow is to it. */
class ClassQueue {
  readonly workClass: WorkClass;
  readonly flows: readonly Flow[];
  readonly cost: number;
  start = 0;
  size = 0;
  /** Virtual time among its flows: when the last of the entries taken was done. */
  now = 0;

  constructor(workClass: WorkClass, weights: Weights) {
    this.workClass = workClass;
    this.cost = 1 / weights.classes[workClass];
    this.flows = PRIORITIES.map((priority) => new Flow(this, priority, weights.priorities[priority]));
  }
}

/**
 * The entries of one tenant. Its classes share what the tenant gets by their
 * weights, and the priorities of a class share that in the same way (self-clocked
 * fair queueing): `first` is the flow whose head would be done first if all were
 * served at once, each at its weight. Of equals it is the class named first in
 * `WorkClass`, and high before normal before low. Of two that always have
 * something, neither gets ahead of the other, in bytes over weight, by more than an
 * entry of each; one that had nothing for a while has saved nothing up.
 */
export class TenantQueue<Batch, Tenant> {
  name: Tenant;
  size = 0;
  readonly #entries: EntryStore<Batch>;
  readonly #weights: Weights;
  /** By class; made when first used, since most tenants have first attempts only. */
  readonly #classes: (ClassQueue | null)[] = [null, null, null, null];
  /** Virtual time among its classes. */
  #now = 0;

  // The rest is the inbox's.
  /** Bytes that a turn adds to the deficit. */
  turnBytes = 0;
  /** Bytes it may take still; > 0 in its own turn only. Below 0, by an entry at most, it is a debt. */
  deficit = 0;
  isParked = false;
  previous: TenantQueue<Batch, Tenant> = this;
  next: TenantQueue<Batch, Tenant> = this;

  constructor(name: Tenant, entries: EntryStore<Batch>, weights: Weights) {
    this.name = name;
    this.#entries = entries;
    this.#weights = weights;
  }

  add(entry: number, workClass: WorkClass, priority: Priority): void {
    const queue = this.#class(workClass);
    const flow = queue.flows[PRIORITIES.indexOf(priority)] as Flow;
    if (flow.head === NO_ENTRY) {
      flow.head = entry;
      if (flow.start < queue.now) flow.start = queue.now;
      if (queue.size === 0 && queue.start < this.#now) queue.start = this.#now;
    } else {
      this.#entries.link(flow.tail, entry);
    }
    flow.tail = entry;
    queue.size++;
    this.size++;
  }

  /** The flow whose head is next; there must be an entry. */
  first(): Flow {
    let first: Flow | null = null;
    let earliest = Infinity;
    for (const queue of this.#classes) {
      if (queue === null || queue.size === 0) continue;
      const flow = this.#firstOf(queue);
      if (queue.size === this.size) return flow;
      const done = queue.start + this.costBytes(flow) * queue.cost;
      if (done >= earliest) continue;
      earliest = done;
      first = flow;
    }
    return first as Flow;
  }

  /** Takes the flow's head, which is the caller's to release. */
  shift(flow: Flow): number {
    const { queue, head } = flow;
    const bytes = this.costBytes(flow);
    flow.start += bytes * flow.cost;
    queue.start += bytes * queue.cost;
    // A smaller head may have come in between: it is done before what is done already.
    if (queue.now < flow.start) queue.now = flow.start;
    if (this.#now < queue.start) this.#now = queue.start;
    flow.head = this.#entries.next(head);
    queue.size--;
    this.size--;
    return head;
  }

  /** What taking the flow's head counts for. Nothing is free, or a turn could go on for ever. */
  costBytes(flow: Flow): number {
    return this.#entries.bytes(flow.head) || 1;
  }

  forEach(visit: (entry: number) => void): void {
    for (const queue of this.#classes) {
      for (const flow of queue?.flows ?? []) {
        for (let entry = flow.head; entry !== NO_ENTRY; entry = this.#entries.next(entry)) visit(entry);
      }
    }
  }

  #class(workClass: WorkClass): ClassQueue {
    const index = WORK_CLASSES.indexOf(workClass);
    const known = this.#classes[index] as ClassQueue | null;
    if (known !== null) return known;
    const queue = new ClassQueue(workClass, this.#weights);
    this.#classes[index] = queue;
    return queue;
  }

  #firstOf(queue: ClassQueue): Flow {
    let first: Flow | null = null;
    let earliest = Infinity;
    for (const flow of queue.flows) {
      if (flow.head === NO_ENTRY) continue;
      const done = flow.start + this.costBytes(flow) * flow.cost;
      if (done >= earliest) continue;
      earliest = done;
      first = flow;
    }
    return first as Flow;
  }
}
