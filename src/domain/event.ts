import type { Priority } from './destination.ts';

/**
 * One event as a lane knows it: the envelope every later stage works with.
 * Immutable once decoded.
 */
export interface Event {
  readonly id: string;
  readonly type: string;
  readonly tenant: string;
  /** When it happened, Unix epoch milliseconds. */
  readonly timeMs: number;
  readonly version: string;
  readonly source: string;
  /** Ordering key or aggregate; empty when the record had none. */
  readonly key: string;
  readonly correlationId: string;
  /** The thing that it happened to; all three are empty when the record did not say. */
  readonly aggregateType: string;
  readonly aggregateId: string;
  readonly aggregateVersion: string;
  readonly priority: Priority;
  /** Unix epoch milliseconds; not sent later than that. Null: it does not expire by itself. */
  readonly expiresAtMs: number | null;
  /** The record as JSON, UTF-8: the payload, which the ledger keeps once. */
  readonly data: Buffer;
}

/** Where one envelope field comes from, per topic. */
export type FieldSource =
  | { readonly from: 'avro'; readonly path: readonly string[] }
  | { readonly from: 'header'; readonly name: string }
  | { readonly from: 'key' };

/** Where an event's priority comes from: a field that holds a priority's name, or one priority for all. */
export type PrioritySource = FieldSource | { readonly from: 'constant'; readonly value: Priority };

/** Field mapping of one topic (or the default one), compiled. */
export interface FieldMapping {
  readonly id: FieldSource;
  readonly type: FieldSource;
  readonly tenant: FieldSource;
  readonly time: FieldSource;
  readonly version: FieldSource;
  readonly source: FieldSource;
  readonly key: FieldSource;
  readonly correlationId: FieldSource;
  /** Null, as for the next two: not told. */
  readonly aggregateType: FieldSource | null;
  readonly aggregateId: FieldSource | null;
  readonly aggregateVersion: FieldSource | null;
  /** Null: every event is `normal`. */
  readonly priority: PrioritySource | null;
  /** Null: none expires by itself. */
  readonly expiresAt: FieldSource | null;
}

export interface FieldMappings {
  readonly default: FieldMapping;
  readonly byTopic: Readonly<Record<string, FieldMapping>>;
}

/** The mapping of a source topic. A topic may be called `constructor`, which every object has a value for. */
export function mappingOf({ byTopic, default: usual }: FieldMappings, topic: string): FieldMapping {
  return (Object.hasOwn(byTopic, topic) ? byTopic[topic] : undefined) ?? usual;
}
