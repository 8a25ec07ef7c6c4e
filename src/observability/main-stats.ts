/**
 * What the main thread knows, as numbers read at scrape. The application fills it
 * from counters its parts keep anyway, so nothing is written per event for the
 * sake of a metric. Totals never fall while the process lives.
 */
export interface MainStats {
  readonly recordsPolled: number;
  readonly polls: number;
  /** Time spent taking in what polls returned. */
  readonly pollSeconds: number;
  /** The assigned partitions. */
  readonly partitions: readonly PartitionStats[];
  /** Admitted and not yet durable. */
  readonly openRecords: number;
  readonly openBytes: number;
  /** Commits the broker accepted. */
  readonly commits: number;
  readonly commitFailures: number;
  readonly rebalances: number;
  readonly lanesAlive: number;
  readonly laneRestarts: number;
  /** Tenants that came in more than one partition number. */
  readonly tenantsOnSeveralPartitions: number;
  readonly ledger: LedgerStats;
  readonly overflow: OverflowStats;
  readonly deadLetters: HandoverStats;
  readonly badEvents: HandoverStats;
  /** To delay topics, hops from one to the next included. */
  readonly retries: HandoverStats;
  /** Records of delay topics that said what another had said before. */
  readonly retryCopies: number;
  readonly rekey: RekeyStats;
  readonly schemaLookups: SchemaLookupStats;
}

export interface PartitionStats {
  readonly topic: string;
  readonly partition: number;
  /** null while the end of the partition is not known. */
  readonly lagRecords: number | null;
  readonly frontierGapRecords: number;
  readonly paused: boolean;
}

export interface LedgerStats {
  /** Rows, bytes and inserts that ClickHouse has acknowledged. */
  readonly rows: number;
  readonly bytes: number;
  readonly inserts: number;
  readonly insertFailures: number;
  /** Time spent in inserts, failed ones included. */
  readonly insertSeconds: number;
  readonly pendingRows: number;
  readonly pendingBytes: number;
}

/** Batches of one ledger table each that went, or came back, by the overflow topic. */
export interface OverflowStats {
  /** Acknowledged by the broker. */
  readonly batches: number;
  readonly rows: number;
  readonly failures: number;
  /** Inserted into the ledger, whichever process had written them. */
  readonly drainedBatches: number;
  readonly drainedRows: number;
  readonly drainFailures: number;
  /** Of the partitions that this process drains. */
  readonly waitingBatches: number;
}

export interface HandoverStats {
  /** Acknowledged by the broker. */
  readonly produced: number;
  readonly failed: number;
  readonly pending: number;
}

/** Records of `kafka.rekey.topics` on their way to the topic keyed by tenant. */
export interface RekeyStats {
  /** Acknowledged by the broker. */
  readonly moved: number;
  readonly failed: number;
  readonly pending: number;
}

/** Lookups at the registry by result; `unknown` is an id it answered it does not have. */
export interface SchemaLookupStats {
  readonly found: number;
  readonly unknown: number;
  readonly failed: number;
}
