import type { Random } from './random.ts';

/** One kind of event of the catalogue, in one version of its schema. */
export interface SampleKind {
  /** Such as `contact.created`. */
  readonly type: string;
  /** Version of the schema in `schemas/index.json`. */
  readonly version: number;
  /** How often it comes, relative to the others. */
  readonly weight: number;
  /** The fields beyond those that all events have. */
  fields(random: Random, nowMs: number): object;
}

/** Realistic shares: what a tenant's marketing does all day outweighs what its administrators do. */
export const WEIGHT = { frequent: 100, regular: 25, occasional: 5, rare: 1 } as const;
