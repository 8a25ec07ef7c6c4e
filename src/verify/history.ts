/**
 * What independent recorders wrote down of one run: the producer, the receivers (each request before it was
 * answered), the dispatchers' logs, the ledger, and whoever made the faults. Times are Unix epoch
 * milliseconds of one machine's wall clock, with fractions where the recorder has them.
 */

/** A record that was produced, as the broker acknowledged it. */
export interface ProducedEvent {
  readonly atMs: number;
  readonly tenant: string;
  readonly eventId: string;
  readonly type: string;
  /** As text; records of one key are in one partition. */
  readonly key: string;
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  /** Hash of the data that must arrive; null when it was not recorded. */
  readonly payload: string | null;
  /** Sent after the faults were healed, to see that it gets through. */
  readonly isFresh: boolean;
}

export interface ReceivedRequest {
  readonly atMs: number;
  /** The id of the destination that the receiver stands for. */
  readonly destination: string;
  readonly deliveryId: string;
  /** What it was answered with; 0 for no answer. */
  readonly status: number;
  /** What the answer asked for; null when nothing. */
  readonly retryAfterMs: number | null;
  /** Which process sent it. */
  readonly process: string;
  /** Read from the body. */
  readonly tenant: string;
  readonly eventId: string;
  readonly payload: string | null;
  /** Null where requests are not signed. */
  readonly isSigned: boolean | null;
}

/** A line of a dispatcher's log about its partitions, or what the broker says to be committed. */
export interface OwnershipEntry {
  readonly atMs: number;
  /** Empty for the broker. */
  readonly process: string;
  /** `committed`: the broker accepted it. */
  readonly what: 'assigned' | 'revoked' | 'committed' | 'refused';
  readonly topic: string;
  readonly partition: number;
  /** Of a commit; −1 for the others. */
  readonly offset: number;
}

/** A row of the ledger's `attempts`. */
export interface LedgerRow {
  readonly deliveryId: string;
  readonly destination: string;
  readonly tenant: string;
  readonly eventId: string;
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly attempt: number;
  readonly outcome: string;
  readonly isFinal: boolean;
  readonly reason: string;
  readonly status: number;
  /** Empty for a row that is no attempt. */
  readonly class: string;
  readonly ambiguous: boolean;
  readonly handOver: string;
  readonly attemptedAtMs: number;
  readonly durationMs: number;
  /** Null when no attempt follows. */
  readonly nextAttemptAtMs: number | null;
  /** Which process wrote it, by the name that requests have for it. */
  readonly process: string;
}

/** What was seen in the midst of the run: the committed offsets, and after them the ledger. */
export interface Snapshot {
  readonly atMs: number;
  readonly committed: readonly {
    readonly topic: string;
    readonly partition: number;
    readonly offset: number;
  }[];
  readonly rows: readonly LedgerRow[];
}

/** Moments of a dispatcher's work at which it may be killed. */
export const KILL_POINTS = [
  // A receiver has just answered with 2xx, and the row about that is not flushed yet.
  'answered',
  // The broker has a retry or a dead letter, and the ledger has no row about it yet.
  'handed_over',
  // The broker has a waiting retry in its next delay topic, and the one before is not committed yet.
  'hopped',
  // Rows are durable, and their offsets are not committed yet.
  'rows_durable',
  'committed',
  // Partitions are being given up.
  'revoking',
  // Partitions were assigned, and the ledger is asked about them.
  'recovering',
  // Asked to stop, and finishing what is in flight.
  'draining',
] as const;
export type KillPoint = (typeof KILL_POINTS)[number];

/**
 * A fault that lasted from one time to another; a kill is a moment. Two that nobody makes come of a busy machine, each
 * from the last commit of the process that was accepted: `evicted`, it was silent for so long that the broker took its
 * partitions, until it hears of it; `commits_refused`, the broker took no commit of it while it gave partitions up,
 * until it is assigned others.
 */
export interface Fault {
  readonly what:
    | 'kill'
    | 'stop'
    | 'leave'
    | 'join'
    | 'evicted'
    | 'commits_refused'
    | 'ledger_down'
    | 'broker_down'
    | 'black_hole';
  /** Of a kill that was made to come there; it came at random when left out. */
  readonly point?: KillPoint;
  /** Whom it hit; empty for everybody. */
  readonly process: string;
  readonly fromMs: number;
  readonly toMs: number;
}

export interface BreakerEntry {
  readonly atMs: number;
  readonly process: string;
  readonly tenant: string;
  readonly destination: string;
  readonly isOpen: boolean;
}

/** What a process took, at one time. */
export interface UsageSample {
  readonly atMs: number;
  readonly process: string;
  readonly rssBytes: number;
  readonly descriptors: number;
  readonly openRecords: number;
}

/** What was promised for a destination. */
export interface DestinationFacts {
  readonly id: string;
  /** `*` for one such destination per tenant. */
  readonly tenant: string;
  /** Event types it wants; null for all. */
  readonly types: readonly string[] | null;
  readonly maxAttempts: number;
  /** Least wait after the first, second … failed attempt; the last one repeats. */
  readonly backoffMs: readonly number[];
  readonly maxRetryAfterMs: number;
  readonly rate: { readonly perSecond: number; readonly burst: number } | null;
  readonly isOrdered: boolean;
  /** Shortest time for which its breaker stays open; null: it has none. */
  readonly breakerOpenMs: number | null;
  /** Whether it may answer with `Retry-After`: what comes meanwhile is put off unsent, as by an open breaker. */
  readonly mayPause: boolean;
  /** Whether its receiver answers everything with 2xx at the end. */
  readonly isHealthy: boolean;
}

/** What has to have happened in a run for its verdict to count. */
export const COVERAGE = [
  'crashesInFlight',
  'rebalances',
  'duplicates',
  'deadLetters',
  'openBreakers',
  'killPoints',
] as const;
export type CoverageName = (typeof COVERAGE)[number];

/** The run itself: who took part, and the bounds it is held to. */
export interface RunFacts {
  readonly seed: number;
  readonly destinations: readonly DestinationFacts[];
  readonly healedAtMs: number;
  readonly bounds: {
    /** How long a delivery may be without a durable row while nothing is broken: flushing and inserting. */
    readonly unflushedMs: number;
    /** What two recorders' times may differ by, with the time a request is on its way. */
    readonly clockMs: number;
    /** Most requests that a process has in flight or unflushed: what a fault may repeat. */
    readonly duplicatesPerFault: number;
    /** A fresh event arrives within. */
    readonly freshMs: number;
    readonly rssBytes: number;
    readonly descriptors: number;
    readonly openRecords: number;
  };
  /** Least counts. */
  readonly required: Readonly<Record<CoverageName, number>>;
}

export interface History {
  readonly run: RunFacts;
  readonly produced: readonly ProducedEvent[];
  readonly requests: readonly ReceivedRequest[];
  readonly ownership: readonly OwnershipEntry[];
  /** At the end. */
  readonly ledger: readonly LedgerRow[];
  readonly snapshots: readonly Snapshot[];
  readonly faults: readonly Fault[];
  readonly breakers: readonly BreakerEntry[];
  readonly usage: readonly UsageSample[];
}

/** The history's files in a folder: `run.json`, and one of JSON lines for each of the others. */
export const HISTORY_FILES = {
  produced: 'produced.jsonl',
  requests: 'requests.jsonl',
  ownership: 'ownership.jsonl',
  ledger: 'ledger.jsonl',
  snapshots: 'snapshots.jsonl',
  faults: 'faults.jsonl',
  breakers: 'breakers.jsonl',
  usage: 'usage.jsonl',
} as const satisfies Record<Exclude<keyof History, 'run'>, string>;
