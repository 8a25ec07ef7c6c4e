/**
 * Tells a thread that spins or hangs by its heartbeat, a number that grows with
 * every tick of its event loop. It counts looks, not time: a process that was
 * suspended looks once afterwards, by when its threads have ticked again.
 */
export class StallWatch {
  readonly #maxLooks: number;
  #last = -1;
  #looks = 0;

  /** @param maxLooks so many looks in a row that see no beat mean that it is stalled. */
  constructor(maxLooks: number) {
    this.#maxLooks = maxLooks;
  }

  /** @returns whether the thread is stalled. */
  look(heartbeat: number): boolean {
    if (heartbeat !== this.#last) {
      this.#last = heartbeat;
      this.#looks = 0;
      return false;
    }
    return ++this.#looks >= this.#maxLooks;
  }

  /** For another thread. */
  reset(): void {
    this.#last = -1;
    this.#looks = 0;
  }
}
