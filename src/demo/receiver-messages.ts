/** What crosses between the demo and its receivers' process. */
export type FromReceivers =
  | { readonly kind: 'listening'; readonly ports: Readonly<Record<string, number>> }
  /** Every 500 ms, and the answer to `flush`: every receipt so far is in the file. */
  | { readonly kind: 'counts' | 'flushed'; readonly counts: readonly ReceiverCounts[] }
  /** It cannot listen; it ends. */
  | { readonly kind: 'failed'; readonly reason: string };

export interface ToReceivers {
  readonly kind: 'flush';
}

/** What one receiver answered since it started. */
export interface ReceiverCounts {
  readonly id: string;
  /** 2xx. */
  readonly accepted: number;
  /** 503. */
  readonly refused: number;
}
