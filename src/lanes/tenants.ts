import type { RouteTable, TenantRoutes } from '../route/route-table.ts';
import type { Destination } from '../domain/destination.ts';
import type { DeliveryQueue } from './delivery-queue.ts';

/** Beyond this many tenants a lane forgets those that are at rest. */
const REMEMBERED_TENANTS = 10_000;

/** A tenant in its lane: its routes, and the queue of each destination it ever used. */
export class Tenant {
  readonly routes: TenantRoutes;
  readonly #queues: (DeliveryQueue | undefined)[] = [];
  readonly #openQueue: (destination: Destination) => DeliveryQueue;

  constructor(routes: TenantRoutes, openQueue: (destination: Destination) => DeliveryQueue) {
    this.routes = routes;
    this.#openQueue = openQueue;
  }

  /** @param index of one of `routes.destinations`. */
  queue(index: number): DeliveryQueue {
    const known = this.#queues[index];
    if (known !== undefined) return known;
    const queue = this.#openQueue(this.routes.destinations[index] as Destination);
    this.#queues[index] = queue;
    return queue;
  }

  *queues(): Generator<DeliveryQueue> {
    for (const queue of this.#queues) if (queue !== undefined) yield queue;
  }

  /** Whether forgetting it would lose nothing, not even the state of a bucket. */
  isAtRest(nowMs: number): boolean {
    return this.#queues.every(
      (queue) => queue === undefined || (queue.isIdle && (queue.bucket?.isFull(nowMs) ?? true)),
    );
  }
}

/** The tenants of one lane, bounded: only this lane ever knows anything about them. */
export class Tenants {
  readonly #routes: RouteTable;
  readonly #openQueue: (destination: Destination) => DeliveryQueue;
  readonly #nowMs: () => number;
  readonly #tenants = new Map<string, Tenant>();
  #sweepAt = REMEMBERED_TENANTS;

  constructor(
    routes: RouteTable,
    openQueue: (destination: Destination) => DeliveryQueue,
    nowMs: () => number,
  ) {
    this.#routes = routes;
    this.#openQueue = openQueue;
    this.#nowMs = nowMs;
  }

  get(name: string): Tenant {
    const known = this.#tenants.get(name);
    if (known !== undefined) return known;
    if (this.#tenants.size >= this.#sweepAt) this.#forgetResting();
    const tenant = new Tenant(this.#routes.forTenant(name), this.#openQueue);
    this.#tenants.set(name, tenant);
    return tenant;
  }

  *queues(): Generator<DeliveryQueue> {
    for (const tenant of this.#tenants.values()) yield* tenant.queues();
  }

  #forgetResting(): void {
    const nowMs = this.#nowMs();
    for (const [name, tenant] of this.#tenants) if (tenant.isAtRest(nowMs)) this.#tenants.delete(name);
    // Tenants that are busy stay; the next sweep waits until as many again have come, or it would run for every one.
    this.#sweepAt = Math.max(REMEMBERED_TENANTS, this.#tenants.size * 2);
  }
}
