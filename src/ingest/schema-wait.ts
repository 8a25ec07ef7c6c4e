const FIRST_DELAY_MS = 250;
const MAX_DELAY_MS = 15_000;

/**
 * Asks for schemas that records wait for, one request per id at a time, again and
 * again with growing pauses while the registry is down. It never gives up: an
 * unreachable registry says nothing about the records.
 */
export class SchemaWait {
  readonly #resolve: (schemaId: number) => Promise<unknown>;
  readonly #onUnavailable: (schemaId: number, error: unknown) => void;
  readonly #asked = new Map<number, NodeJS.Timeout | null>();
  #stopped = false;

  /** @param resolve settles once the id is answered, be it "no such schema"; rejects when nobody could answer. */
  constructor(
    resolve: (schemaId: number) => Promise<unknown>,
    onUnavailable: (schemaId: number, error: unknown) => void,
  ) {
    this.#resolve = resolve;
    this.#onUnavailable = onUnavailable;
  }

  /** Schema ids that records wait for. */
  get waiting(): number {
    return this.#asked.size;
  }

  need(schemaId: number): void {
    if (!this.#asked.has(schemaId)) this.#ask(schemaId, FIRST_DELAY_MS);
  }

  stop(): void {
    this.#stopped = true;
    for (const timer of this.#asked.values()) if (timer !== null) clearTimeout(timer);
    this.#asked.clear();
  }

  #ask(schemaId: number, delayMs: number): void {
    this.#asked.set(schemaId, null);
    this.#resolve(schemaId).then(
      () => this.#asked.delete(schemaId),
      (error: unknown) => {
        if (this.#stopped) return;
        this.#onUnavailable(schemaId, error);
        const timer = setTimeout(() => {
          this.#ask(schemaId, Math.min(delayMs * 2, MAX_DELAY_MS));
        }, delayMs);
        this.#asked.set(schemaId, timer);
      },
    );
  }
}
