import type { SchemaStore } from '../decode/schema-store.ts';
import type { ProjectionSource, RecordProjection } from '../ingest/peek.ts';

/**
 * Gives ingest the projections of known schemas, and sees to it that every lane
 * has a schema before the first record that needs it: the definition goes out
 * when a record of that schema is first looked at, ahead of its batch.
 */
export class Projections implements ProjectionSource {
  readonly #store: SchemaStore;
  readonly #define: (schemaId: number, source: string) => void;
  readonly #defined = new Set<number>();

  constructor(store: SchemaStore, define: (schemaId: number, source: string) => void) {
    this.#store = store;
    this.#define = define;
  }

  find(
    schemaId: number,
    tenantPath: readonly string[] | null,
  ): RecordProjection | 'absent' | 'unusable' | 'unresolved' {
    const found = this.#store.lookup(schemaId);
    if (found.state !== 'known') return found.state;
    if (!this.#defined.has(schemaId)) {
      this.#defined.add(schemaId);
      this.#define(schemaId, found.schema.source);
    }
    return found.schema.projection(tenantPath);
  }
}
