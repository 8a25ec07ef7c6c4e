import type { Clock } from '../domain/clock.ts';
import { limits } from '../domain/limits.ts';
import { BoundedCache } from './bounded-cache.ts';
import type { RegistrySchema } from './registry-client.ts';
import type { SchemaFolder } from './schema-folder.ts';
import { compileWriterSchema, type SchemaLookup } from './writer-schema.ts';

/** What the store needs of a registry. Rejects with RegistryUnavailable when the question stays open. */
export interface Registry {
  schemaById(id: number): Promise<RegistrySchema>;
}

export interface SchemaStoreOptions {
  /** Asked first; null when there is none. */
  readonly folder: SchemaFolder | null;
  readonly registry: Registry | null;
  readonly clock: Clock;
}

/** A schema may be registered after its first records were seen, so "there is none" holds for a while only. */
const ABSENT_TTL_MS = 30_000;

const ABSENT: SchemaLookup = { state: 'absent' };
const UNRESOLVED: SchemaLookup = { state: 'unresolved' };

interface Refusal {
  readonly lookup: SchemaLookup;
  readonly untilMs: number;
}

/**
 * Writer schemas by id, on the main thread: from the folder, then from the
 * registry. Ids never change their meaning, so what is known stays known, with
 * the registry down too. Refusals have a cache of their own, so that a flood of
 * made-up ids pushes no good schema out.
 */
export class SchemaStore {
  readonly #options: SchemaStoreOptions;
  readonly #known = new BoundedCache<number, SchemaLookup>(limits.schemaCacheEntries);
  readonly #refused = new BoundedCache<number, Refusal>(limits.schemaCacheEntries);
  readonly #asking = new Map<number, Promise<SchemaLookup>>();

  constructor(options: SchemaStoreOptions) {
    this.#options = options;
  }

  /** What is known now, without asking anyone; makes no object for a known schema. */
  lookup(id: number): SchemaLookup {
    const known = this.#known.get(id);
    if (known !== undefined) return known;
    const refusal = this.#refused.get(id);
    if (refusal !== undefined && refusal.untilMs > this.#options.clock.monotonicMs()) return refusal.lookup;
    const inFolder = this.#options.folder?.get(id);
    if (inFolder !== undefined) return this.#keep(id, compileWriterSchema(id, [inFolder.text]));
    return this.#options.registry === null ? ABSENT : UNRESOLVED;
  }

  /**
   * Asks the registry for what `lookup` does not know; one question at a time per id.
   *
   * @returns anything but `unresolved`.
   * @throws RegistryUnavailable when nobody could answer; asking again later may help.
   */
  resolve(id: number): Promise<SchemaLookup> {
    const found = this.lookup(id);
    const { registry } = this.#options;
    if (found.state !== 'unresolved' || registry === null) return Promise.resolve(found);
    const asked = this.#asking.get(id);
    if (asked !== undefined) return asked;
    const asking = this.#ask(registry, id).finally(() => this.#asking.delete(id));
    this.#asking.set(id, asking);
    return asking;
  }

  async #ask(registry: Registry, id: number): Promise<SchemaLookup> {
    const answer = await registry.schemaById(id);
    if (answer.state === 'found') return this.#keep(id, compileWriterSchema(id, answer.texts));
    return this.#keep(id, answer);
  }

  #keep(id: number, lookup: SchemaLookup): SchemaLookup {
    if (lookup.state === 'known') {
      this.#known.set(id, lookup);
    } else {
      const ttlMs = lookup.state === 'absent' ? ABSENT_TTL_MS : Infinity;
      this.#refused.set(id, { lookup, untilMs: this.#options.clock.monotonicMs() + ttlMs });
    }
    return lookup;
  }
}
