import type { Registry } from '../decode/schema-store.ts';

/** Questions to the registry, by how they ended. */
export interface SchemaLookupCounts {
  found: number;
  unknown: number;
  failed: number;
}

/** A registry that counts its answers. */
export function countedRegistry(registry: Registry, counts: SchemaLookupCounts): Registry {
  return {
    schemaById: async (id) => {
      try {
        const answer = await registry.schemaById(id);
        if (answer.state === 'found') counts.found++;
        else counts.unknown++;
        return answer;
      } catch (error) {
        counts.failed++;
        throw error;
      }
    },
  };
}
