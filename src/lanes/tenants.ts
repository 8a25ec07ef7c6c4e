import type { RouteTable, TenantRoutes } from '../route/route-table.ts';
import type { Destination } from '../domain/destination.ts';
import { partOfDestination } from '../domain/spread.ts';
import type { DeliveryQueue } from './delivery-queue.ts';
import { TenantLoad } from './tenant-load.ts';
import type { TokenTurns } from './token-turns.ts';

/** Beyond this many tenants a lane forgets those that are at rest. */
const REMEMBERED_TENANTS = 10_000;

/** What a tenant's queues share. */
export interface TenantParts {
  readonly load: TenantLoad;
  /** Of all of its destinations together; null when it has no limit. */
  readonly turns: TokenTurns | null;
  /** When its partition was assigned, monotonic: before that another process may have sent. */
  readonly sinceMs: number;
}

/** Part 0 … parts − 1 of a tenant's destinations; 0 of 1 where the tenant is in one lane. */
export interface LanePart {
  readonly part: number;
  readonly parts: number;
}

/** Of a tenant that is in one lane. */
const WHOLE: LanePart = { part: 0, parts: 1 };

/** What tenants are made of. */
export interface TenantMakers {
  openTurns(tenant: string, sinceMs: number): TokenTurns | null;
  openQueue(destination: Destination, parts: TenantParts): DeliveryQueue;
}

/** A tenant in its lane: its routes, its limit, and the queue of each destination it ever used. */
export class Tenant {
  readonly routes: TenantRoutes;
  readonly load: TenantLoad;
  /** Partition number its records come from; with that partition it leaves this process. */
  readonly partition: number;
  readonly #queues: (DeliveryQueue | undefined)[] = [];
  readonly #lanePart: LanePart;
  readonly #parts: TenantParts;
  readonly #makers: TenantMakers;

  /** @param lanePart which part of its destinations is here. */
  constructor(
    routes: TenantRoutes,
    partition: number,
    lanePart: LanePart,
    parts: TenantParts,
    makers: TenantMakers,
  ) {
    this.routes = routes;
    this.partition = partition;
    this.#lanePart = lanePart;
    this.load = parts.load;
    this.#parts = parts;
    this.#makers = makers;
  }

  /** Whether a destination is in this lane. @param index of one of `routes.destinations`. */
  has(index: number): boolean {
    return isOfPart(index, this.#lanePart);
  }

  /** @param index of one of `routes.destinations`. */
  queue(index: number): DeliveryQueue {
    const known = this.#queues[index];
    if (known !== undefined) return known;
    const queue = this.#makers.openQueue(this.routes.destinations[index] as Destination, this.#parts);
    this.#queues[index] = queue;
    return queue;
  }

  /** Undefined when the tenant has no such destination any more. */
  queueOf(destinationId: string): DeliveryQueue | undefined {
    const index = this.routes.destinations.findIndex(({ id }) => id === destinationId);
    return index < 0 ? undefined : this.queue(index);
  }

  *queues(): Generator<DeliveryQueue> {
    for (const queue of this.#queues) if (queue !== undefined) yield queue;
  }

  /** Whether forgetting it would lose nothing, not even the state of a bucket. */
  isAtRest(nowMs: number): boolean {
    return (
      (this.#parts.turns?.bucket.isFull(nowMs) ?? true) &&
      this.#queues.every((queue) => queue === undefined || (queue.isIdle && queue.endpoint.isPristine(nowMs)))
    );
  }
}

/** The tenants of one lane, bounded: only this lane ever knows anything about them. */
export class Tenants {
  readonly #routes: RouteTable;
  readonly #makers: TenantMakers;
  readonly #nowMs: () => number;
  readonly #tenants = new Map<string, Tenant>();
  #sweepAt = REMEMBERED_TENANTS;

  constructor(routes: RouteTable, makers: TenantMakers, nowMs: () => number) {
    this.#routes = routes;
    this.#makers = makers;
    this.#nowMs = nowMs;
  }

  /**
   * @param partition number of the partition that brings it now.
   * @param sinceMs when that partition was assigned, monotonic.
   * @param lanePart which part of the tenant is in this lane; the same as long as the process lasts.
   */
  get(name: string, partition: number, sinceMs: number, lanePart: LanePart = WHOLE): Tenant {
    const known = this.#tenants.get(name);
    if (known !== undefined) return known;
    if (this.#tenants.size >= this.#sweepAt) this.#forgetResting();
    const routes = this.#routes.forTenant(name);
    const here = routes.destinations.filter((_, index) => isOfPart(index, lanePart));
    const load = new TenantLoad(name, here.length);
    const parts = { load, turns: this.#makers.openTurns(name, sinceMs), sinceMs };
    const { part, parts: ofParts } = lanePart;
    const tenant = new Tenant(routes, partition, { part, parts: ofParts }, parts, this.#makers);
    this.#tenants.set(name, tenant);
    return tenant;
  }

  *queues(): Generator<DeliveryQueue> {
    for (const tenant of this.#tenants.values()) yield* tenant.queues();
  }

  /** A partition number has left this process: what is known of its tenants is another's to know now. */
  forgetPartition(partition: number): void {
    for (const [name, tenant] of this.#tenants)
      if (tenant.partition === partition) this.#tenants.delete(name);
  }

  #forgetResting(): void {
    const nowMs = this.#nowMs();
    for (const [name, tenant] of this.#tenants) if (tenant.isAtRest(nowMs)) this.#tenants.delete(name);
    // Tenants that are busy stay; the next sweep waits until as many again have come, or it would run for every one.
    this.#sweepAt = Math.max(REMEMBERED_TENANTS, this.#tenants.size * 2);
  }
}

function isOfPart(index: number, { part, parts }: LanePart): boolean {
  return partOfDestination(index, parts) === part;
}
