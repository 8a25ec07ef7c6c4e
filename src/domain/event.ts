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
  /** The record as JSON, UTF-8: the payload, which the ledger keeps once. */
  readonly data: Buffer;
}

/** Where one envelope field comes from, per topic. */
export type FieldSource =
  | { readonly from: 'avro'; readonly path: readonly string[] }
  | { readonly from: 'header'; readonly name: string }
  | { readonly from: 'key' };

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
}
