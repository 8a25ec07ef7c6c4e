/** Nothing more of a tenant is decoded while each of its destinations has its part of so many deliveries waiting. */
const WAITING_OF_TENANT = 32;
/**
 * Or so many wait beyond those parts, or behind others of their key. They are many more, since a destination that is
 * slow or a key that is stuck should hold up nothing else; the tenant's share of the lane bounds their bytes.
 */
const BACKLOG_OF_TENANT = 1_024;
const RESUMED_BACKLOG = 960;

/** How much of a tenant is decoded and waits for its turn, over all of its destinations. */
export class TenantLoad {
  readonly tenant: string;
  /** Nothing more of it is decoded for now. */
  isParked = false;
  /** A queue's part of what may wait. */
  readonly part: number;
  readonly #destinations: number;
  #fullQueues = 0;
  #waiting = 0;
  #backlog = 0;

  /** @param destinations how many it has. */
  constructor(tenant: string, destinations: number) {
    this.tenant = tenant;
    this.#destinations = Math.max(1, destinations);
    this.part = Math.max(1, Math.floor(WAITING_OF_TENANT / this.#destinations));
  }

  /** Deliveries that wait, in whatever way. */
  get deliveries(): number {
    return this.#waiting + this.#backlog;
  }

  /** Whether no more of it should be decoded. */
  get isFull(): boolean {
    const isAtBound = this.#waiting >= WAITING_OF_TENANT;
    return isAtBound || this.#fullQueues >= this.#destinations || this.#backlog >= BACKLOG_OF_TENANT;
  }

  /** Whether a parked tenant may go on; later than it stopped being full, so that it does not stop and go with each delivery. */
  get mayGoOn(): boolean {
    return !this.isFull && this.#backlog <= RESUMED_BACKLOG;
  }

  onWaiting(change: 1 | -1): void {
    this.#waiting += change;
  }

  onBacklog(change: 1 | -1): void {
    this.#backlog += change;
  }

  onQueueFull(change: 1 | -1): void {
    this.#fullQueues += change;
  }
}

/** What of it waits in the queue of one destination, for a token, a slot, a connection. */
export class QueueLoad {
  readonly #tenant: TenantLoad;
  #waiting = 0;
  #isFull = false;

  constructor(tenant: TenantLoad) {
    this.#tenant = tenant;
  }

  /** @returns whether it came on top of the queue's part. */
  add(): boolean {
    this.#waiting++;
    if (this.#waiting > this.#tenant.part) {
      this.#tenant.onBacklog(1);
      return true;
    }
    this.#tenant.onWaiting(1);
    if (this.#waiting === this.#tenant.part && !this.#isFull) {
      this.#isFull = true;
      this.#tenant.onQueueFull(1);
    }
    return false;
  }

  /** @returns whether what is left is one less on top of the queue's part. */
  remove(): boolean {
    this.#waiting--;
    if (this.#waiting >= this.#tenant.part) {
      this.#tenant.onBacklog(-1);
      return true;
    }
    this.#tenant.onWaiting(-1);
    // Full until half of it has left, so that a tenant is not parked and unparked with each delivery.
    if (this.#isFull && this.#waiting * 2 <= this.#tenant.part) {
      this.#isFull = false;
      this.#tenant.onQueueFull(-1);
    }
    return false;
  }
}
